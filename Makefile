# zo: one non-recursive make (GNU make 4); the rules stand in make/*.mk by subject.
#
#   make                 packages that are missing, then ./zo
#   make demo            the demonstration: no data, no download (DEMO=short for a quick one)
#   make test            every tests/*/test_*.c; T='rng num' runs these alone, WITHOUT='rng num' leaves
#                        these out, V=1 shows all output
#   make asan-test       the same tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make fuzz            readers under clang's libFuzzer and AddressSanitizer (clang and libomp-dev; RUNS=1000000 inputs each)
#   make mutants         single bugs put into copies of the tree, and which of them no test notices (N=15 SEED=x; tests/mutants/run.pl)
#   make check           who may include whom, banned words, every header by itself
#   make bench-peers     the same step in PyTorch, beside ours
#   make python          python/zo/libzo.so, for pip install ./python (estimators in Python: docs/plugins.md)
#   make install         PREFIX=/usr/local, DESTDIR= for packagers
#   make deps clean
#
#   make gpu-check       parity, timings, memory, sanitizer on this machine's GPU (CUDA=1; ARGS="steps memory" chooses); an error without
#   make dist            build/dist: a folder and a tarball that run on any x86-64 Linux (AVX2, glibc >= 2.36) without root
#   make dist-check      run a small config from that tarball in a root that holds nothing but the C library
#   make deb wheel       build/dist: packages for Debian and for pip, of the same builds
#   make deb-check wheel-check   install them in a bare Debian root and run the demo there (root, debootstrap, network)
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

comma := ,

include make/modes.mk

# Rooms; each holds what its README.md says.
ROOMS := core text backends backends/cpu models models/files tasks optimizers optimizers/engine results plots bench/synth bench/cell bench/matrix bench/cli
SOURCES := $(filter-out bench/cli/main.c,$(wildcard $(ROOMS:%=%/*.c)))

include make/cuda.mk

OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/task_texts.o $(BUILD)/plugin_seam.o $(CUDA_OBJECTS)
TEST_SOURCES := $(sort $(wildcard tests/*/test_*.c))
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
# Programs stand side by side, whatever the room of their source.
program = $(addprefix $(BUILD)/tests/,$(notdir $(1:.c=)))
T ?= *
asked = $(foreach t,$(T),$(or $(wildcard tests/*/test_$(t).c),$(error no test has the name $(t): T='X Y' runs tests/*/test_X.c and test_Y.c)))
TESTS := $(filter-out $(WITHOUT:%=$(BUILD)/tests/test_%),$(call program,$(sort $(asked))))
FUZZERS := $(call program,$(FUZZ_SOURCES))

.PHONY: all deps demo test tests run-tests asan-test check mutants fuzz run-fuzz bench-peers install clean FORCE
all: zo

include make/packages.mk
include make/compile.mk
include make/dist.mk
include make/run.mk
include make/tests.mk

include make/plugins.mk

-include $(patsubst %.o,%.d,$(OBJECTS) $(BUILD)/build_info.o $(BUILD)/bench/cli/main.o $(TEST_SOURCES:%.c=$(BUILD)/%.o) $(FUZZ_SOURCES:%.c=$(BUILD)/%.o) $(SHIM_OBJECTS))
