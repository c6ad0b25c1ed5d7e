# packages.mk: what the machine has, and the packages that are missing.

# Included, so make brings it up to date (packages first) before anything is compiled, then reads itself again: nothing
# asks pkg-config on a machine that does not have it yet.
ifneq ($(filter-out clean check deps,$(or $(MAKECMDGOALS),all)),)
include build/detected.mk
endif

deps:
	@.ci/deps

LIBRARIES := sqlite3 libcjson libpcre2-8 libutf8proc zlib minizip nettle lapacke
build/detected.mk: Makefile make/packages.mk .ci/deps | deps
	@mkdir -p build
	@{ printf 'LIB_CFLAGS := %s\n' "$$(pkg-config --cflags $(LIBRARIES) libcurl)" && \
	   printf 'LIBS := %s\n' "-ldnnl $$(pkg-config --libs $(LIBRARIES)) -lm" && \
	   printf 'CHECK_LIBS := %s\n' "$$(pkg-config --cflags --libs check)"; } > $@.$$PPID && mv -f $@.$$PPID $@
	@printf 'compiler  %s\n' "$$($(CC) --version | head -n 1)"
	@if $(CC) -march=native -dM -E -x c /dev/null | grep __AVX512F__ >/dev/null; then echo 'AVX-512   yes'; \
	 else echo 'AVX-512   no (correct, and slower than the figures in the README)'; fi
	@printf 'nvcc      %s\n' "$(if $(NVCC),$(NVCC) ($(if $(filter 1,$(CUDA)),the GPU backend is built; CUDA=0 leaves it out,CUDA=0 leaves the GPU backend out)),no)"
