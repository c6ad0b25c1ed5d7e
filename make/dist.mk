# dist.mk: a folder for machines without packages.

# The program is a library, once per level of the instruction set; the loader takes the best that the processor has (glibc-hwcaps).
# An old-style run path, because it holds for the libraries' own libraries too.
RPATH = $(if $(SHARED),-Wl$(comma)--disable-new-dtags$(comma)-rpath$(comma)'$$ORIGIN/../lib')
# Its main is zo_main there, which the program beside it calls.
$(BUILD)/main_of_library.o: $(BUILD)/bench/cli/main.o
	@objcopy --redefine-sym main=zo_main $< $@
$(BUILD)/libzo.so: $(OBJECTS) $(BUILD)/main_of_library.o $(BUILD)/build_info.o $(BUILD)/library.map
	@echo 'LINK  $@'
	@$(CC) -shared -Wl,-soname,libzo.so $(ALL_LDFLAGS) $(LIBRARY_EXPORTS) $(filter-out %.map,$^) $(LIBS) $(CUDA_LIBS) -o $@
$(BUILD)/zo-shared: $(BUILD)/libzo.so
	@echo 'int zo_main(int, char **); int main(int words, char **word) { return zo_main(words, word); }' | \
	    $(CC) -x c - -x none $(ALL_LDFLAGS) $(RPATH) -L$(BUILD) -lzo -Wl,-rpath-link,$(BUILD) -o $@

.PHONY: dist dist-check
dist:
	@MAKE='$(MAKE)' .ci/dist
dist-check:
	@.ci/dist-check
