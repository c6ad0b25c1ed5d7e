/* labels.c: comparing settings key by key, and writing down what differs. */
#include "results/labels.h"

#include <stdio.h>
#include <string.h>

#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"

uint64_t zo_label_hash(uint64_t hash, const char *text)
{
    return zo_fnv1a(hash, text, strlen(text) + 1);
}

bool zo_key_in_list(const char *list, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t m = strcspn(at, ",");
        if (m == n && memcmp(at, key, n) == 0) {
            return true;
        }
        at += m + (at[m] == ',');
    }
    return false;
}

char *zo_label_value(const zo_opt *key, const cJSON *value)
{
    if (value == NULL || cJSON_IsString(value)) {
        return zo_strdup(ZO_TAG_OTHER, value != NULL ? value->valuestring : "");
    }
    if (key != NULL && key->word != NULL && cJSON_IsNumber(value) && value->valuedouble == key->number) {
        return zo_strdup(ZO_TAG_OTHER, key->word);
    }
    char *json = cJSON_PrintUnformatted(value), *text = zo_strdup(ZO_TAG_OTHER, json);
    cJSON_free(json);
    return text;
}

/* ---- the keys that may differ -------------------------------------------------------------------------------------------- */

typedef struct column { const char *name; const zo_opt *key; /* NULL = not of the table */ } column;

typedef struct columns {
    column *column; /* (n) */
    int n;
    zo_hashmap index; /* of names that are not in the table */
} columns;

static void add_column(columns *c, const zo_label_spec *spec, const char *name, const zo_opt *key)
{
    if ((key != NULL && (key->flags & spec->left_flags) != 0) || zo_key_in_list(spec->left, name)) {
        return;
    }
    c->column = zo_realloc(c->column, ZO_HOST, ZO_TAG_OTHER, (size_t)(c->n + 1) * sizeof *c->column);
    c->column[c->n++] = (column){.name = name, .key = key};
}

static columns find_columns(const zo_label_spec *spec, const zo_setting *setting, int64_t n)
{
    columns c = {0};
    for (const zo_opt *k = spec->keys; k != NULL && k->key != NULL; k++) {
        add_column(&c, spec, k->key, k);
    }
    for (int64_t i = 0; i < n; i++) {
        for (const cJSON *v = setting[i].value != NULL ? setting[i].value->child : NULL; v != NULL; v = v->next) {
            bool is_new;
            zo_hashmap_at(&c.index, zo_label_hash(ZO_FNV_START, v->string), &is_new);
            if (is_new && (spec->keys == NULL || zo_opt_find(spec->keys, v->string) == NULL)) {
                add_column(&c, spec, v->string, NULL);
            }
        }
    }
    zo_hashmap_free(&c.index);
    return c;
}

/* ---- comparing ------------------------------------------------------------------------------------------------------------ */

/* The value of a key, or NULL. `next`: where it probably stands, since objects have their keys in one order; moved behind it. */
static const cJSON *value_at(const cJSON *object, const char *name, const cJSON **next)
{
    const cJSON *v = *next != NULL && strcmp((*next)->string, name) == 0 ? *next : cJSON_GetObjectItemCaseSensitive(object, name);
    *next = v != NULL ? v->next : *next;
    return v;
}

/* Marks the columns in which two settings differ. */
static void compare(const columns *c, const zo_setting *a, const zo_setting *b, bool *differs)
{
    const cJSON *next_a = a->value != NULL ? a->value->child : NULL, *next_b = b->value != NULL ? b->value->child : NULL;
    for (int k = 0; k < c->n; k++) {
        const column *of = &c->column[k];
        if (differs[k]) {
            continue;
        }
        if (a->cell != NULL && of->key != NULL) {
            differs[k] = !zo_opt_equal(of->key, a->cell, b->cell);
        } else {
            const cJSON *x = value_at(a->value, of->name, &next_a), *y = value_at(b->value, of->name, &next_b);
            differs[k] = x != y && (x == NULL || y == NULL || !cJSON_Compare(x, y, true));
        }
    }
}

static void append_pair(char **label, const char *name, const char *value)
{
    size_t used = strlen(*label), room = used + strlen(name) + strlen(value) + 3;
    *label = zo_realloc(*label, ZO_HOST, ZO_TAG_OTHER, room);
    snprintf(*label + used, room - used, " %s %s", name, value);
}

static char *make_label(const columns *c, const zo_setting *s, const bool *differs)
{
    char *label = zo_strdup(ZO_TAG_OTHER, s->name != NULL ? s->name : "");
    for (int k = 0; k < c->n; k++) {
        const column *of = &c->column[k];
        if (!differs[k]) {
            continue;
        }
        cJSON *made = s->cell != NULL && of->key != NULL ? zo_opt_value(of->key, s->cell) : NULL;
        const cJSON *value = made != NULL ? made : cJSON_GetObjectItemCaseSensitive(s->value, of->name);
        if (value != NULL) {
            char *text = zo_label_value(of->key, value);
            append_pair(&label, of->name, text);
            zo_free(text);
        }
        cJSON_Delete(made);
    }
    return label;
}

char **zo_labels_make(const zo_label_spec *spec, const zo_setting *setting, int64_t n)
{
    columns c = find_columns(spec, setting, n);
    zo_hashmap frame_map = {0}, scope_map = {0};
    size_t room = (size_t)n + 1;
    int64_t *first = zo_alloc(ZO_HOST, ZO_TAG_OTHER, room * sizeof *first); /* (frames) its first setting */
    int64_t *scope = zo_alloc(ZO_HOST, ZO_TAG_OTHER, room * sizeof *scope); /* (n) */
    for (int64_t i = 0; i < n; i++) {
        scope[i] = zo_hashmap_number(&scope_map, setting[i].scope);
    }
    size_t width = (size_t)c.n;
    bool *differs = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)scope_map.n * width + 1) * sizeof *differs); /* (scopes, columns) */
    for (int64_t i = 0; i < n; i++) {
        int64_t known = frame_map.n, frame = zo_hashmap_number(&frame_map, setting[i].frame);
        if (frame == known) {
            first[frame] = i;
        } else {
            compare(&c, &setting[first[frame]], &setting[i], differs + (size_t)scope[i] * width);
        }
    }
    char **label = zo_alloc(ZO_HOST, ZO_TAG_OTHER, room * sizeof *label);
    for (int64_t i = 0; i < n; i++) {
        label[i] = make_label(&c, &setting[i], differs + (size_t)scope[i] * width);
    }
    zo_hashmap_free(&frame_map);
    zo_hashmap_free(&scope_map);
    zo_free(first);
    zo_free(scope);
    zo_free(differs);
    zo_free(c.column);
    return label;
}

void zo_labels_free(char **label, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        zo_free(label[i]);
    }
    zo_free(label);
}
