# dist.mk: a folder for machines without packages.

# The program is a library, once per level of the instruction set; the loader takes the best that the processor has (glibc-hwcaps).
# An old-style run path, because it holds for the libraries' own libraries too.
RPATH = $(if $(SHARED),-Wl$(comma)--disable-new-dtags$(comma)-rpath$(comma)'$$ORIGIN/../lib')
$(BUILD)/libzo.so: $(OBJECTS) $(BUILD)/build_info.o
	@echo 'LINK  $@'
	@$(CC) -shared -Wl,-soname,libzo.so $(ALL_LDFLAGS) $^ $(LIBS) $(CUDA_LIBS) -o $@
$(BUILD)/zo-shared: $(BUILD)/bench/cli/main.o $(BUILD)/libzo.so
	@$(CC) $(ALL_LDFLAGS) $(RPATH) $(BUILD)/bench/cli/main.o -L$(BUILD) -lzo -Wl,-rpath-link,$(BUILD) $(LIBS) -o $@

.PHONY: dist dist-check
dist:
	@MAKE='$(MAKE)' .ci/dist
dist-check:
	@.ci/dist-check
