# cuda.mk: the CUDA backend by nvcc, and the same files without CUDA, by g++ and tests/shim.

# The CUDA backend: machine code for these architectures and PTX of the last. The host's half of a .cu file obeys the rules above too.
CXX = g++
CUDA_SOURCES := $(wildcard backends/cuda/*.cu)
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

# tests/shim stands in for the toolkit: the same files, compiled by g++, their kernels run on the processor (tests/backends/test_cuda_*.c).
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

$(BUILD)/tests/test_cuda_%: $(BUILD)/shim/tests/shim/coverage.o $(BUILD)/shim/libcuda.a $(BUILD)/libzo.a | $(BUILD)/build_info.o
	@$(CC) $(ALL_LDFLAGS) $(objects_first) $(BUILD)/build_info.o $(CHECK_LIBS) $(LIBS) $(CUDA_LIBS) -ldl -o $@

# The same tests against the card itself, as one program for gpu-check: their main functions get names of their own.
PARITY := $(patsubst tests/backends/test_cuda_%.c,%,$(wildcard tests/backends/test_cuda_*.c))
$(BUILD)/gpu/%.o: $(BUILD)/tests/backends/test_cuda_%.o
	@mkdir -p $(@D)
	@objcopy --redefine-sym main=zo_parity_$* $< $@
$(BUILD)/tests/shim/parity.o: private ALL_CFLAGS += '-DZO_PARITY_LIST=$(patsubst %,X(%),$(PARITY))'
$(BUILD)/gpu/parity: $(PARITY:%=$(BUILD)/gpu/%.o) $(BUILD)/tests/shim/parity.o $(BUILD)/tests/shim/none.o $(BUILD)/libzo.a | $(BUILD)/build_info.o
	@$(CC) $(ALL_LDFLAGS) $(RPATH) $^ $(BUILD)/build_info.o $(CHECK_LIBS) $(LIBS) $(CUDA_LIBS) -o $@

.PHONY: gpu-check gpu-tests
gpu-tests: $(BUILD)/gpu/parity
gpu-check:
	@$(MAKE) CUDA=1 zo gpu-tests
	@bench/gpu-check $(ARGS)
