/* texts.c: see texts.h. */
#include "results/texts.h"

#include <string.h>

#include "core/io.h"
#include "core/mem.h"

int zo_texts_index(zo_texts *t, const char *text)
{
    bool is_new;
    int64_t *at = zo_hashmap_at(&t->index, zo_fnv1a(ZO_FNV_START, text, strlen(text)), &is_new);
    if (is_new) {
        if ((t->n & (t->n - 1)) == 0) {
            t->text = zo_realloc(t->text, ZO_HOST, ZO_TAG_OTHER, (size_t)(t->n > 0 ? 2 * t->n : 1) * sizeof *t->text);
        }
        t->text[t->n] = zo_strdup(ZO_TAG_OTHER, text);
        *at = t->n++;
    }
    return (int)*at;
}

void zo_texts_free(zo_texts *t)
{
    for (int i = 0; i < t->n; i++) {
        zo_free(t->text[i]);
    }
    zo_free(t->text);
    zo_hashmap_free(&t->index);
}
