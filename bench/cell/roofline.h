/* roofline.h: the floating-point operations and bytes of memory that a step must at least do, from the shapes of what it ran; and the
 * FLOPs in which work is counted (bench/cell/setup.h), by the same definition. */
#ifndef ZO_BENCH_CELL_ROOFLINE_H
#define ZO_BENCH_CELL_ROOFLINE_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What passes of one kind ran, summed. A pass over T tokens at P points adds P T to `tokens`. */
typedef struct zo_pass_sums {
    double passes, points;
    double formed;           /* points whose matrices had to be formed, for a direction acts on them; where it acts on some, their share of the numbers */
    double packed;           /* T alone, whatever P is */
    double tokens, rows;     /* rows: of the last hidden state that the head reads */
    double pairs, near_pairs; /* (query, key) pairs of all tokens' attention: in layers that see everything, and in those with a window */
    double row_pairs;         /* of the head's rows alone (the last layer's) */
    double kept;              /* tokens of earlier passes whose keys and values a layer reads, over layers (generation) */
} zo_pass_sums;

typedef struct zo_step_sums {
    zo_pass_sums forward, gradient;
    double weight_bytes_written;
    double rules; /* applications of a rule that has moments */
} zo_step_sums;

/* One pass over the batch at one point, of which nothing is formed. A token sees as many keys as its position says; those of a sequence that does not begin at
 * position 0 and has no parent were kept by an earlier pass. */
zo_pass_sums zo_pass_sums_of(const zo_arch *arch, const zo_batch *batch);
/* Adds a pass over that batch at the points of `view`; NULL: the stored weights. */
void zo_pass_sums_add(zo_pass_sums *sums, const zo_pass_sums *of_batch, const zo_view *view);

/* Products and attention of a part of a pass. */
typedef struct zo_products {
    double token_numbers, row_numbers; /* numbers of matrices that tokens, rows pass */
    double token_widths, row_widths;   /* inputs + outputs of those products */
    double layers, near_layers, last;  /* attention of all tokens, without and with a window; of the head's rows alone */
} zo_products;

/* What a pass uses of a model's parameters: sums over them. */
typedef struct zo_pass_terms {
    zo_products forward;
    zo_products backward; /* of a gradient, by what is trained: for each forward product one for its input, where something below is trained, and
                             one for its weight, where that is; the attention's is twice the forward's */
    zo_products again;    /* what checkpointing runs again: everything from the lowest block that has something trained, in it or below */
    double read_numbers, row_reads;             /* numbers that a pass reads whatever its tokens are; that a token's look-up reads */
    double read_numbers_back, row_reads_back;   /* of those, where a gradient comes */
    double trained_numbers, trained_reads;      /* all that are trained; of read_numbers */
    double coded_numbers, code_bytes;           /* of matrices that are held as codes, none of which is in read_numbers: their numbers, once a use, and bytes */
} zo_pass_terms;
zo_pass_terms zo_pass_terms_of(const zo_arch *arch, const zo_layout *layout, zo_head head, int classes);

/* FLOPs of such a part of the passes, as the head of roofline.c defines them. */
double zo_products_flops(const zo_pass_sums *sums, const zo_products *products, const zo_arch *arch);

typedef struct zo_work {
    double flops;          /* of products and attention in the model's precision */
    double backward_flops; /* of the backward products, which are f32 (TF32 where the precision is that) */
    double bytes;
} zo_work;

/* What `sums` took. moments: copies of the weights, in f32, that a rule reads and writes beside them (AdamW: 2). */
zo_work zo_step_work(const zo_step_sums *sums, const zo_arch *arch, const zo_layout *layout, zo_head head, int classes, zo_precision precision,
                     int weight_bytes, int moments);

/* The least bytes that the same steps of the same method must move however they are realised: see the head of roofline.c. `steps`: how many
 * `sums` is of. copy_bytes: of a number in all copies of the weights that each step reads beside them (a snapshot, a stored gradient), or of a
 * first-order method (sums->gradient is not empty) reads and writes (moments). */
double zo_least_bytes(const zo_step_sums *sums, double steps, const zo_arch *arch, const zo_layout *layout, zo_head head, int classes, int weight_bytes,
                      double copy_bytes);

#ifdef __cplusplus
}
#endif
#endif
