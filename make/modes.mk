# modes.mk: the flags of each build.

optimise.release := -O3
optimise.debug := -O0 -g3
optimise.asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
optimise.fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address -fno-sanitize-recover=all
optimise.ubsan := -O1 -g -fno-omit-frame-pointer -fsanitize=undefined -fno-sanitize-recover=all
ifeq ($(optimise.$(MODE)),)
$(error MODE=$(MODE) is not a build: say MODE=release, debug, asan, ubsan or fuzz)
endif
# Never a flag that lets the compiler reassociate or contract: bit-equal directions depend on it.
NUMERIC := -march=$(MARCH)$(if $(SHARED), -fPIC) -mprefer-vector-width=512 -ffp-contract=off -fno-math-errno
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes
ALL_CFLAGS = -std=c11 $(optimise.$(MODE)) $(NUMERIC) -fopenmp $(WARN) -D_GNU_SOURCE -I. $(LIB_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -fopenmp $(optimise.$(MODE)) $(LDFLAGS)
