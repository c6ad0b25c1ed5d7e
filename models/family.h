/* family.h: what a family file (models/bert.c, ...) gives: config.json -> zo_arch and back, and the table from
 * canonical parameter names (models/arch.h) to the names that checkpoints use. Private to models/. Adding a
 * family: one file and one line in list.h. */
#ifndef ZO_MODELS_FAMILY_H
#define ZO_MODELS_FAMILY_H

#include "models/arch.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

/* config.json being read. The first error sticks: after it the readers return their fallback and change nothing,
 * so a family reads all its fields in a row and looks at `status` at the end. A key that is absent or null takes
 * the fallback, which is what transformers 5 takes (tests/golden/config_defaults.json). "n_embd|hidden_size" is one key in two spellings. */
typedef struct zo_config {
    const struct cJSON *json;
    const char *path; /* of the file, for messages */
    zo_status status;
    zo_err *err;
} zo_config;

int zo_config_int_or(zo_config *config, const char *key, int fallback, int least, int most);
double zo_config_real_or(zo_config *config, const char *key, double fallback, double least, double most);
bool zo_config_bool_or(zo_config *config, const char *key, bool fallback);
int zo_config_token(zo_config *config, const char *key, int fallback); /* a token id; the first of a list; null or negative: -1 = absent */
bool zo_config_is_null(zo_config *config, const char *key); /* it stands there, as null */
zo_act zo_config_act(zo_config *config, const char *key, zo_act fallback);
/* A key that, where present, must hold this value, since the one transformer cannot do anything else. */
void zo_config_only_bool(zo_config *config, const char *key, bool value);
void zo_config_only_text(zo_config *config, const char *key, const char *value);
/* Sets head_dim to hidden / heads, which a key "head_dim" may only repeat. */
void zo_config_heads_share(zo_config *config, zo_arch *arch);
void zo_config_only_once(zo_config *config); /* every key: no two alike, of which readers take one or the other */
void zo_config_only_empty(zo_config *config, const char *key); /* null, false, {} or [] */
void zo_config_fail(zo_config *config, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A float in as few digits as give it back. */
void zo_config_add_float(struct cJSON *json, const char *key, float value);
void zo_config_add_floats(struct cJSON *json, const char *key, const float *value, int n); /* a list of them */
/* Spelling of an activation in config.json. */
const char *zo_act_name(zo_act act);

/* How a checkpoint stores a parameter. Rows of a table that have one name are one tensor there: the outputs of each behind those of the row before
 * it (GPT-2's c_attn, Phi-3's qkv_proj and gate_up_proj), or with HEADS head by head. */
typedef enum zo_stored {
    ZO_STORED_PLAIN,  /* as it is here */
    ZO_STORED_CONV1D, /* GPT-2's Conv1D: a matrix is (in, out) */
    ZO_STORED_HEADS   /* of parameters that are one tensor: the outputs of a head of the first, of the second, ..., then the next head of each (GPT-NeoX's
                         query_key_value) */
} zo_stored;

typedef struct zo_name_row {
    const char *ours; /* canonical name with # for the block; with or without its .weight / .bias, which is then
                         appended */
    const char *theirs; /* name(s) in checkpoints, first the one to write, separated by |, or by & where transformers has the parameter under both and
                           both are written; the same # and the same ending */
    bool base; /* belongs to the base model: `prefixes` stand before it */
    zo_stored stored;
} zo_name_row;

/* Names in checkpoints that are no parameters here and are passed over in silence; every other tensor that nothing reads is named in a note.
 * A pattern may begin with * (anything before); # is a block's number; it fits a name that it begins, up to a dot or the end. */
typedef enum zo_silent {
    ZO_SILENT_ALWAYS, /* buffers that follow from config.json, heads that no objective here has */
    ZO_SILENT_CLASS,  /* the classification head: silent where the objective is another */
    ZO_SILENT_LM      /* the language-model head: likewise */
} zo_silent;
typedef struct zo_silent_row { const char *pattern; zo_silent when; } zo_silent_row;

typedef struct zo_family {
    const char *name; /* model_type */
    const char *const *prefixes; /* tried in order, NULL-terminated; first the one to write */
    const zo_name_row *names; /* ends with ours == NULL; the first row that fits wins */
    const zo_silent_row *silent; /* ends with pattern == NULL */
    const char *class_architecture; /* "BertForSequenceClassification" */
    const char *lm_architecture; /* "BertForMaskedLM" */
    const char *base_architecture; /* "BertModel" */
    bool scaled_residual_init; /* GPT-2: the projections into the residual stream have std init_std / sqrt(2
                                  layers) */
    bool pad_row_zero; /* the padding token's embedding starts as zeros (nn.Embedding's padding_idx) */
    void (*read)(zo_config *config, zo_arch *arch); /* errors through the config; arch starts as zeros */
    void (*write)(const zo_arch *arch, struct cJSON *json); /* adds the family's keys */
} zo_family;

/* NULL when there is none of this name. */
const zo_family *zo_family_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
