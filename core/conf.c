/* conf.c: option tables read from and written to cJSON, and JSON files with errors that say where. */
#include "core/conf.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"

#define KEYS_MOST 256             /* keys of one table and its `also` */
#define NAME_MOST 64              /* longer names are never "near" */
#define JSON_MOST_BYTES ((size_t)1 << 29)

/* ---- values ----------------------------------------------------------------------------------------------------------- */

static void *member_of(const zo_opt *opt, void *options)
{
    return (char *)options + opt->offset;
}

const void *zo_opt_member(const zo_opt *opt, const void *options)
{
    return (const char *)options + opt->offset;
}

/* The choice `index` of "a|b|c": its start, and its length in *n; NULL past the last. */
static const char *choice_at(const char *choices, int index, size_t *n)
{
    for (const char *at = choices;; at++) {
        *n = strcspn(at, "|");
        if (index-- == 0) {
            return at;
        }
        at += *n;
        if (*at == '\0') {
            return NULL;
        }
    }
}

const char *zo_opt_choice(const zo_opt *opt, const void *options, size_t *n)
{
    int index = *(const int *)zo_opt_member(opt, options);
    const char *choice = index >= 0 ? choice_at(opt->choices, index, n) : NULL;
    ZO_CHECK(choice != NULL, "option %s holds %d, which is none of %s", opt->key, index, opt->choices);
    return choice;
}

static void set_text(char *member, const char *text)
{
    memset(member, 0, ZO_OPT_STRING_BYTES);
    memcpy(member, text, strnlen(text, ZO_OPT_STRING_BYTES - 1));
}

static void set_default(const zo_opt *opt, void *options)
{
    void *member = member_of(opt, options);
    switch (opt->type) {
    case ZO_OPT_INT:
        *(int64_t *)member = (int64_t)opt->initial;
        break;
    case ZO_OPT_REAL:
        *(double *)member = opt->initial;
        break;
    case ZO_OPT_BOOL:
        *(bool *)member = opt->initial != 0;
        break;
    case ZO_OPT_STRING:
        set_text(member, opt->text != NULL ? opt->text : "");
        break;
    case ZO_OPT_CHOICE:
        *(int *)member = (int)opt->initial;
        break;
    }
}

void zo_opt_defaults(const zo_opt *table, void *out)
{
    for (const zo_opt *opt = table; opt->key != NULL; opt++) {
        set_default(opt, out);
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------------ */

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* Edits that turn a into b, letter case apart: insert, delete, replace, swap two neighbours (optimal string alignment). */
static int edit_distance(const char *a, int na, const char *b, int nb)
{
    int row[3][NAME_MOST + 1];
    for (int j = 0; j <= nb; j++) {
        row[0][j] = j;
    }
    for (int i = 1; i <= na; i++) {
        int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            int ai = tolower((unsigned char)a[i - 1]), bj = tolower((unsigned char)b[j - 1]);
            int best = least_of(least_of(last[j], now[j - 1]) + 1, last[j - 1] + (ai != bj));
            if (i > 1 && j > 1 && ai == tolower((unsigned char)b[j - 2]) && bj == tolower((unsigned char)a[i - 2])) {
                best = least_of(best, before[j - 2] + 1);
            }
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

const char *zo_nearest(const char *name, const char *const *names, int n)
{
    size_t length = strnlen(name, NAME_MOST + 1);
    if (length == 0 || length > NAME_MOST) {
        return NULL;
    }
    int most = (int)length / 3, best = most > 1 ? most : 1;
    const char *nearest = NULL;
    for (int i = 0; i < n; i++) {
        size_t other = strnlen(names[i], NAME_MOST + 1);
        if (other == 0 || other > NAME_MOST) {
            continue;
        }
        int d = edit_distance(name, (int)length, names[i], (int)other);
        if (d < best || (d == best && nearest == NULL)) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

const char *zo_json_kind(const cJSON *value)
{
    return cJSON_IsNumber(value)   ? "a number"
           : cJSON_IsString(value) ? "a string"
           : cJSON_IsBool(value)   ? "true or false"
           : cJSON_IsArray(value)  ? "a list"
           : cJSON_IsObject(value) ? "an object"
                                   : "null";
}

double zo_json_number(const cJSON *object, const char *key, double fallback)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(v) ? v->valuedouble : fallback;
}

const char *zo_json_text(const cJSON *object, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(v) ? v->valuestring : "";
}

static zo_status fail_kind(zo_err *err, const char *where, const zo_opt *opt, const cJSON *value, const char *expected)
{
    return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is %s; expected %s (%s)", where, opt->key, zo_json_kind(value), expected,
                   opt->help != NULL ? opt->help : "see its documentation");
}

/* Whole numbers in full, others in as few digits as give them back. */
static const char *number_text(double x, char out[40])
{
    if (x == floor(x) && fabs(x) < 1e17) {
        snprintf(out, 40, "%.0f", x);
        return out;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, 40, "%.*g", digits, x);
        if (strtod(out, NULL) == x) {
            break;
        }
    }
    return out;
}

static zo_status read_number(const zo_opt *opt, const cJSON *value, const char *where, void *member, zo_err *err)
{
    bool whole = opt->type == ZO_OPT_INT;
    if (!cJSON_IsNumber(value)) {
        return fail_kind(err, where, opt, value, whole ? "a whole number" : "a number");
    }
    double x = value->valuedouble;
    if (!isfinite(x)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is too large to represent; write a finite number", where, opt->key);
    }
    char found[40], least[40], most[40];
    if (whole && (x != floor(x) || fabs(x) > 9007199254740992.0)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is %s; expected a whole number of at most 2^53", where, opt->key, number_text(x, found));
    }
    if (x < opt->least || x > opt->most) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is %s; expected %s to %s", where, opt->key, number_text(x, found),
                       number_text(opt->least, least), number_text(opt->most, most));
    }
    if (whole) {
        *(int64_t *)member = (int64_t)x;
    } else {
        *(double *)member = x;
    }
    return ZO_OK;
}

static zo_status read_choice(const zo_opt *opt, const cJSON *value, const char *where, int *member, zo_err *err)
{
    if (!cJSON_IsString(value)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is %s; expected one of %s in quotes", where, opt->key, zo_json_kind(value), opt->choices);
    }
    size_t n;
    const char *choice;
    for (int i = 0; (choice = choice_at(opt->choices, i, &n)) != NULL; i++) {
        if (strlen(value->valuestring) == n && memcmp(value->valuestring, choice, n) == 0) {
            *member = i;
            return ZO_OK;
        }
    }
    return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is \"%.100s\"; expected one of %s", where, opt->key, value->valuestring,
                   opt->choices);
}

static zo_status read_value(const zo_opt *opt, const cJSON *value, const char *where, void *options, zo_err *err)
{
    void *member = member_of(opt, options);
    switch (opt->type) {
    case ZO_OPT_INT:
    case ZO_OPT_REAL:
        return read_number(opt, value, where, member, err);
    case ZO_OPT_BOOL:
        if (!cJSON_IsBool(value)) {
            return fail_kind(err, where, opt, value, "true or false");
        }
        *(bool *)member = cJSON_IsTrue(value);
        return ZO_OK;
    case ZO_OPT_STRING:
        if (!cJSON_IsString(value)) {
            return fail_kind(err, where, opt, value, "a string");
        }
        if (strlen(value->valuestring) >= ZO_OPT_STRING_BYTES) {
            return zo_fail(err, ZO_EINPUT, "%s: \"%s\" has %zu bytes; at most %d are permitted", where, opt->key,
                           strlen(value->valuestring), ZO_OPT_STRING_BYTES - 1);
        }
        set_text(member, value->valuestring);
        return ZO_OK;
    case ZO_OPT_CHOICE:
        return read_choice(opt, value, where, member, err);
    }
    return ZO_OK;
}

const zo_opt *zo_opt_find(const zo_opt *table, const char *key)
{
    for (const zo_opt *opt = table; opt->key != NULL; opt++) {
        if (strcmp(opt->key, key) == 0) {
            return opt;
        }
    }
    return NULL;
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; at != NULL && *at != '\0';) {
        at += strspn(at, " ");
        size_t m = strcspn(at, " ");
        if (m == n && m > 0 && memcmp(at, word, n) == 0) {
            return true;
        }
        at += m;
    }
    return false;
}

static zo_status fail_key(zo_err *err, const zo_opt *table, const char *also, const char *where, const char *key)
{
    /* The words of `also` are cut apart in a copy; a table longer than KEYS_MOST only loses suggestions. */
    const char *names[KEYS_MOST];
    int n = 0;
    for (const zo_opt *opt = table; opt->key != NULL && n < KEYS_MOST; opt++) {
        names[n++] = opt->key;
    }
    char words[1024];
    snprintf(words, sizeof words, "%s", also != NULL ? also : "");
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word != NULL && n < KEYS_MOST; word = strtok_r(NULL, " ", &rest)) {
        names[n++] = word;
    }
    const char *nearest = zo_nearest(key, names, n);
    if (nearest != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: there is no key \"%.64s\"; did you mean \"%s\"?", where, key, nearest);
    }
    char list[600] = "";
    size_t at = 0;
    for (int i = 0; i < n && at < sizeof list; i++) {
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i > 0 ? " " : "", names[i]);
    }
    return zo_fail(err, ZO_EINPUT, "%s: there is no key \"%.64s\"; %s%s", where, key, n > 0 ? "its keys are: " : "it has no keys",
                   list);
}

zo_status zo_opt_read(const zo_opt *table, const struct cJSON *object, const char *also, const char *where, void *out, zo_err *err)
{
    zo_opt_defaults(table, out);
    if (object == NULL) {
        return ZO_OK;
    }
    if (!cJSON_IsObject(object)) {
        return zo_fail(err, ZO_EINPUT, "%s: is %s; expected an object of options", where, zo_json_kind(object));
    }
    for (const cJSON *value = object->child; value != NULL; value = value->next) {
        const char *key = value->string != NULL ? value->string : "";
        for (const cJSON *other = object->child; other != value; other = other->next) {
            if (other->string != NULL && strcmp(other->string, key) == 0) {
                return zo_fail(err, ZO_EINPUT, "%s: \"%.64s\" stands there twice; keep one", where, key);
            }
        }
        const zo_opt *opt = zo_opt_find(table, key);
        if (opt == NULL && has_word(also, key)) {
            continue;
        }
        zo_status status = opt == NULL ? fail_key(err, table, also, where, key) : read_value(opt, value, where, out, err);
        if (status != ZO_OK) {
            return status;
        }
    }
    return ZO_OK;
}

cJSON *zo_opt_value(const zo_opt *opt, const void *options)
{
    const void *member = zo_opt_member(opt, options);
    switch (opt->type) {
    case ZO_OPT_INT:
        return cJSON_CreateNumber((double)*(const int64_t *)member);
    case ZO_OPT_REAL:
        return cJSON_CreateNumber(*(const double *)member);
    case ZO_OPT_BOOL:
        return cJSON_CreateBool(*(const bool *)member);
    case ZO_OPT_STRING:
        return cJSON_CreateString(member);
    case ZO_OPT_CHOICE:
        break;
    }
    size_t n;
    const char *choice = zo_opt_choice(opt, options, &n);
    char name[ZO_OPT_STRING_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)n, choice);
    return cJSON_CreateString(name);
}

bool zo_opt_equal(const zo_opt *opt, const void *a, const void *b)
{
    const void *x = zo_opt_member(opt, a), *y = zo_opt_member(opt, b);
    switch (opt->type) {
    case ZO_OPT_INT:
        return *(const int64_t *)x == *(const int64_t *)y;
    case ZO_OPT_REAL:
        return *(const double *)x == *(const double *)y;
    case ZO_OPT_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case ZO_OPT_STRING:
        return strcmp(x, y) == 0;
    case ZO_OPT_CHOICE:
        break;
    }
    return *(const int *)x == *(const int *)y;
}

uint64_t zo_opt_hash(const zo_opt *opt, const void *options, uint64_t hash)
{
    static const size_t bytes[] = {[ZO_OPT_INT] = sizeof(int64_t), [ZO_OPT_REAL] = sizeof(double), [ZO_OPT_BOOL] = sizeof(bool), [ZO_OPT_CHOICE] = sizeof(int)};
    const void *member = zo_opt_member(opt, options);
    return zo_fnv1a(hash, member, opt->type == ZO_OPT_STRING ? strlen(member) + 1 : bytes[opt->type]);
}

cJSON *zo_opt_write(const zo_opt *table, const void *options)
{
    cJSON *object = cJSON_CreateObject();
    for (const zo_opt *opt = table; opt->key != NULL; opt++) {
        cJSON_AddItemToObject(object, opt->key, zo_opt_value(opt, options));
    }
    return object;
}

/* Room for one default. */
typedef union one_value { int64_t integer; double real; bool flag; int choice; char text[ZO_OPT_STRING_BYTES]; } one_value;

/* The key's default, in a struct of its own: *here is the key with its place there. */
static void default_alone(const zo_opt *opt, zo_opt *here, one_value *value)
{
    *here = *opt;
    here->offset = 0;
    set_default(here, value);
}

/* A number that reads back as the same double, in the fewest digits of two tries. */
static void print_real(double x, char *out, size_t size)
{
    snprintf(out, size, "%.15g", x);
    if (strtod(out, NULL) != x) {
        snprintf(out, size, "%.17g", x);
    }
}

static void print_value(const zo_opt *opt, const void *options, char *out, size_t size)
{
    const void *member = zo_opt_member(opt, options);
    size_t n;
    switch (opt->type) {
    case ZO_OPT_INT:
        snprintf(out, size, "%lld", (long long)*(const int64_t *)member);
        return;
    case ZO_OPT_REAL:
        print_real(*(const double *)member, out, size);
        return;
    case ZO_OPT_BOOL:
        snprintf(out, size, "%s", *(const bool *)member ? "true" : "false");
        return;
    case ZO_OPT_CHOICE: {
        const char *choice = zo_opt_choice(opt, options, &n);
        snprintf(out, size, "\"%.*s\"", (int)n, choice);
        return;
    }
    case ZO_OPT_STRING:
        break;
    }
    cJSON *string = cJSON_CreateString(member);
    char *text = cJSON_PrintUnformatted(string);
    snprintf(out, size, "%s", text);
    cJSON_free(text);
    cJSON_Delete(string);
}

size_t zo_opt_print(const zo_opt *table, const void *options, char *out, size_t size)
{
    size_t n = 0;
    snprintf(out, size, "%s", "");
    for (const zo_opt *opt = table; opt->key != NULL; opt++) {
        if (opt->younger) {
            zo_opt here;
            one_value initial;
            default_alone(opt, &here, &initial);
            if (zo_opt_equal(&here, &initial, zo_opt_member(opt, options))) {
                continue;
            }
        }
        char value[6 * ZO_OPT_STRING_BYTES + 3]; /* \u0001 for a byte */
        size_t room = n < size ? size - n : 0;
        print_value(opt, options, value, sizeof value);
        n += (size_t)snprintf(room > 0 ? out + n : NULL, room, "%s\"%s\":%s", n > 0 ? "," : "", opt->key, value);
    }
    return n;
}

void zo_opt_add_younger(const zo_opt *table, cJSON *object)
{
    for (const zo_opt *opt = table; opt->key != NULL; opt++) {
        if (opt->younger && !cJSON_HasObjectItem(object, opt->key)) {
            zo_opt here;
            one_value initial;
            default_alone(opt, &here, &initial);
            cJSON_AddItemToObject(object, opt->key, zo_opt_value(&here, &initial));
        }
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------------ */

/* What comes in place of a JSON file, by how it begins. */
static const struct { const char *start, *says; } instead[] = {
    {"<", "is a web page (HTML or XML), not JSON: a download gave the page in place of the file; fetch it again"},
    {"version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"},
    {"Entry not found", "is a server's answer that there is no such file, not JSON; fetch it again from the right place"},
    {"Not Found", "is a server's answer that there is no such file, not JSON; fetch it again from the right place"},
    {"404", "is a server's answer that there is no such file, not JSON; fetch it again from the right place"},
    {"Invalid username", "is a server's answer that the log-in failed, not JSON; log in and fetch it again"},
    {"Access to model", "is a server's answer that access was refused, not JSON; ask for access and fetch it again"},
    {"PK\003\004", "is a zip archive, not JSON; unpack it"},
    {"\377\376", "is UTF-16 text; save it as UTF-8"},
    {"\376\377", "is UTF-16 text; save it as UTF-8"},
};

/* How deep lists and objects are nested where the text ends at `at`. */
static long depth_at(const char *text, const char *at)
{
    long depth = 0;
    bool quoted = false;
    for (const char *c = text; c < at; c++) {
        if (quoted && *c == '\\') {
            c++; /* what is escaped ends nothing */
        } else if (*c == '"') {
            quoted = !quoted;
        } else if (!quoted) {
            depth += (*c == '[' || *c == '{') - (*c == ']' || *c == '}');
        }
    }
    return depth;
}

static zo_status fail_json(zo_err *err, const char *path, const char *text, size_t bytes, const char *at)
{
    const char *begin = text + strspn(text, " \t\r\n");
    for (size_t i = 0; i < sizeof instead / sizeof *instead; i++) {
        if (strncmp(begin, instead[i].start, strlen(instead[i].start)) == 0) {
            return zo_fail(err, ZO_EINPUT, "%s: %s", path, instead[i].says);
        }
    }
    if (begin == text + bytes) {
        return zo_fail(err, ZO_EINPUT, "%s: is empty where JSON was expected; write it or fetch it again", path);
    }
    long line = 1;
    const char *start = text;
    for (const char *c = text; c < at; c++) {
        if (*c == '\n') {
            line++;
            start = c + 1;
        }
    }
    long column = (long)(at - start) + 1;
    if ((*at == '[' || *at == '{') && depth_at(text, at) >= CJSON_NESTING_LIMIT) {
        return zo_fail(err, ZO_EINPUT, "%s: line %ld, column %ld: lists and objects are nested %d deep here, and at most %d are read; make it flatter",
                       path, line, column, CJSON_NESTING_LIMIT, CJSON_NESTING_LIMIT - 1);
    }
    char found[24];
    if (*at == '\0') {
        snprintf(found, sizeof found, "a zero byte or the end");
    } else if (isprint((unsigned char)*at)) {
        snprintf(found, sizeof found, "'%c'", *at);
    } else {
        snprintf(found, sizeof found, "byte 0x%02x", (unsigned)(unsigned char)*at);
    }
    return zo_fail(err, ZO_EINPUT, "%s: line %ld, column %ld: not JSON from here on (found %s); look for a missing comma, quote or bracket",
                   path, line, column, found);
}

const char *zo_json_escaped_zero(const char *text)
{
    for (const char *at = strchr(text, '\\'); at != NULL && at[1] != '\0'; at = strchr(at + 2, '\\')) {
        if (strncmp(at, "\\u0000", 6) == 0) {
            return at;
        }
    }
    return NULL;
}

zo_status zo_json_parse(const char *text, size_t bytes, const char *path, struct cJSON **json, zo_err *err)
{
    *json = NULL;
    /* A zero byte inside a string would silently cut it, escaped or not. */
    const char *zero = memchr(text, '\0', bytes);
    if (zero == NULL && (zero = zo_json_escaped_zero(text)) != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: byte %td: a string holds a zero byte (\\u0000), which no text here may; take it out", path, zero - text);
    }
    const char *end = text;
    cJSON *root = zero == NULL ? cJSON_ParseWithLengthOpts(text, bytes + 1, &end, 0) : NULL;
    if (root != NULL) {
        end += strspn(end, " \t\r\n");
    }
    if (root == NULL || end != text + bytes) {
        cJSON_Delete(root);
        return fail_json(err, path, text, bytes, zero != NULL ? zero : end);
    }
    *json = root;
    return ZO_OK;
}

zo_status zo_json_read(const char *path, struct cJSON **json, zo_err *err)
{
    *json = NULL;
    char *text;
    size_t bytes;
    zo_status status = zo_read_file(path, JSON_MOST_BYTES, &text, &bytes, err);
    if (status == ZO_OK) {
        status = zo_json_parse(text, bytes, path, json, err);
        zo_free(text);
    }
    return status;
}

static int key_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *zo_json_double_key(const struct cJSON *object)
{
    size_t n = (size_t)cJSON_GetArraySize(object);
    if (!cJSON_IsObject(object) || n < 2) {
        return NULL;
    }
    const char **key = zo_alloc(ZO_HOST, ZO_TAG_DATA, n * sizeof *key), *twice = NULL;
    size_t at = 0;
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        key[at++] = item->string;
    }
    qsort(key, n, sizeof *key, key_order);
    for (size_t i = 1; i < n && twice == NULL; i++) {
        twice = strcmp(key[i - 1], key[i]) == 0 ? key[i] : NULL;
    }
    zo_free(key);
    return twice;
}
