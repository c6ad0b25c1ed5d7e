# tests.mk: tests, sanitizers, fuzzers, mutants, checks.

test: zo
	@$(MAKE) run-tests

# What clang alone links is compiled with the tests, so that it does not fall behind.
tests: $(TESTS)
run-tests: $(TESTS) $(FUZZ_SOURCES:%.c=$(BUILD)/%.o)
	@V=$(V) tests/run.sh $(BUILD)/tests/logs $(TESTS)

# What each method is tested against: the tests write optimizers/oracles.tsv from their own tables, and the program shows it.
.PHONY: oracles-table
oracles-table: zo
	@rm -f build/oracles.lines
	@ZO_ORACLES=$(CURDIR)/build/oracles.lines CK_RUN_CASE=table $(MAKE) --no-print-directory run-tests T='twins released oracles engine'
	@LC_ALL=C sort build/oracles.lines >optimizers/oracles.tsv
	@$(MAKE) --no-print-directory zo
	@./zo list oracles

# The kernels are looked at through tests/shim, which is compiled for the sanitizers; nvcc's code would not be.
asan-test:
	@CK_DEFAULT_TIMEOUT=$${CK_DEFAULT_TIMEOUT:-900} $(MAKE) MODE=asan CUDA=0 run-tests

# clang's libFuzzer: each tests/fuzz/fuzz_*.c reads RUNS inputs.
RUNS ?= 1000000
$(BUILD)/tests/fuzz_%: $(BUILD)/libzo.a | $(BUILD)/build_info.o
	@$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer $(objects_first) $(BUILD)/build_info.o $(LIBS) -o $@
fuzz:
	@$(MAKE) MODE=fuzz CC=clang CUDA=0 run-fuzz
run-fuzz: $(FUZZERS)
	@tests/fuzz.sh build/fuzz $(RUNS) $(FUZZERS)

# Settings go by the environment: N, SEED, JOBS and others at the head of the script.
mutants: deps
	@MAKE='$(MAKE)' perl tests/mutants/run.pl

check: deps
	@tests/check_includes.sh
	@tests/check_words.sh
	@tests/check_prose.sh
	@tests/check_shell.sh
	@tests/check_format.sh
	@CC='$(CC)' NVCC='$(NVCC)' tests/check_headers.sh
