# plugins.mk: what estimators in files of their own are built with (optimizers/plugin.h), and what the program exports to them.

# One header: optimizers/plugin.h and all that it includes, each once; before it, what the two sides must agree on, as text.
PLUGIN_HEADER := $(BUILD)/include/zo/plugin.h
$(PLUGIN_HEADER): optimizers/plugin.h make/one_header.awk make/seam.awk $(wildcard core/*.h backends/*.h optimizers/*.h)
	@mkdir -p $(@D)
	@awk -f make/one_header.awk optimizers/plugin.h > $@.$$PPID.one && awk -f make/seam.awk $@.$$PPID.one > $@.$$PPID && \
	    cat $@.$$PPID.one >> $@.$$PPID && rm $@.$$PPID.one && mv -f $@.$$PPID $@

$(BUILD)/plugin_seam.c: $(PLUGIN_HEADER)
	@printf '/* generated */\n#include <zo/plugin.h>\nextern const char *const zo_plugin_seam;\nconst char *const zo_plugin_seam = ZO_PLUGIN_SEAM;\n' > $@.$$PPID && mv -f $@.$$PPID $@
$(BUILD)/plugin_seam.o: $(BUILD)/plugin_seam.c $(BUILD)/flags
	@$(CC) $(ALL_CFLAGS) -I$(BUILD)/include -MMD -MP -c $< -o $@

# What it declares is exported, and nothing else (zo_main: of the shared library alone).
$(BUILD)/plugin.map: $(PLUGIN_HEADER)
	@{ echo '{ global:'; sed -nE '/^(static|typedef|ZO_INLINE)/d; s/^[a-z].*[ *](zo_[a-z0-9_]+)\(.*/    \1;/p' $<; echo '    zo_main; local: *; };'; } > $@.$$PPID && \
	    mv -f $@.$$PPID $@
# And what a process of Python uses, of the library alone (python/zo).
$(BUILD)/library.map: $(BUILD)/plugin.map
	@sed 's/zo_main;/zo_main; zo_plugin_seam; zo_build_revision; zo_python_serve;/' $< > $@.$$PPID && mv -f $@.$$PPID $@
LIBRARY_EXPORTS = -Wl,--version-script=$(BUILD)/library.map
EXPORTS = -Wl,--export-dynamic -Wl,--version-script=$(BUILD)/plugin.map

# Tests that load plug-ins themselves: PLUGIN=./mine.so makes the tests of conformance go over it too (tests/plugins.h).
LOADING := $(addprefix $(BUILD)/tests/,test_optimizers test_engine test_predict)
$(LOADING): TEST_EXPORTS = $(EXPORTS)
$(LOADING): | $(BUILD)/plugin.map
ifneq ($(PLUGIN),)
export ZO_PLUGIN := $(abspath $(PLUGIN))
endif
# It starts the program, compiles against the header, and runs the tests above.
$(BUILD)/tests/test_plugins: | $(BUILD)/zo $(LOADING)

# zo-py: the library for this processor, beside the package (pip install ./python).
PYTHON_MARCH := x86-64-v$(if $(shell $(CC) -march=native -dM -E -x c /dev/null 2>/dev/null | grep __AVX512F__),4,3)
PYTHON_BUILD := build/$(BACKEND)-$(MODE)-$(PYTHON_MARCH)
.PHONY: python
python:
	@$(MAKE) MARCH=$(PYTHON_MARCH) $(PYTHON_BUILD)/libzo.so
	@cp $(PYTHON_BUILD)/libzo.so python/zo/libzo.so.$$PPID && mv -f python/zo/libzo.so.$$PPID python/zo/libzo.so
	@make/version.sh package >python/zo/VERSION
$(BUILD)/tests/test_python $(BUILD)/tests/test_exports: | $(BUILD)/zo
