/* labels.h: what tells settings apart, in words: " batch 8 rank 4". Progress lines, reports and pictures all name their settings by this, so that a
 * setting has one name everywhere. */
#ifndef ZO_RESULTS_LABELS_H
#define ZO_RESULTS_LABELS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/conf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One of the settings that are compared; borrows. */
typedef struct zo_setting {
    const cJSON *value;    /* key -> value; of keys of the table only where `cell` is NULL */
    const void *cell;      /* the struct that the table describes; all settings of a call have one, or none has */
    const char *name;      /* what its label begins with, such as the optimizer; NULL = "" */
    uint64_t frame, scope; /* any numbers: settings of one frame are compared, and what differs in a frame stands in every label of its scope */
} zo_setting;

/* The number of a text on top of `hash`, for frames and scopes; ("a", "b") has another than ("ab", ""). */
uint64_t zo_label_hash(uint64_t hash, const char *text);

typedef struct zo_label_spec {
    const zo_opt *keys;  /* the table of keys, whose order labels have; other keys come behind, in the order in which they are met. NULL = no table */
    unsigned left_flags; /* keys of the table with one of these flags are left out */
    const char *left;    /* and these, "lr,rank"; NULL = none */
} zo_label_spec;

/* (n) labels: the name, then " key value" in full for each key that differs and that the setting has. Linear in n. The caller gives each and the
 * array back with zo_free. */
char **zo_labels_make(const zo_label_spec *spec, const zo_setting *setting, int64_t n);
void zo_labels_free(char **label, int64_t n);

/* A value as labels have it: the word of a number that has one ("all" for -1), a string without its quotes, else JSON. key NULL = none of the table;
 * value NULL = "". The caller gives it back with zo_free. */
char *zo_label_value(const zo_opt *key, const cJSON *value);

/* Does the list "lr,rank" have this key? NULL is the empty list. */
bool zo_key_in_list(const char *list, const char *key);

#ifdef __cplusplus
}
#endif
#endif
