# dist.mk: a folder for machines without packages.

# The program is a library, once per level of the instruction set; the loader takes the best that the processor has (glibc-hwcaps).
# Old-style run paths, because they hold for the libraries' own libraries too. The library has one of its own for processes that are not the program
# (Python): its libraries are beside it, or two folders up from lib/zo/glibc-hwcaps/LEVEL.
RPATH = $(if $(SHARED),-Wl$(comma)--disable-new-dtags$(comma)-rpath$(comma)'$$ORIGIN/../lib/zo')
LIBRARY_RPATH = -Wl,--disable-new-dtags,-rpath,'$$ORIGIN:$$ORIGIN/../..'
# The loader says so where the processor is of a lower level.
LEVEL = $(if $(filter x86-64-v%,$(MARCH)),-Wl$(comma)-z$(comma)$(MARCH))
# Its main is zo_main there, which the program beside it calls.
$(BUILD)/main_of_library.o: $(BUILD)/bench/cli/main.o
	@objcopy --redefine-sym main=zo_main $< $@
$(BUILD)/libzo.so: $(OBJECTS) $(BUILD)/main_of_library.o $(BUILD)/build_info.o $(BUILD)/library.map
	@echo 'LINK  $@'
	@$(CC) -shared -Wl,-soname,libzo.so $(LIBRARY_RPATH) $(LEVEL) $(ALL_LDFLAGS) $(LIBRARY_EXPORTS) $(filter-out %.map,$^) $(LIBS) $(CUDA_LIBS) -o $@
$(BUILD)/zo-shared: $(BUILD)/libzo.so
	@echo 'int zo_main(int, char **); int main(int words, char **word) { return zo_main(words, word); }' | \
	    $(CC) -x c - -x none $(ALL_LDFLAGS) $(RPATH) -L$(BUILD) -lzo -Wl,-rpath-link,$(BUILD) -o $@

.PHONY: dist dist-check deb deb-check wheel wheel-check
dist:
	@MAKE='$(MAKE)' .ci/dist
dist-check:
	@.ci/dist-check
deb: dist
	@.ci/deb
deb-check:
	@.ci/deb-check
wheel: dist
	@.ci/wheel
wheel-check:
	@.ci/wheel-check
