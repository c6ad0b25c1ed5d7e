/* pickle.h: Python's pickle format (PEP 307, 3154), as far as dicts of tensors need it: the stack machine of protocols 2 to 5 without the opcodes
 * that make objects of classes. Nothing is imported or called: a call by REDUCE is kept as a name of the caller's list and its arguments.
 * Opcodes and names beyond these are refused by name. */
#ifndef ZO_MODELS_FILES_PICKLE_H
#define ZO_MODELS_FILES_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_PICKLE_MOST_BYTES (1 << 24) /* a tensor's entry has about 150 */

typedef enum zo_pickle_kind {
    ZO_PICKLE_NONE,
    ZO_PICKLE_BOOL,       /* number: 0 or 1 */
    ZO_PICKLE_INT,        /* number */
    ZO_PICKLE_BIG,        /* an integer beyond 64 bits: text, length are its bytes, the lowest first */
    ZO_PICKLE_FLOAT,      /* its value is not kept */
    ZO_PICKLE_TEXT,       /* text, length */
    ZO_PICKLE_TUPLE,      /* items */
    ZO_PICKLE_LIST,       /* items */
    ZO_PICKLE_DICT,       /* items: keys and values in turn, as written (a key may stand twice) */
    ZO_PICKLE_NAME,       /* number: its index in the caller's list */
    ZO_PICKLE_CALL,       /* number: index of the name called; arguments: the value `inner`, a tuple */
    ZO_PICKLE_PERSISTENT, /* inner: the value that says what is meant */
    ZO_PICKLE_KINDS
} zo_pickle_kind;
const char *zo_pickle_kind_name(zo_pickle_kind kind); /* "a text" */

/* Values are known by their index; two places may hold one value, and a container may hold itself. */
typedef struct zo_pickle_value {
    zo_pickle_kind kind;
    int64_t number;
    const char *text; /* (length) in the pickle, not terminated */
    size_t length;
    uint32_t first, last, n; /* items as a chain of cells */
    uint32_t inner;
} zo_pickle_value;
typedef struct zo_pickle_cell { uint32_t value, next; } zo_pickle_cell;

/* What a pickle may name. A call of one that `makes_dict` is a dict: of nothing, or of one list of pairs. */
typedef struct zo_pickle_name { const char *module, *name; bool makes_dict; } zo_pickle_name;

typedef struct zo_pickle {
    zo_pickle_value *value; /* (values) */
    zo_pickle_cell *cell;   /* (cells); cell 0 is none */
    uint32_t values, values_room, cells, cells_room;
    uint32_t root;
    size_t bytes; /* of the pickle, with its STOP: less than what was given where more follows */
} zo_pickle;

/* One pickle from the start of data (bytes), which must outlive *pickle. names ends with module NULL. Memory is at most some 130 bytes a byte read. `path`
 * stands in messages: ZO_EINPUT where the pickle is damaged, ZO_EUNSUPPORTED for an opcode or a name that is not read. On failure *pickle needs no close. */
zo_status zo_pickle_read(zo_pickle *pickle, const uint8_t *data, size_t bytes, const zo_pickle_name *names, const char *path, zo_err *err);
void zo_pickle_close(zo_pickle *pickle);

/* Item i of a container into *out, walked from the start: for tuples, which are short. False past its end, or where `value` is none. */
bool zo_pickle_item(const zo_pickle *pickle, const zo_pickle_value *value, uint32_t i, const zo_pickle_value **out);
bool zo_pickle_is_text(const zo_pickle_value *value, const char *text);

#ifdef __cplusplus
}
#endif
#endif
