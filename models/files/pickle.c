/* pickle.c: see pickle.h. */
#include "models/files/pickle.h"

#include <stdio.h>
#include <string.h>

#include "core/mem.h"

#define SAVE_AGAIN "nothing in a weights file is executed, so save the model again with transformers' save_pretrained"
#define BYTES_MOST ((size_t)ZO_PICKLE_MOST_BYTES)

const char *zo_pickle_kind_name(zo_pickle_kind kind)
{
    static const char *const names[ZO_PICKLE_KINDS] = {"None", "a bool", "an int", "a large int", "a float", "a text", "a tuple", "a list", "a dict", "a name",
                                                       "a call", "a storage"};
    return names[kind];
}

typedef struct machine {
    zo_pickle *p;
    const uint8_t *data;
    size_t bytes, at, op_at; /* op_at: of the opcode being done */
    const zo_pickle_name *names;
    uint32_t *stack, depth, stack_room; /* values; MARK is none of them */
    uint32_t *memo, memos, memo_room;   /* value + 1; 0 is none */
    size_t copied; /* items that are in a dict and in the list that it was made of */
    const char *path;
    zo_err *err;
} machine;

#define MARK UINT32_MAX

static zo_status fail_damaged(const machine *m, const char *what)
{
    return zo_fail(m->err, ZO_EINPUT, "%s: byte %zu of its pickle: %s; the file is damaged, fetch it again", m->path, m->op_at, what);
}

/* `n` more elements fit after this. */
static void *grow(void *block, uint32_t *room, uint32_t n, size_t size)
{
    if (n <= *room) {
        return block;
    }
    *room = n > 2 * *room ? n : 2 * *room;
    return zo_realloc(block, ZO_HOST, ZO_TAG_DATA, (size_t)*room * size);
}

static void push(machine *m, uint32_t value)
{
    m->stack = grow(m->stack, &m->stack_room, m->depth + 1, sizeof *m->stack);
    m->stack[m->depth++] = value;
}

static uint32_t new_value(machine *m, zo_pickle_value value)
{
    m->p->value = grow(m->p->value, &m->p->values_room, m->p->values + 1, sizeof *m->p->value);
    m->p->value[m->p->values] = value;
    return m->p->values++;
}

static void append(machine *m, uint32_t container, uint32_t value)
{
    zo_pickle *p = m->p;
    p->cell = grow(p->cell, &p->cells_room, p->cells + 1, sizeof *p->cell);
    p->cell[p->cells] = (zo_pickle_cell){.value = value};
    zo_pickle_value *c = &p->value[container];
    if (c->n++ == 0) {
        c->first = p->cells;
    } else {
        p->cell[c->last].next = p->cells;
    }
    c->last = p->cells++;
}

/* The value `down` below the top of the stack, or NULL where there is none. */
static zo_pickle_value *top(const machine *m, uint32_t down)
{
    return m->depth > down && m->stack[m->depth - 1 - down] != MARK ? &m->p->value[m->stack[m->depth - 1 - down]] : NULL;
}

/* Where on the stack the last MARK is; false where there is none. */
static bool find_mark(const machine *m, uint32_t *mark)
{
    for (uint32_t i = m->depth; i-- > 0;) {
        if (m->stack[i] == MARK) {
            *mark = i;
            return true;
        }
    }
    return false;
}

/* `n` bytes as a number, the lowest first; false where the pickle ends before. */
static bool take_number(machine *m, int n, uint64_t *out)
{
    if (m->bytes - m->at < (size_t)n) {
        return false;
    }
    *out = 0;
    for (int i = 0; i < n; i++) {
        *out |= (uint64_t)m->data[m->at++] << 8 * i;
    }
    return true;
}

/* A value whose bytes follow a length of `n` bytes. */
static zo_status take_text(machine *m, int n, zo_pickle_value *out)
{
    uint64_t length;
    if (!take_number(m, n, &length) || length > m->bytes - m->at) {
        return fail_damaged(m, "a text is longer than what is left");
    }
    *out = (zo_pickle_value){.kind = ZO_PICKLE_TEXT, .text = (const char *)m->data + m->at, .length = (size_t)length};
    m->at += (size_t)length;
    return ZO_OK;
}

/* LONG1: two's complement. */
static zo_status take_long(machine *m)
{
    zo_pickle_value v = {0};
    zo_status status = take_text(m, 1, &v);
    if (status != ZO_OK) {
        return status;
    }
    v.kind = v.length > 8 ? ZO_PICKLE_BIG : ZO_PICKLE_INT;
    uint64_t bits = v.length > 0 && (v.text[v.length - 1] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = v.length; i-- > 0 && v.kind == ZO_PICKLE_INT;) {
        bits = bits << 8 | (uint8_t)v.text[i];
    }
    v.number = (int64_t)bits;
    push(m, new_value(m, v));
    return ZO_OK;
}

static zo_status push_name(machine *m, const char *module, size_t module_length, const char *name, size_t name_length)
{
    for (int64_t i = 0; m->names[i].module != NULL; i++) {
        if (strlen(m->names[i].module) == module_length && strlen(m->names[i].name) == name_length &&
            memcmp(m->names[i].module, module, module_length) == 0 && memcmp(m->names[i].name, name, name_length) == 0) {
            push(m, new_value(m, (zo_pickle_value){.kind = ZO_PICKLE_NAME, .number = i}));
            return ZO_OK;
        }
    }
    return zo_fail(m->err, ZO_EUNSUPPORTED, "%s: names %.*s.%.*s, which a dict of tensors does not need; " SAVE_AGAIN, m->path,
                   (int)(module_length < 100 ? module_length : 100), module, (int)(name_length < 100 ? name_length : 100), name);
}

/* A line's bytes without its end. */
static bool take_line(machine *m, const char **line, size_t *length)
{
    const uint8_t *end = m->at < m->bytes ? memchr(m->data + m->at, '\n', m->bytes - m->at) : NULL;
    if (end == NULL) {
        return false;
    }
    *line = (const char *)m->data + m->at;
    *length = (size_t)(end - m->data) - m->at;
    m->at += *length + 1;
    return true;
}

static zo_status do_global(machine *m)
{
    const char *module, *name;
    size_t module_length, name_length;
    if (!take_line(m, &module, &module_length) || !take_line(m, &name, &name_length)) {
        return fail_damaged(m, "a name does not end");
    }
    return push_name(m, module, module_length, name, name_length);
}

static zo_status do_stack_global(machine *m)
{
    const zo_pickle_value *name = top(m, 0), *module = top(m, 1);
    if (name == NULL || module == NULL || name->kind != ZO_PICKLE_TEXT || module->kind != ZO_PICKLE_TEXT) {
        return fail_damaged(m, "a name is no text");
    }
    m->depth -= 2;
    return push_name(m, module->text, module->length, name->text, name->length);
}

/* A new container of the stack's values from `from` on, which with what is at `below` and above goes. */
static void collect(machine *m, zo_pickle_kind kind, uint32_t from, uint32_t below)
{
    uint32_t made = new_value(m, (zo_pickle_value){.kind = kind});
    for (uint32_t i = from; i < m->depth; i++) {
        append(m, made, m->stack[i]);
    }
    m->depth = below;
    push(m, made);
}

static zo_status do_tuple(machine *m, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (top(m, i) == NULL) {
            return fail_damaged(m, "a tuple of more values than there are");
        }
    }
    collect(m, ZO_PICKLE_TUPLE, m->depth - n, m->depth - n);
    return ZO_OK;
}

/* Values from `from` on into the container under them; `below` is where the stack ends then. */
static zo_status do_extend(machine *m, zo_pickle_kind kind, uint32_t from, uint32_t below)
{
    bool pairs = kind == ZO_PICKLE_DICT;
    if (below == 0 || m->stack[below - 1] == MARK || m->p->value[m->stack[below - 1]].kind != kind || (pairs && (m->depth - from) % 2 != 0)) {
        return fail_damaged(m, pairs ? "keys and values for what is no dict" : "items for what is no list");
    }
    for (uint32_t i = from; i < m->depth; i++) {
        append(m, m->stack[below - 1], m->stack[i]);
    }
    m->depth = below;
    return ZO_OK;
}

static zo_status do_extend_marked(machine *m, zo_pickle_kind kind)
{
    uint32_t mark;
    return find_mark(m, &mark) ? do_extend(m, kind, mark + 1, mark) : fail_damaged(m, "no mark");
}

/* The `n` upper ones alone. */
static zo_status do_extend_by(machine *m, zo_pickle_kind kind, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (top(m, i) == NULL) {
            return fail_damaged(m, "an item that is not there");
        }
    }
    return do_extend(m, kind, m->depth - n, m->depth - n);
}

/* A dict of one list of pairs, as Python 2 writes an OrderedDict. */
static zo_status fill_dict(machine *m, uint32_t dict, const zo_pickle_value *arguments)
{
    const zo_pickle *p = m->p;
    const zo_pickle_value *list, *key, *value;
    if (arguments->n == 0) {
        return ZO_OK;
    }
    if (arguments->n != 1 || !zo_pickle_item(p, arguments, 0, &list) || list->kind != ZO_PICKLE_LIST) {
        return fail_damaged(m, "a dict is made of what is no list of pairs");
    }
    m->copied += 2 * (size_t)list->n;
    if (m->copied > m->bytes) {
        return fail_damaged(m, "dicts are made of one list again and again");
    }
    uint32_t at = list->first;
    for (uint32_t i = 0, n = list->n; i < n; i++, at = p->cell[at].next) {
        const zo_pickle_value *pair = &p->value[p->cell[at].value];
        if (pair->n != 2 || !zo_pickle_item(p, pair, 0, &key) || !zo_pickle_item(p, pair, 1, &value)) {
            return fail_damaged(m, "a dict is made of what is no list of pairs");
        }
        uint32_t first = p->cell[pair->first].value, second = p->cell[pair->last].value;
        append(m, dict, first);
        append(m, dict, second);
    }
    return ZO_OK;
}

static zo_status do_reduce(machine *m)
{
    const zo_pickle_value *arguments = top(m, 0), *name = top(m, 1);
    if (arguments == NULL || name == NULL || arguments->kind != ZO_PICKLE_TUPLE || name->kind != ZO_PICKLE_NAME) {
        return fail_damaged(m, "a call without a name, or without arguments");
    }
    uint32_t inner = m->stack[m->depth - 1];
    int64_t number = name->number;
    bool dict = m->names[number].makes_dict;
    m->depth -= 2;
    uint32_t made = new_value(m, (zo_pickle_value){.kind = dict ? ZO_PICKLE_DICT : ZO_PICKLE_CALL, .number = number, .inner = inner});
    zo_status status = dict ? fill_dict(m, made, &m->p->value[inner]) : ZO_OK;
    push(m, made);
    return status;
}

/* Attributes: of a dict they say nothing of its tensors (torch keeps the versions of modules there). */
static zo_status do_build(machine *m)
{
    const zo_pickle_value *attributes = top(m, 0), *of = top(m, 1);
    if (attributes == NULL || of == NULL || attributes->kind != ZO_PICKLE_DICT || of->kind != ZO_PICKLE_DICT) {
        return zo_fail(m->err, ZO_EUNSUPPORTED, "%s: byte %zu of its pickle gives attributes to %s, which a dict of tensors does not need; " SAVE_AGAIN, m->path,
                       m->op_at, of != NULL ? zo_pickle_kind_name(of->kind) : "nothing");
    }
    m->depth--;
    return ZO_OK;
}

static zo_status do_put(machine *m, uint64_t at)
{
    if (top(m, 0) == NULL || at > m->at) { /* each put takes a byte at least, and they are counted up */
        return fail_damaged(m, "a value to be remembered is not there, or has too large a number");
    }
    m->memo = grow(m->memo, &m->memo_room, (uint32_t)at + 1, sizeof *m->memo);
    m->memos += m->memo[at] == 0;
    m->memo[at] = m->stack[m->depth - 1] + 1;
    return ZO_OK;
}

static zo_status do_get(machine *m, uint64_t at)
{
    if (at >= m->memo_room || m->memo[at] == 0) {
        return fail_damaged(m, "a value that was not remembered");
    }
    push(m, m->memo[at] - 1);
    return ZO_OK;
}

static zo_status push_kind(machine *m, zo_pickle_kind kind, int64_t number)
{
    push(m, new_value(m, (zo_pickle_value){.kind = kind, .number = number}));
    return ZO_OK;
}

static zo_status push_int(machine *m, int bytes)
{
    uint64_t bits;
    if (!take_number(m, bytes, &bits)) {
        return fail_damaged(m, "it ends in the middle of a number");
    }
    return push_kind(m, ZO_PICKLE_INT, bytes == 4 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits);
}

static zo_status push_text(machine *m, int length_bytes)
{
    zo_pickle_value v = {0};
    zo_status status = take_text(m, length_bytes, &v);
    if (status == ZO_OK) {
        push(m, new_value(m, v));
    }
    return status;
}

/* A number of `bytes` bytes, for the memo. */
static zo_status memo_by(machine *m, int bytes, zo_status (*act)(machine *, uint64_t))
{
    uint64_t at;
    return take_number(m, bytes, &at) ? act(m, at) : fail_damaged(m, "it ends in the middle of a number");
}

static zo_status do_marked_tuple(machine *m)
{
    uint32_t mark;
    if (!find_mark(m, &mark)) {
        return fail_damaged(m, "no mark");
    }
    collect(m, ZO_PICKLE_TUPLE, mark + 1, mark);
    return ZO_OK;
}

static zo_status do_persistent(machine *m)
{
    if (top(m, 0) == NULL) {
        return fail_damaged(m, "a storage without a description");
    }
    uint32_t inner = m->stack[--m->depth];
    push(m, new_value(m, (zo_pickle_value){.kind = ZO_PICKLE_PERSISTENT, .inner = inner}));
    return ZO_OK;
}

static zo_status do_skip(machine *m, size_t n, zo_pickle_kind kind)
{
    if (m->bytes - m->at < n) {
        return fail_damaged(m, "it ends in the middle of a number");
    }
    m->at += n;
    return kind == ZO_PICKLE_KINDS ? ZO_OK : push_kind(m, kind, 0);
}

static zo_status do_proto(machine *m)
{
    uint64_t version;
    if (!take_number(m, 1, &version) || version < 2 || version > 5) {
        return fail_damaged(m, "a protocol that is none of 2 to 5");
    }
    return ZO_OK;
}

/* All but STOP. The letters are those of Python's pickletools. */
static zo_status do_opcode(machine *m, uint8_t op)
{
    switch (op) {
    case 0x80: return do_proto(m);                          /* PROTO */
    case 0x95: return do_skip(m, 8, ZO_PICKLE_KINDS);       /* FRAME */
    case '(': push(m, MARK); return ZO_OK;                  /* MARK */
    case 'N': return push_kind(m, ZO_PICKLE_NONE, 0);       /* NONE */
    case 0x88: return push_kind(m, ZO_PICKLE_BOOL, 1);      /* NEWTRUE */
    case 0x89: return push_kind(m, ZO_PICKLE_BOOL, 0);      /* NEWFALSE */
    case 'K': return push_int(m, 1);                        /* BININT1 */
    case 'M': return push_int(m, 2);                        /* BININT2 */
    case 'J': return push_int(m, 4);                        /* BININT */
    case 0x8a: return take_long(m);                         /* LONG1 */
    case 'G': return do_skip(m, 8, ZO_PICKLE_FLOAT);        /* BINFLOAT */
    case 'U': return push_text(m, 1);                       /* SHORT_BINSTRING, of Python 2 */
    case 'T': return push_text(m, 4);                       /* BINSTRING, of Python 2 */
    case 0x8c: return push_text(m, 1);                      /* SHORT_BINUNICODE */
    case 'X': return push_text(m, 4);                       /* BINUNICODE */
    case '}': return push_kind(m, ZO_PICKLE_DICT, 0);       /* EMPTY_DICT */
    case ']': return push_kind(m, ZO_PICKLE_LIST, 0);       /* EMPTY_LIST */
    case ')': return push_kind(m, ZO_PICKLE_TUPLE, 0);      /* EMPTY_TUPLE */
    case 0x85: return do_tuple(m, 1);                       /* TUPLE1 */
    case 0x86: return do_tuple(m, 2);                       /* TUPLE2 */
    case 0x87: return do_tuple(m, 3);                       /* TUPLE3 */
    case 't': return do_marked_tuple(m);                    /* TUPLE */
    case 'a': return do_extend_by(m, ZO_PICKLE_LIST, 1);    /* APPEND */
    case 'e': return do_extend_marked(m, ZO_PICKLE_LIST);   /* APPENDS */
    case 's': return do_extend_by(m, ZO_PICKLE_DICT, 2);    /* SETITEM */
    case 'u': return do_extend_marked(m, ZO_PICKLE_DICT);   /* SETITEMS */
    case 'q': return memo_by(m, 1, do_put);                 /* BINPUT */
    case 'r': return memo_by(m, 4, do_put);                 /* LONG_BINPUT */
    case 0x94: return do_put(m, m->memos);                  /* MEMOIZE */
    case 'h': return memo_by(m, 1, do_get);                 /* BINGET */
    case 'j': return memo_by(m, 4, do_get);                 /* LONG_BINGET */
    case 'c': return do_global(m);                          /* GLOBAL */
    case 0x93: return do_stack_global(m);                   /* STACK_GLOBAL */
    case 'R': return do_reduce(m);                          /* REDUCE */
    case 'b': return do_build(m);                           /* BUILD */
    case 'Q': return do_persistent(m);                      /* BINPERSID */
    default:
        return zo_fail(m->err, ZO_EUNSUPPORTED, "%s: byte %zu of its pickle is opcode 0x%02x, which a dict of tensors does not need; " SAVE_AGAIN, m->path,
                       m->op_at, op);
    }
}

static zo_status run(machine *m)
{
    while (m->at < m->bytes) {
        m->op_at = m->at;
        uint8_t op = m->data[m->at++];
        if (op == '.') {
            if (m->depth != 1 || top(m, 0) == NULL) {
                return fail_damaged(m, "it stops with more or less than one value");
            }
            m->p->root = m->stack[0];
            m->p->bytes = m->at;
            return ZO_OK;
        }
        zo_status status = do_opcode(m, op);
        if (status != ZO_OK) {
            return status;
        }
    }
    m->op_at = m->bytes;
    return m->bytes == BYTES_MOST ? zo_fail(m->err, ZO_EUNSUPPORTED, "%s: its pickle has more than %zu bytes, which a dict of tensors does not need; " SAVE_AGAIN, m->path,
                                            BYTES_MOST)
                                  : fail_damaged(m, "it ends before its STOP");
}

zo_status zo_pickle_read(zo_pickle *pickle, const uint8_t *data, size_t bytes, const zo_pickle_name *names, const char *path, zo_err *err)
{
    *pickle = (zo_pickle){.cells = 1};
    machine m = {.p = pickle, .data = data, .bytes = bytes < BYTES_MOST ? bytes : BYTES_MOST, .names = names, .path = path, .err = err};
    pickle->cell = grow(NULL, &pickle->cells_room, 1, sizeof *pickle->cell);
    zo_status status = run(&m);
    zo_free(m.stack);
    zo_free(m.memo);
    if (status != ZO_OK) {
        zo_pickle_close(pickle);
    }
    return status;
}

void zo_pickle_close(zo_pickle *pickle)
{
    zo_free(pickle->value);
    zo_free(pickle->cell);
    *pickle = (zo_pickle){0};
}

bool zo_pickle_item(const zo_pickle *pickle, const zo_pickle_value *value, uint32_t i, const zo_pickle_value **out)
{
    if (i >= value->n) {
        return false;
    }
    uint32_t at = value->first;
    while (i-- > 0) {
        at = pickle->cell[at].next;
    }
    *out = &pickle->value[pickle->cell[at].value];
    return true;
}

bool zo_pickle_is_text(const zo_pickle_value *value, const char *text)
{
    return value->kind == ZO_PICKLE_TEXT && value->length == strlen(text) && memcmp(value->text, text, value->length) == 0;
}
