# zo: one non-recursive Makefile (GNU make 4).
#
#   make                 packages that are missing, then ./zo
#   make demo            the demonstration: no data, no download (DEMO=short for a quick one)
#   make test            every tests/test_*.c; T=rng runs tests/test_rng.c alone, V=1 shows all output
#   make asan-test       the same tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make fuzz            readers under clang's libFuzzer and AddressSanitizer (clang and libomp-dev; RUNS=1000000 inputs each)
#   make mutants         single bugs put into copies of the tree, and which of them no test notices (N=15 SEED=x; tests/mutants/run.pl)
#   make check           who may include whom, banned words, every header by itself
#   make bench-peers     the same step in PyTorch, beside ours
#   make install         PREFIX=/usr/local, DESTDIR= for packagers
#   make deps clean
#
#   make gpu-check       parity, timings, memory, sanitizer on this machine's GPU (CUDA=1; ARGS="steps memory" chooses); an error without
#   make dist            build/dist: a folder and a tarball that run on any x86-64 Linux (AVX2, glibc >= 2.36) without root
#   make dist-check      run a small config from that tarball in a root that holds nothing but the C library
#
# CUDA=auto (the default) builds the GPU backend where nvcc is, CUDA=1 always (an error without nvcc), CUDA=0 never.
#
# MODE=release|debug|asan|ubsan|fuzz chooses the build, kept apart in build/<backend>-<mode>/; a change of compiler, flags or
# processor rebuilds what it touches. -j is the number of processors unless given.

MODE ?= release
CUDA ?= auto
PREFIX ?= /usr/local
CC = gcc
NVCC ?= $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
MAKEFLAGS += --no-print-directory --no-builtin-rules
ifeq ($(MAKELEVEL),0) # a make inside make shares the jobs of the first
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
export LC_ALL := C

ifeq ($(CUDA),auto)
override CUDA := $(if $(NVCC),1,0)
endif
ifeq ($(CUDA),1)
ifeq ($(NVCC),)
$(error CUDA=1 needs nvcc, and there is none in PATH nor in /usr/local/cuda/bin; install the CUDA toolkit, say NVCC=..., or build with CUDA=0)
endif
else ifneq ($(CUDA),0)
$(error CUDA=$(CUDA) is not a choice: say CUDA=0, CUDA=1 or CUDA=auto)
endif
export CUDA
BACKEND := $(if $(filter 1,$(CUDA)),cuda,cpu)
# MARCH: the processor to build for; another than this machine's makes code for shared libraries, in a folder of its own.
MARCH ?= native
SHARED := $(filter-out native,$(MARCH))
BUILD := build/$(BACKEND)-$(MODE)$(SHARED:%=-%)

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

comma := ,
# The CUDA backend: machine code for these architectures and PTX of the last. The host's half of a .cu file obeys the rules above too.
CXX = g++
CUDA_SOURCES := $(wildcard backends/cuda*.cu)
CUDA_ARCHS ?= 80 90
ifeq ($(CUDA),1)
CUDA_HOME := $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))
NVCC_FLAGS = -std=c++17 -O3 $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) \
    -gencode arch=compute_$(lastword $(CUDA_ARCHS)),code=compute_$(lastword $(CUDA_ARCHS)) -fmad=false -prec-div=true -prec-sqrt=true -ftz=false \
    $(if $(findstring -Werror,$(CFLAGS)),-Werror all-warnings) -ccbin $(CXX) -I. -D_GNU_SOURCE \
    -Xcompiler $(if $(SHARED),-fPIC$(comma))-Wall,-Wno-unknown-pragmas,-ffp-contract=off,-fno-math-errno,-fno-exceptions,-fno-rtti,-fno-threadsafe-statics
ALL_CFLAGS += -DZO_CUDA
# one for all processors and modes: the flags are the same
CUDA_BUILD := build/nvcc$(if $(SHARED),-shared)
CUDA_OBJECTS := $(CUDA_SOURCES:%.cu=$(CUDA_BUILD)/%.o)
CUDA_LIBS := -L$(CUDA_HOME)/lib64 -lcudart_static -lpthread -ldl -lrt
endif

SOURCES := $(filter-out bench/main.c,$(wildcard $(addsuffix /*.c,core backends models tasks optimizers results bench plots)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/task_texts.o $(CUDA_OBJECTS)
TEST_SOURCES := $(sort $(wildcard tests/test_*.c))
T ?= *
FUZZERS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz_*.c))
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(filter $(wildcard tests/test_$(T).c),$(TEST_SOURCES)))

.PHONY: all deps demo test tests run-tests asan-test check mutants fuzz run-fuzz bench-peers install clean FORCE
all: zo

# ---- what the machine has --------------------------------------------------------------------------------------------
# Included, so make brings it up to date (packages first) before anything is compiled, then reads itself again: nothing
# asks pkg-config on a machine that does not have it yet.
ifneq ($(filter-out clean check deps,$(or $(MAKECMDGOALS),all)),)
include build/detected.mk
endif

deps:
	@.ci/deps

LIBRARIES := sqlite3 libcjson libpcre2-8 libutf8proc zlib lapacke
build/detected.mk: Makefile .ci/deps | deps
	@mkdir -p build
	@{ printf 'LIB_CFLAGS := %s\n' "$$(pkg-config --cflags $(LIBRARIES))" && \
	   printf 'LIBS := %s\n' "-ldnnl $$(pkg-config --libs $(LIBRARIES)) -lm" && \
	   printf 'CHECK_LIBS := %s\n' "$$(pkg-config --cflags --libs check)"; } > $@.$$PPID && mv -f $@.$$PPID $@
	@printf 'compiler  %s\n' "$$($(CC) --version | head -n 1)"
	@if $(CC) -march=native -dM -E -x c /dev/null | grep -q __AVX512F__; then echo 'AVX-512   yes'; \
	 else echo 'AVX-512   no (correct, and slower than the figures in the README)'; fi
	@printf 'nvcc      %s\n' "$(if $(NVCC),$(NVCC) (the GPU backend is built; CUDA=0 leaves it out),no)"

# ---- compile ---------------------------------------------------------------------------------------------------------
# Files are written under a name with make's own process id and moved, so that two makes in one tree do not meet.
# The flags of the last build, what -march=native means here and the compiler's version: objects depend on this file.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@{ echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS)'; $(CC) -march=$(MARCH) -dM -E -x c /dev/null | cksum; } > $@.$$PPID
	@cmp -s $@.$$PPID $@ && rm -f $@.$$PPID || mv -f $@.$$PPID $@

# What the program says about its own build (core/build.h): rewritten only when it changed.
$(BUILD)/build_info.c: FORCE $(BUILD)/flags
	@revision=$$(git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown); \
	 printf '/* generated */\n#include "core/build.h"\nconst char *zo_build_revision(void) { return "%s"; }\nconst char *zo_build_flags(void) { return "%s"; }\n' \
	 "$$revision" '$(strip $(optimise.$(MODE)) $(NUMERIC) $(CFLAGS))' > $@.$$PPID
	@cmp -s $@.$$PPID $@ && rm -f $@.$$PPID || mv -f $@.$$PPID $@

$(BUILD)/build_info.o: $(BUILD)/build_info.c
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo 'CC    $<'
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

ifeq ($(CUDA),1)
$(CUDA_BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@{ echo '$(NVCC) $(NVCC_FLAGS)'; $(NVCC) --version; } > $@.$$PPID
	@cmp -s $@.$$PPID $@ && rm -f $@.$$PPID || mv -f $@.$$PPID $@

$(CUDA_OBJECTS): $(CUDA_BUILD)/%.o: %.cu $(CUDA_BUILD)/flags
	@mkdir -p $(@D)
	@echo 'NVCC  $<'
	@$(NVCC) $(NVCC_FLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
endif

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
$(filter $(BUILD)/bench/cmd_demo.o,$(OBJECTS)): $(wildcard paper_configs/demo/*.json)

# An archive, so that a test links only what it uses. Written anew each time: a removed source leaves no ghost.
$(BUILD)/libzo.a: $(OBJECTS)
	@rm -f $@.$$PPID && ar rcs $@.$$PPID $^ && mv -f $@.$$PPID $@

$(BUILD)/zo: $(BUILD)/bench/main.o $(BUILD)/libzo.a $(BUILD)/build_info.o
	@echo 'LINK  $@'
	@$(CC) $(ALL_LDFLAGS) $^ $(LIBS) $(CUDA_LIBS) -o $@

# A link to the build asked for last.
zo: $(BUILD)/zo FORCE
	@ln -sfn $(BUILD)/zo zo

# Order-only: a commit changes the revision, and need not link every test anew.
$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(BUILD)/libzo.a | $(BUILD)/build_info.o
	@$(CC) $(ALL_LDFLAGS) $^ $(BUILD)/build_info.o $(CHECK_LIBS) $(LIBS) $(CUDA_LIBS) -o $@
.PRECIOUS: $(BUILD)/%.o

# ---- the CUDA files without CUDA ---------------------------------------------------------------------------------------
# tests/shim stands in for the toolkit: the same files, compiled by g++, their kernels run on the processor (tests/test_cuda_*.c).
SHIM_FLAGS = -std=c++17 $(patsubst -O%,-O2,$(optimise.$(MODE))) $(NUMERIC) -fno-exceptions -fno-rtti -fno-threadsafe-statics -Wall -Wextra \
    -Wshadow -Wno-unknown-pragmas -D_GNU_SOURCE -Itests/shim -I. $(CFLAGS) \
    $(if $(NVCC),-idirafter $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))/include)
SHIM_OBJECTS := $(CUDA_SOURCES:%.cu=$(BUILD)/shim/%.o) $(patsubst %.cpp,$(BUILD)/shim/%.o,$(wildcard tests/shim/*.cpp))

$(BUILD)/shim/%.o: %.cu $(BUILD)/flags
	@mkdir -p $(@D)
	@echo 'SHIM  $<'
	@$(CXX) $(SHIM_FLAGS) -MMD -MP -x c++ -c $< -o $@

$(BUILD)/shim/%.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	@$(CXX) $(SHIM_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/shim/libcuda.a: $(SHIM_OBJECTS)
	@rm -f $@.$$PPID && ar rcs $@.$$PPID $^ && mv -f $@.$$PPID $@

$(BUILD)/tests/test_cuda_%: $(BUILD)/tests/test_cuda_%.o $(BUILD)/shim/tests/shim/coverage.o $(BUILD)/shim/libcuda.a $(BUILD)/libzo.a | $(BUILD)/build_info.o
	@$(CC) $(ALL_LDFLAGS) $^ $(BUILD)/build_info.o $(CHECK_LIBS) $(LIBS) $(CUDA_LIBS) -ldl -o $@

# The same tests against the card itself, as one program for gpu-check: their main functions get names of their own.
PARITY := $(patsubst tests/test_cuda_%.c,%,$(wildcard tests/test_cuda_*.c))
$(BUILD)/gpu/%.o: $(BUILD)/tests/test_cuda_%.o
	@mkdir -p $(@D)
	@objcopy --redefine-sym main=zo_parity_$* $< $@
$(BUILD)/tests/shim/parity.o: private ALL_CFLAGS += '-DZO_PARITY_LIST=$(patsubst %,X(%),$(PARITY))'
$(BUILD)/gpu/parity: $(PARITY:%=$(BUILD)/gpu/%.o) $(BUILD)/tests/shim/parity.o $(BUILD)/tests/shim/none.o $(BUILD)/libzo.a | $(BUILD)/build_info.o
	@$(CC) $(ALL_LDFLAGS) $(RPATH) $^ $(BUILD)/build_info.o $(CHECK_LIBS) $(LIBS) $(CUDA_LIBS) -o $@

# ---- a folder for machines without packages ------------------------------------------------------------------------------
# The program is a library, once per level of the instruction set; the loader takes the best that the processor has (glibc-hwcaps).
# An old-style run path, because it holds for the libraries' own libraries too.
RPATH = $(if $(SHARED),-Wl$(comma)--disable-new-dtags$(comma)-rpath$(comma)'$$ORIGIN/../lib')
$(BUILD)/libzo.so: $(OBJECTS) $(BUILD)/build_info.o
	@echo 'LINK  $@'
	@$(CC) -shared -Wl,-soname,libzo.so $(ALL_LDFLAGS) $^ $(LIBS) $(CUDA_LIBS) -o $@
$(BUILD)/zo-shared: $(BUILD)/bench/main.o $(BUILD)/libzo.so
	@$(CC) $(ALL_LDFLAGS) $(RPATH) $(BUILD)/bench/main.o -L$(BUILD) -lzo -Wl,-rpath-link,$(BUILD) $(LIBS) -o $@

.PHONY: gpu-check gpu-tests dist dist-check
gpu-tests: $(BUILD)/gpu/parity
gpu-check:
	@$(MAKE) CUDA=1 zo gpu-tests
	@bench/gpu-check $(ARGS)

dist:
	@MAKE='$(MAKE)' .ci/dist
dist-check:
	@.ci/dist-check

# ---- run -------------------------------------------------------------------------------------------------------------
demo: zo
	@./zo demo $(if $(filter short,$(DEMO)),--short)

test: zo
	@$(MAKE) run-tests

# What clang alone links is compiled with the tests, so that it does not fall behind.
tests: $(TESTS)
run-tests: $(TESTS) $(FUZZERS:=.o)
	@V=$(V) tests/run.sh $(BUILD)/tests/logs $(TESTS)

# The kernels are looked at through tests/shim, which is compiled for the sanitizers; nvcc's code would not be.
asan-test:
	@CK_DEFAULT_TIMEOUT=$${CK_DEFAULT_TIMEOUT:-900} $(MAKE) MODE=asan CUDA=0 run-tests

# clang's libFuzzer: each tests/fuzz_*.c reads RUNS inputs.
RUNS ?= 1000000
$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz_%.o $(BUILD)/libzo.a | $(BUILD)/build_info.o
	@$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer $^ $(BUILD)/build_info.o $(LIBS) -o $@
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
	@tests/check_format.sh
	@CC='$(CC)' NVCC='$(NVCC)' tests/check_headers.sh

bench-peers: zo
	@bench/peers/run.sh '$(or $(DATA),../shared/data)' '$(or $(MODELS),../shared/models)' $(ARGS)

install: $(BUILD)/zo
	install -D -m 755 $(BUILD)/zo $(DESTDIR)$(PREFIX)/bin/zo
	for file in $(wildcard plots/*.gp) $(wildcard paper_configs/*/*.json); do \
	    install -D -m 644 $$file $(DESTDIR)$(PREFIX)/share/zo/$$file || exit 1; done

clean:
	rm -rf build zo

-include $(patsubst %.o,%.d,$(OBJECTS) $(BUILD)/build_info.o $(BUILD)/bench/main.o $(TEST_SOURCES:%.c=$(BUILD)/%.o) $(FUZZERS:=.o) $(SHIM_OBJECTS))
