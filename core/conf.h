/* conf.h: option tables over cJSON. A struct of options is described once by a table; reading it checks names (an unknown key is
 * an error with a "did you mean"), types and ranges, and fills defaults. */
#ifndef ZO_CORE_CONF_H
#define ZO_CORE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

typedef enum zo_opt_type {
    ZO_OPT_INT,    /* int64_t */
    ZO_OPT_REAL,   /* double */
    ZO_OPT_BOOL,   /* bool */
    ZO_OPT_STRING, /* char[ZO_OPT_STRING_BYTES] */
    ZO_OPT_CHOICE  /* int: index into `choices` */
} zo_opt_type;
#define ZO_OPT_STRING_BYTES 256

typedef struct zo_opt {
    const char *key;      /* NULL ends a table */
    zo_opt_type type;
    size_t offset;        /* offsetof(struct, member) */
    double initial;       /* default of INT, REAL, BOOL, CHOICE (an index) */
    double least, most;   /* inclusive range of INT and REAL */
    const char *text;     /* default of STRING */
    const char *choices;  /* "paper|released|replay" for CHOICE */
    const char *help;     /* one line with unit, meaning, source */
    bool younger;         /* than results that are worth keeping: canonical texts have it only where it is not the default, so old hashes hold */
    const char *word;     /* stands for the number `number` in configs and labels, as "all" does for -1; NULL = none */
    double number;
    const char *column;   /* where it stands in a table of a database; NULL = nowhere */
    unsigned flags;       /* what else is true of it: bits that belong to the table's owner */
} zo_opt;

/* Fill `out` with the table's defaults. */
void zo_opt_defaults(const zo_opt *table, void *out);

/* Defaults, then the members of `object` (NULL = none). `where` names the object in messages ("optimizer tezo", "config x.json").
 * Keys in `also` (space-separated, may be NULL) that the table lacks are permitted and skipped. */
zo_status zo_opt_read(const zo_opt *table, const struct cJSON *object, const char *also, const char *where, void *out, zo_err *err);

/* The options as a JSON object, every key present (for the config hash and the database). The caller deletes it. */
struct cJSON *zo_opt_write(const zo_opt *table, const void *options);

/* The row of this key, or NULL. */
const zo_opt *zo_opt_find(const zo_opt *table, const char *key);

/* Where the key's value stands in such a struct, and of a CHOICE its word: `*n` bytes, without a NUL behind them. */
const void *zo_opt_member(const zo_opt *opt, const void *options);
const char *zo_opt_choice(const zo_opt *opt, const void *options, size_t *n);

/* One key of such a struct as JSON; the caller deletes it. Are two of them equal in it? */
struct cJSON *zo_opt_value(const zo_opt *opt, const void *options);
bool zo_opt_equal(const zo_opt *opt, const void *a, const void *b);
/* Its hash, FNV-1a on top of `hash`. */
uint64_t zo_opt_hash(const zo_opt *opt, const void *options, uint64_t hash);

/* The canonical text of such a struct, compact JSON members without the braces around them ("a":1,"b":"x"), in the table's order; `younger`
 * keys are left out where they have their defaults. Returns its length, as snprintf does. */
size_t zo_opt_print(const zo_opt *table, const void *options, char *out, size_t size);
/* Puts the younger keys that are absent into an object read from such a text, with their defaults. */
void zo_opt_add_younger(const zo_opt *table, struct cJSON *object);

/* The nearest of `n` names by edit distance, or NULL when none is near (distance > 1/3 of the length, at least 1). */
const char *zo_nearest(const char *name, const char *const *names, int n);

/* Parse a file as JSON (comments not allowed). Errors name file, line and column. The caller calls cJSON_Delete. */
zo_status zo_json_read(const char *path, struct cJSON **json, zo_err *err);
/* The same from text (bytes, and a NUL behind them); `path` stands in messages. */
zo_status zo_json_parse(const char *text, size_t bytes, const char *path, struct cJSON **json, zo_err *err);

/* What a value is, in words for a message: "a number", "an object", "null". */
const char *zo_json_kind(const struct cJSON *value);

/* A member's number, `fallback` where there is none; its text, "" where there is none (the object's own memory). */
double zo_json_number(const struct cJSON *object, const char *key, double fallback);
const char *zo_json_text(const struct cJSON *object, const char *key);

/* The first escaped zero byte ("\\u0000") of a JSON text, or NULL: cJSON cuts the string there without a word. */
const char *zo_json_escaped_zero(const char *text);

/* A key that stands more than once in an object (the object's own memory), or NULL. JSON readers differ in which one they take. */
const char *zo_json_double_key(const struct cJSON *object);

#ifdef __cplusplus
}
#endif
#endif
