/* expect.c: see expect.h. */
#include "bench/matrix/expect.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "core/mem.h"

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

static const char *const confidence_name[ZO_CONFIDENCES] = {"read", "read-2nd", "figure", "derived", "unverified"};
static const struct { const char *name, *unit; double most; } published[ZO_PUBLISHED] = {
    {"metric", "percent", 100}, {"memory", "GB", 1e5}, {"step", "s", 1e5}, {"hours", "h", 1e6}, {"ratio", "times", 1e4}, {"metric-ratio", "times", 1e4}};

const char *zo_confidence_name(zo_confidence confidence)
{
    return confidence_name[confidence];
}

const char *zo_published_name(zo_published figure)
{
    return published[figure].name;
}

const char *zo_published_unit(zo_published figure)
{
    return published[figure].unit;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

typedef struct reader {
    const char *path;
    const zo_grid *grid;
    cJSON **cell;        /* (grid->n) whole configs of the cells */
    zo_expectation *to;
    int64_t room;
    int block, row;      /* where it is; row -1 = in none */
    zo_err *err;
} reader;

static zo_status refuse(const reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static zo_status refuse(const reader *r, const char *format, ...)
{
    char text[sizeof r->err->text], where[40] = "";
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (r->row >= 0) {
        snprintf(where, sizeof where, ".values[%d]", r->row);
    }
    return zo_fail(r->err, ZO_EINPUT, "%s: expect[%d]%s: %s", r->path, r->block, where, text);
}

static const char *kind_of(const cJSON *value)
{
    return value != NULL ? zo_json_kind(value) : "missing";
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static zo_status check_keys(const reader *r, const cJSON *object, const char *const *key, int n)
{
    if (!cJSON_IsObject(object)) {
        return refuse(r, "is %s; expected an object", kind_of(object));
    }
    const char *twice = zo_json_double_key(object);
    if (twice != NULL) {
        return refuse(r, "\"%.40s\" stands there twice; keep one", twice);
    }
    for (const cJSON *o = object->child; o != NULL; o = o->next) {
        bool known = false;
        for (int k = 0; k < n; k++) {
            known = known || strcmp(o->string, key[k]) == 0;
        }
        if (!known) {
            const char *near = zo_nearest(o->string, key, n);
            return refuse(r, "there is no key \"%.40s\"%s%s%s", o->string, near != NULL ? "; did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
        }
    }
    return ZO_OK;
}

/* The word that `object` or, where it has none, `above` has under this key, as a number in the list. */
static zo_status read_word(const reader *r, const cJSON *object, const cJSON *above, const char *key, const char *const *word, int n, int *at)
{
    const cJSON *value = member(object, key) != NULL ? member(object, key) : member(above, key);
    for (int k = 0; cJSON_IsString(value) && k < n; k++) {
        if (strcmp(value->valuestring, word[k]) == 0) {
            *at = k;
            return ZO_OK;
        }
    }
    char known[200] = "";
    for (int k = 0; k < n; k++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", k > 0 ? ", " : "", word[k]);
    }
    return cJSON_IsString(value) ? refuse(r, "\"%s\" is \"%.40s\"; expected one of %s", key, value->valuestring, known)
                                 : refuse(r, "\"%s\" is %s; a published value has one of %s", key, kind_of(value), known);
}

static zo_status read_count(const reader *r, const cJSON *value, const char *key, int64_t *count)
{
    *count = 0;
    if (value == NULL) {
        return ZO_OK;
    }
    if (!cJSON_IsNumber(value) || value->valuedouble < 1 || value->valuedouble > 1e9 || value->valuedouble != floor(value->valuedouble)) {
        return refuse(r, "\"%s\" has %s; expected whole numbers from 1 on", key, cJSON_IsNumber(value) ? "another number" : kind_of(value));
    }
    *count = (int64_t)value->valuedouble;
    return ZO_OK;
}

/* A list with an entry a column, or nothing. */
static zo_status check_columns(const reader *r, const cJSON *list, const char *key, int columns)
{
    if (list != NULL && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != columns)) {
        return cJSON_IsArray(list) ? refuse(r, "\"%s\" has %d entries, and there are %d columns; give one a column", key, cJSON_GetArraySize(list), columns)
                                   : refuse(r, "\"%s\" is %s; expected a list with an entry a column", key, kind_of(list));
    }
    return ZO_OK;
}

static zo_status read_number(const reader *r, const cJSON *value, const char *key, double most, double *number)
{
    *number = NAN;
    if (value == NULL || cJSON_IsNull(value)) {
        return ZO_OK;
    }
    if (!cJSON_IsNumber(value) || !(value->valuedouble >= 0 && value->valuedouble <= most)) {
        return cJSON_IsNumber(value) ? refuse(r, "\"%s\" has %g; expected 0 to %g", key, value->valuedouble, most)
                                     : refuse(r, "\"%s\" has %s; expected numbers, or null where the paper has none", key, kind_of(value));
    }
    *number = value->valuedouble;
    return ZO_OK;
}

/* The block's column key, and its values; NULL where there is one column. */
typedef struct block { const cJSON *json, *column; int columns; zo_published figure; } block;

/* Counts the cells that it is. */
static zo_status find_cells(const reader *r, const char *column, zo_expected *e)
{
    int64_t over = 0;
    char where[4200];
    snprintf(where, sizeof where, "%s: expect[%d].values[%d].of", r->path, r->block, r->row);
    zo_status status = zo_partial_read(e->of, where, r->err);
    for (int64_t i = 0; i < r->grid->n && status == ZO_OK; i++) {
        e->cells += zo_partial_matches(r->cell[i], e->of);
    }
    if (status == ZO_OK && e->over != NULL) {
        snprintf(where, sizeof where, "%s: expect[%d].values[%d].over", r->path, r->block, r->row);
        status = zo_partial_read(e->over, where, r->err);
        for (int64_t i = 0; i < r->grid->n && status == ZO_OK; i++) {
            over += zo_partial_matches(r->cell[i], e->over);
        }
        if (status == ZO_OK && over == 0) {
            return refuse(r, "no cell of the config is what %s is divided by; mend \"over\" or the config", e->name);
        }
    }
    if (status != ZO_OK) {
        return status;
    }
    if (e->cells == 0 && e->not_run == NULL) {
        return refuse(r, "no cell of the config is %s%s%s; mend \"of\" or the config, or say \"not_run\" and why", e->name, column[0] != '\0' ? " of " : "", column);
    }
    if (e->cells > 0 && e->not_run != NULL) {
        return refuse(r, "%lld cells of the config are %s%s%s, which is said not to be run; delete that sentence", (long long)e->cells, e->name,
                      column[0] != '\0' ? " of " : "", column);
    }
    return ZO_OK;
}

/* A copy with the column's key in it, for the caller to delete. */
static cJSON *partial_of(const block *b, const cJSON *column, const cJSON *said)
{
    cJSON *of = said != NULL ? cJSON_Duplicate(said, true) : cJSON_CreateObject();
    if (column != NULL && !cJSON_HasObjectItem(of, b->column->string)) {
        cJSON_AddStringToObject(of, b->column->string, column->valuestring);
    }
    return of;
}

static zo_status read_value(reader *r, const block *b, const cJSON *row, int at)
{
    if (r->to->n == r->room) {
        r->room = r->room > 0 ? 2 * r->room : 64;
        r->to->value = zo_realloc(r->to->value, ZO_HOST, ZO_TAG_OTHER, (size_t)r->room * sizeof *r->to->value);
    }
    zo_expected *e = &r->to->value[r->to->n];
    const cJSON *source = member(row, "source") != NULL ? member(row, "source") : member(b->json, "source"), *column = cJSON_GetArrayItem(b->column, at),
                *seeds = member(row, "seeds") != NULL ? member(row, "seeds") : member(b->json, "seeds"), *not_run = member(row, "not_run"),
                *spread = member(row, "spread");
    *e = (zo_expected){.block = r->block, .row = r->row, .column = at, .name = member(row, "name")->valuestring,
                       .column_name = column != NULL ? column->valuestring : "", .figure = b->figure};
    if (!cJSON_IsString(source) || source->valuestring[0] == '\0') {
        return refuse(r, "\"source\" is %s; a published value has the text, and its table or figure", kind_of(source));
    }
    e->source = source->valuestring;
    int confidence = 0;
    const cJSON *absent = column != NULL ? member(member(b->json, "absent"), column->valuestring) : NULL;
    if (read_word(r, row, b->json, "confidence", confidence_name, ZO_CONFIDENCES, &confidence) ||
        read_number(r, cJSON_GetArrayItem(member(row, "value"), at), "value", published[b->figure].most, &e->value) ||
        read_number(r, cJSON_GetArrayItem(spread, at), "spread", published[b->figure].most, &e->spread) || read_count(r, seeds, "seeds", &e->seeds) ||
        read_count(r, cJSON_GetArrayItem(member(b->json, "rows"), at), "rows", &e->rows)) {
        return r->err->status;
    }
    e->confidence = (zo_confidence)confidence;
    e->not_run = not_run != NULL ? not_run->valuestring : absent != NULL ? absent->valuestring : NULL;
    if (isnan(e->value)) {
        return ZO_OK; /* the paper has none: it is no value */
    }
    e->of = partial_of(b, column, member(row, "of"));
    e->over = member(row, "over") != NULL ? partial_of(b, column, member(row, "over")) : NULL;
    r->to->n++;
    return member(row, "of") != NULL ? find_cells(r, e->column_name, e) : ZO_OK;
}

static zo_status read_row(reader *r, const block *b, const cJSON *row)
{
    static const char *const keys[] = {"name", "of", "over", "value", "spread", "source", "confidence", "seeds", "not_run"};
    zo_status status = check_keys(r, row, keys, COUNT(keys));
    const cJSON *name = member(row, "name"), *not_run = member(row, "not_run"), *of = member(row, "of");
    if (status == ZO_OK && (!cJSON_IsString(name) || name->valuestring[0] == '\0')) {
        status = refuse(r, "\"name\" is %s; expected what the paper calls the row", kind_of(name));
    }
    if (status == ZO_OK && not_run != NULL && (!cJSON_IsString(not_run) || not_run->valuestring[0] == '\0')) {
        status = refuse(r, "\"not_run\" is %s; expected why no cell is it, in words", kind_of(not_run));
    }
    if (status == ZO_OK && (of == NULL ? not_run == NULL : !cJSON_IsObject(of))) {
        status = refuse(r, "\"of\" is %s; expected a partial cell such as {\"optimizer\": NAME}, or \"not_run\" and why", kind_of(of));
    }
    const cJSON *over = member(row, "over");
    bool is_ratio = b->figure == ZO_PUBLISHED_RATIO || b->figure == ZO_PUBLISHED_METRIC_RATIO;
    if (status == ZO_OK && is_ratio != (over != NULL) && (over != NULL || not_run == NULL)) {
        status = over != NULL ? refuse(r, "\"over\" is of ratios alone; take it away, or say \"figure\": \"ratio\"")
                              : refuse(r, "\"over\" is missing; a ratio has the partial cell that it is divided by");
    }
    if (status == ZO_OK && over != NULL && !cJSON_IsObject(over)) {
        status = refuse(r, "\"over\" is %s; expected a partial cell such as {\"optimizer\": NAME}", kind_of(over));
    }
    if (status == ZO_OK && !cJSON_IsArray(member(row, "value"))) {
        status = refuse(r, "\"value\" is %s; expected a list with a value a column", kind_of(member(row, "value")));
    }
    status = status == ZO_OK ? check_columns(r, member(row, "value"), "value", b->columns) : status;
    status = status == ZO_OK ? check_columns(r, member(row, "spread"), "spread", b->columns) : status;
    for (int at = 0; at < b->columns && status == ZO_OK; at++) {
        status = read_value(r, b, row, at);
    }
    return status;
}

static zo_status read_block(reader *r, const cJSON *json)
{
    static const char *const keys[] = {"source", "confidence", "figure", "unit", "seeds", "columns", "rows", "absent", "values"};
    const char *name[ZO_PUBLISHED], *unit[ZO_PUBLISHED];
    for (int f = 0; f < ZO_PUBLISHED; f++) {
        name[f] = published[f].name;
        unit[f] = published[f].unit;
    }
    block b = {.json = json, .columns = 1};
    int figure = 0, said = 0;
    zo_status status = check_keys(r, json, keys, COUNT(keys));
    status = status == ZO_OK ? read_word(r, json, NULL, "figure", name, ZO_PUBLISHED, &figure) : status;
    status = status == ZO_OK ? read_word(r, json, NULL, "unit", unit, ZO_PUBLISHED, &said) : status;
    if (status == ZO_OK && strcmp(unit[said], unit[figure]) != 0) {
        status = refuse(r, "\"unit\" is \"%s\", and a %s is in \"%s\"; convert the values", unit[said], name[figure], unit[figure]);
    }
    b.figure = (zo_published)figure;
    const cJSON *columns = member(json, "columns"), *values = member(json, "values"), *absent = member(json, "absent");
    if (status == ZO_OK && columns != NULL) {
        b.column = cJSON_IsObject(columns) && cJSON_GetArraySize(columns) == 1 ? columns->child : NULL;
        b.columns = cJSON_GetArraySize(b.column);
        bool texts = cJSON_IsArray(b.column) && b.columns > 0;
        for (const cJSON *c = texts ? b.column->child : NULL; c != NULL; c = c->next) {
            texts = texts && cJSON_IsString(c);
        }
        status = texts ? ZO_OK : refuse(r, "\"columns\" is not one key with a list of texts, such as {\"task\": [\"sst2\", \"rte\"]}");
    }
    for (const cJSON *a = status == ZO_OK && absent != NULL ? absent->child : NULL; a != NULL && status == ZO_OK; a = a->next) {
        bool found = cJSON_IsString(a) && a->valuestring[0] != '\0', is_column = false;
        for (const cJSON *c = b.column != NULL ? b.column->child : NULL; c != NULL; c = c->next) {
            is_column = is_column || strcmp(c->valuestring, a->string) == 0;
        }
        status = !found ? refuse(r, "\"absent\" has %s for \"%.40s\"; expected why no cell has it, in words", kind_of(a), a->string)
                 : is_column ? ZO_OK : refuse(r, "\"absent\" has \"%.40s\", which is no column", a->string);
    }
    status = status == ZO_OK ? check_columns(r, member(json, "rows"), "rows", b.columns) : status;
    if (status == ZO_OK && (!cJSON_IsArray(values) || values->child == NULL)) {
        status = refuse(r, "\"values\" is %s; expected a list of rows", cJSON_IsArray(values) ? "an empty list" : kind_of(values));
    }
    for (const cJSON *row = status == ZO_OK ? values->child : NULL; row != NULL && status == ZO_OK; row = row->next) {
        r->row++;
        status = read_row(r, &b, row);
    }
    r->row = -1;
    return status;
}

zo_status zo_expect_parse(const cJSON *config, const char *path, const zo_grid *grid, zo_expectation *expectation, zo_err *err)
{
    memset(expectation, 0, sizeof *expectation);
    const cJSON *list = member(config, "expect");
    if (list == NULL) {
        return ZO_OK;
    }
    if (!cJSON_IsArray(list)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"expect\" is %s; expected a list of blocks (bench/matrix/expect.h)", path, kind_of(list));
    }
    expectation->json = cJSON_Duplicate(list, true);
    reader r = {.path = path, .grid = grid, .to = expectation, .row = -1, .err = err};
    r.cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *r.cell);
    for (int64_t i = 0; i < grid->n; i++) {
        r.cell[i] = zo_cell_whole_config(&grid->cell[i]);
    }
    zo_status status = ZO_OK;
    for (const cJSON *b = expectation->json->child; b != NULL && status == ZO_OK; b = b->next, r.block++) {
        status = read_block(&r, b);
    }
    for (int64_t i = 0; i < grid->n; i++) {
        cJSON_Delete(r.cell[i]);
    }
    zo_free(r.cell);
    if (status != ZO_OK) {
        zo_expect_free(expectation);
    }
    return status;
}

zo_status zo_expect_read(const char *path, const zo_grid *grid, zo_expectation *expectation, zo_err *err)
{
    memset(expectation, 0, sizeof *expectation);
    cJSON *config;
    zo_status status = zo_json_read(path, &config, err);
    if (status == ZO_OK) {
        status = zo_expect_parse(config, path, grid, expectation, err);
        cJSON_Delete(config);
    }
    return status;
}

void zo_expect_free(zo_expectation *expectation)
{
    for (int64_t i = 0; i < expectation->n; i++) {
        cJSON_Delete(expectation->value[i].of);
        cJSON_Delete(expectation->value[i].over);
    }
    zo_free(expectation->value);
    cJSON_Delete(expectation->json);
    memset(expectation, 0, sizeof *expectation);
}
