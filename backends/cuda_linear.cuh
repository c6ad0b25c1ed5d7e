/* cuda_linear.cuh: what linear layers and the language-model head share on the host's side. */
#ifndef ZO_BACKENDS_CUDA_LINEAR_CUH
#define ZO_BACKENDS_CUDA_LINEAR_CUH

#include "backends/cuda_device.cuh"

/* x (rows, cols) as the products read it: itself, or its bf16 copy in ZO_CUDA_INPUT. */
const void *zo_cuda_input(zo_backend *be, zo_precision precision, const float *x, int64_t rows, int64_t cols);
void zo_cuda_to_bf16(zo_backend *be, const float *x, int64_t n, uint16_t *y);
/* Normals drawn for each element of a parameter, for the counters. */
uint64_t zo_cuda_drawn(const zo_view *view, int param);
/* (x V) . side, (P,T,rank) in ZO_CUDA_SIDE; NULL where the weight has no side path. x (P,T,cols). */
const float *zo_cuda_side(zo_backend *be, const zo_view *view, int weight, const float *x, int64_t tokens);
/* Whether all points stand on the same stored weights. */
bool zo_cuda_one_base(const zo_view *view);
/* grad[j] += sum_t x[t * stride + j], j < cols, in a fixed order. */
void zo_cuda_column_sums(zo_backend *be, const float *x, int64_t stride, int64_t tokens, int64_t cols, float *grad);

#endif
