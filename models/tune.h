/* tune.h: parameter views: which parameters of a model are trained. A view is a value, read from a config's key "tune" and applied to a layout
 * before there are weights; from then on the layout says of each parameter whether it is frozen (backends/store.h), and nothing else knows of
 * views. Each kind of view describes itself in a zo_tune_kind: one entry here or one file, and a line in tune_list.h. */
#ifndef ZO_MODELS_TUNE_H
#define ZO_MODELS_TUNE_H

#include "core/conf.h"
#include "models/arch.h"

#ifdef __cplusplus
extern "C" {
#endif

struct zo_model;

typedef struct zo_tune_kind {
    const char *name;      /* "last" */
    const char *help;      /* one line: what is trained, and its source */
    const zo_opt *options; /* its own keys, of the struct that stands in zo_tune.options; NULL = none. A key "from" is zo_tune_from's */
    /* Puts into the arch what the view adds to the model (zo_arch.prefix, .lora), before there is a layout. It does not look at the model, so that a
     * config is read without one: ZO_EINPUT where the options are wrong. NULL = nothing. */
    zo_status (*extend)(const void *options, zo_arch *arch, zo_err *err);
    /* frozen (n of the layout) comes all false: what is not trained is marked. ZO_EINPUT, one sentence, where the model has nothing of the
     * kind. That something is trained is checked by the caller. NULL = everything is trained. */
    zo_status (*choose)(const void *options, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err);
    /* Gives what was added its first values, drawn from `seed` or read; the model has its own weights, and nothing is reserved. NULL = nothing. */
    zo_status (*begin)(const void *options, struct zo_model *model, uint64_t seed, zo_err *err);
    bool scales; /* it may train the scales of matrices that are held as codes; of any other view they are no parameters, and stay */
} zo_tune_kind;

enum { ZO_TUNE_BYTES = 640 };
typedef struct zo_tune {
    const zo_tune_kind *kind;
    union { int64_t integer; double real; char bytes[ZO_TUNE_BYTES]; } options; /* of the kind */
} zo_tune;

/* All kinds, the default ("full") first; returns how many. */
int zo_tune_kinds(const zo_tune_kind *const **list);

/* From a config: a name ("head"), an object ({"name": "last", "layers": 4}), or the text of zo_tune_text. `where` stands in messages. */
zo_status zo_tune_read(const struct cJSON *value, const char *where, zo_tune *tune, zo_err *err);
zo_status zo_tune_parse(const char *text, const char *where, zo_tune *tune, zo_err *err);

/* The one text of a view, "last layers 4": the name, then each of its keys and the value, but for `younger` ones that are their defaults. It has no
 * blank within a value and is shorter than ZO_OPT_STRING_BYTES: what is longer was refused when it was read. Returns `text`. */
char *zo_tune_text(const zo_tune *tune, char text[ZO_OPT_STRING_BYTES]);

/* The folder of an earlier run that the parameters begin as which the view adds: its key "from", or NULL. */
const char *zo_tune_from(const zo_tune *tune);

/* Is this parameter of a classification head that is none of the base model's (BERT's pooler is)? Views that add parameters train it beside them, as
 * PEFT does. */
bool zo_tune_is_new_head(const zo_arch *arch, zo_head head, const zo_layout *layout, const zo_param *param);

/* Puts into the arch what the view adds to the model; NULL = nothing. Before zo_arch_layout. */
zo_status zo_tune_extend(const zo_tune *tune, zo_arch *arch, zo_err *err);
/* Freezes what the view does not train; NULL = everything is trained. `layout` is that of zo_arch_layout for this head, and there is no store of
 * it yet. ZO_EINPUT where nothing would be trained. */
zo_status zo_tune_apply(const zo_tune *tune, const zo_arch *arch, zo_head head, zo_layout *layout, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
