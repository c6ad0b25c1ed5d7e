/* fields.h: rows as tables of fields: a column and the member of a struct that fills it, from which statements and their values follow. Private to
 * results/. */
#ifndef ZO_RESULTS_FIELDS_H
#define ZO_RESULTS_FIELDS_H

#include <stddef.h>

#include "results/database.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_field_type {
    ZO_FIELD_TEXT,     /* const char *, NULL = NULL */
    ZO_FIELD_CHARS,    /* char[] */
    ZO_FIELD_INT,      /* int64_t */
    ZO_FIELD_UNSIGNED, /* uint64_t */
    ZO_FIELD_BYTES,    /* uint64_t, 0 = NULL */
    ZO_FIELD_INT32,    /* int */
    ZO_FIELD_KNOWN,    /* int64_t, negative = NULL */
    ZO_FIELD_FLAG,     /* bool */
    ZO_FIELD_REAL      /* double, not finite = NULL */
} zo_field_type;
typedef struct zo_field { const char *column; zo_field_type type; size_t offset; } zo_field;
#define ZO_FIELDS(list) ((int)(sizeof(list) / sizeof *(list)))

void zo_put_fields(zo_binder *b, const zo_field *f, int n, const void *row);

/* Appends "a, b, c", or with `each` "a = ?, b = ?", behind a comma where the text does not end in a blank. */
void zo_list_columns(char *sql, size_t size, const zo_field *f, int n, bool each);

/* Closes "INSERT INTO table (columns" with a ? for each of n columns and, where not NULL, a column more whose value is the text `last`. */
void zo_end_insert(char *sql, size_t size, int n, const char *last);

#ifdef __cplusplus
}
#endif

#endif
