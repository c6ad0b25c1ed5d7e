/* linear.cuh: what linear layers and the language-model head share on the host's side: the operands of their products. */
#ifndef ZO_BACKENDS_CUDA_LINEAR_CUH
#define ZO_BACKENDS_CUDA_LINEAR_CUH

#include "backends/cuda/device.cuh"

/* A weight and its input at all points of a view, as products of `precision` read them. A side path adds q U^T, q = (x V) . side:
 *
 *   ONE PRODUCT  [x | q] [W | U]^T with K = cols + rank, padded with zeros to rows of 16 bytes, where W is converted to 16 bits in
 *                workspace anyway: U costs rank columns there, and y is written once.
 *   TWO          x W^T + q U^T where W is read where it stands (in f32 and TF32, and where it is held in the precision's 16 bits: a copy
 *                would cost more than reading and writing y once more) or is formed at each point by other directions.
 *
 * In 16 bits q, U and V are rounded as x and W are: relatively, so the probe's term keeps its share of that precision, while W + cZ
 * rounded as a whole (streamed) keeps only what eps Z has above an ulp of W. */
struct zo_cuda_layer {
    const zo_view *view;
    int weight;
    zo_precision precision;
    int64_t tokens;    /* of a point */
    bool shared;       /* all points read one W, the stored one */
    bool in_place;     /* and it is read where it stands */
    bool coded;        /* it is held as codes (backends/codes.h), which become numbers in workspace */
    const float *scales; /* then (P or 1, rows, groups), */
    int64_t stride;    /* from point to point */
    bool one;          /* [x | q] [W | U]^T */
    int rank;          /* of the side path, 0 without */
    float scale;       /* of the weight */
    bool add;          /* the product is added to what stands in y; false until set */
    int64_t ld, ldw;   /* elements from row to row of x, and of W or [W | U] */
    const void *x;     /* (P,T,ld): x, then q from column cols on where there are 16 bits, then zeros */
    const void *q;     /* (P,T,rank) at ldq; NULL without a side path */
    int64_t ldq;
};

/* Converts the input and makes q. x (P,T,cols). Valid until the next layer. */
zo_cuda_layer zo_cuda_layer_of(zo_backend *be, const zo_view *view, zo_precision precision, int weight, const float *x, int64_t tokens);
/* Rows [first, first + n) of the weight for zo_cuda_layer_product, formed or converted into ZO_CUDA_WEIGHT where that is needed. Blocks of
 * a large weight: `most` rows at once, at most; first * cols a multiple of 4. */
struct zo_cuda_rows { int64_t first, n; const void *w, *u; };
zo_cuda_rows zo_cuda_layer_rows(zo_backend *be, const zo_cuda_layer *layer, int64_t first, int64_t n, int64_t most);
/* Bytes of ZO_CUDA_WEIGHT that one row takes, at all points; 0 where rows are read in place. */
size_t zo_cuda_layer_row_bytes(const zo_cuda_layer *layer);
/* y (P,T,n) = [y +] scale (x W^T [+ q U^T]) + bias for these rows, then gelu_tanh where told. bias (n) at `stride` from point to point (0 = one for all),
 * NULL = none. `single`: one product over the tokens of all points, only where the layer is shared and the bias, too. False where the
 * library has no algorithm with this epilogue: then y is without bias and activation. */
bool zo_cuda_layer_product(zo_backend *be, const zo_cuda_layer *layer, const zo_cuda_rows *rows, bool single, const float *bias, int64_t stride,
                           bool gelu_tanh, float *y);
/* Products for the counters. */
uint64_t zo_cuda_layer_flops(const zo_cuda_layer *layer);
/* Normals drawn for each element of a parameter, for the counters. */
uint64_t zo_cuda_drawn(const zo_view *view, int param);
/* Whether the parameter stands in one place for all points. */
bool zo_cuda_one_base(const zo_view *view, int param);
/* Rows [first, first + n) of a matrix or table, (n, *ld) f32, for a backward pass: where they stand, or in ZO_CUDA_WEIGHT. Of one that is held as codes
 * all rows. */
const float *zo_cuda_rows_of(zo_backend *be, const zo_store *store, int param, int64_t first, int64_t n, int64_t *ld);
const float *zo_cuda_numbers_of(zo_backend *be, const zo_store *store, int weight, int64_t *ld); /* all of them */
/* A vector, the same, into `purpose`; NULL when param is -1. */
const float *zo_cuda_vector_of(zo_backend *be, const zo_store *store, int param, zo_cuda_shared purpose);
/* Gradients are f32, or TF32 where that was asked for: 16 bits would need their loss scaled. */
static inline zo_precision zo_cuda_gradient_precision(zo_precision precision)
{
    return precision == ZO_TF32 ? ZO_TF32 : ZO_F32;
}
/* grad[j] += sum_t x[t * stride + j], j < cols, in a fixed order. */
void zo_cuda_column_sums(zo_backend *be, const float *x, int64_t stride, int64_t tokens, int64_t cols, float *grad);

#endif
