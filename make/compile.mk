# compile.mk: objects, the archive, the program.
# Files are written under a name with make's own process id and moved, so that two makes in one tree do not meet.
# The flags of the last build, what -march=native means here and the compiler's version: objects depend on this file.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@{ echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS)'; $(CC) -march=$(MARCH) -dM -E -x c /dev/null | cksum; } > $@.$$PPID
	@cmp -s $@.$$PPID $@ && rm -f $@.$$PPID || mv -f $@.$$PPID $@

# What the program says about its own build (core/build.h): rewritten only when it changed.
$(BUILD)/build_info.c: FORCE $(BUILD)/flags
	@revision=$$(make/version.sh revision); \
	 printf '/* generated */\n#include "core/build.h"\nconst char *zo_build_revision(void) { return "%s"; }\nconst char *zo_build_flags(void) { return "%s"; }\n' \
	 "$$revision" '$(strip $(optimise.$(MODE)) $(NUMERIC) $(CFLAGS))' > $@.$$PPID
	@cmp -s $@.$$PPID $@ && rm -f $@.$$PPID || mv -f $@.$$PPID $@

$(BUILD)/build_info.o: $(BUILD)/build_info.c
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo 'CC    $<'
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The tasks that are described in JSON: a table of them (tasks/task_impl.h), rewritten when a file comes or goes.
TASK_TEXTS := $(sort $(wildcard tasks/*.json))
$(BUILD)/task_texts.c: FORCE
	@mkdir -p $(@D)
	@{ printf '/* generated */\n#include "core/embed.h"\n#include "tasks/task_impl.h"\n'; \
	 n=0; for file in $(TASK_TEXTS); do echo "ZO_EMBED(zo_task_text_$$((n += 1)), \"$$file\");"; done; \
	 echo 'const zo_task_text zo_task_texts[] = {'; \
	 n=0; for file in $(TASK_TEXTS); do echo "    {\"$$file\", zo_task_text_$$((n += 1))},"; done; \
	 echo '    {NULL, NULL}};'; } > $@.$$PPID
	@cmp -s $@.$$PPID $@ && rm -f $@.$$PPID || mv -f $@.$$PPID $@

$(BUILD)/task_texts.o: $(BUILD)/task_texts.c $(TASK_TEXTS) $(BUILD)/flags
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# Text that core/embed.h puts into an object is not among the includes that the compiler reports.
$(filter $(BUILD)/results/%,$(OBJECTS)): $(wildcard results/*.sql)
$(filter $(BUILD)/optimizers/oracles.o,$(OBJECTS)): optimizers/oracles.tsv
$(filter $(BUILD)/bench/cli/cmd_demo.o,$(OBJECTS)): $(wildcard paper_configs/demo/*.json)

# An archive, so that a test links only what it uses. Written anew each time: a removed source leaves no ghost.
$(BUILD)/libzo.a: $(OBJECTS)
	@rm -f $@.$$PPID && ar rcs $@.$$PPID $^ && mv -f $@.$$PPID $@

$(BUILD)/zo: $(BUILD)/bench/cli/main.o $(BUILD)/libzo.a $(BUILD)/build_info.o $(BUILD)/plugin.map
	@echo 'LINK  $@'
	@$(CC) $(ALL_LDFLAGS) $(EXPORTS) $(filter-out %.map,$^) $(LIBS) $(CUDA_LIBS) -o $@

# A link to the build asked for last.
zo: $(BUILD)/zo FORCE
	@ln -sfn $(BUILD)/zo zo

# Each program from the object of its source. Objects come first in its link, then archives.
$(foreach source,$(TEST_SOURCES) $(FUZZ_SOURCES),$(eval $(call program,$(source)): $(BUILD)/$(source:.c=.o)))
objects_first = $(filter %.o,$^) $(filter-out %.o,$^)

# Order-only: a commit changes the revision, and need not link every test anew.
$(BUILD)/tests/test_%: $(BUILD)/libzo.a | $(BUILD)/build_info.o
	@$(CC) $(ALL_LDFLAGS) $(TEST_EXPORTS) $(objects_first) $(BUILD)/build_info.o $(CHECK_LIBS) $(LIBS) $(CUDA_LIBS) -o $@
.PRECIOUS: $(BUILD)/%.o
