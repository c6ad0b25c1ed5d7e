/* fields.c: rows as tables of fields; see fields.h. */
#include "results/fields.h"

#include <stdio.h>
#include <string.h>

static void put_field(zo_binder *b, const zo_field *f, const void *row)
{
    const char *at = (const char *)row + f->offset;
    switch (f->type) {
    case ZO_FIELD_TEXT:
        zo_put_text(b, *(const char *const *)at);
        break;
    case ZO_FIELD_CHARS:
        zo_put_text(b, at);
        break;
    case ZO_FIELD_INT:
    case ZO_FIELD_UNSIGNED:
        zo_put_int(b, *(const int64_t *)at);
        break;
    case ZO_FIELD_INT32:
        zo_put_int(b, *(const int *)at);
        break;
    case ZO_FIELD_BYTES:
    case ZO_FIELD_KNOWN:
        if (f->type == ZO_FIELD_BYTES ? *(const uint64_t *)at == 0 : *(const int64_t *)at < 0) {
            zo_put_text(b, NULL);
        } else {
            zo_put_int(b, *(const int64_t *)at);
        }
        break;
    case ZO_FIELD_FLAG:
        zo_put_int(b, *(const bool *)at);
        break;
    case ZO_FIELD_REAL:
        zo_put_real(b, *(const double *)at);
        break;
    }
}

void zo_put_fields(zo_binder *b, const zo_field *f, int n, const void *row)
{
    for (int i = 0; i < n; i++) {
        put_field(b, &f[i], row);
    }
}

void zo_list_columns(char *sql, size_t size, const zo_field *f, int n, bool each)
{
    size_t at = strlen(sql);
    for (int i = 0; i < n && at < size; i++) {
        at += (size_t)snprintf(sql + at, size - at, "%s%s%s", at > 0 && sql[at - 1] != ' ' ? ", " : "", f[i].column, each ? " = ?" : "");
    }
    ZO_CHECK(at < size, "the statement has more than %zu bytes", size);
}

void zo_end_insert(char *sql, size_t size, int n, const char *last)
{
    size_t at = strlen(sql);
    at += (size_t)snprintf(sql + at, size - at, ") VALUES (");
    for (int i = 0; i < n && at < size; i++) {
        at += (size_t)snprintf(sql + at, size - at, "%s?", i > 0 ? ", " : "");
    }
    at += at < size ? (size_t)snprintf(sql + at, size - at, "%s%s)", last != NULL ? ", " : "", last != NULL ? last : "") : 0;
    ZO_CHECK(at < size, "the statement has more than %zu bytes", size);
}
