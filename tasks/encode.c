/* encode.c: a row of text to the token ids of its form, packed as it goes into a batch.
 *
 *   head     text or pair in the tokenizer's own template (the papers' no-prompt form)
 *   words    LM-BFF templates (MeZO, RoBERTa experiments): `*cls**sent_0*_It_was*mask*.*sep+*`
 *   answers  the same with the answer behind the prompt, and the prompt alone
 *   options  MeZO's prompts for causal models: the score of an option is over its last len(encode(prompt + option)) -
 *            len(encode(prompt)) tokens, both encoded with the tokenizer's special tokens, the prompt without outer spaces
 *
 * Every text is cut to the context here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "core/mem.h"
#include "tasks/task_impl.h"

/* One piece of a mask template. */
typedef struct part {
    enum { PART_ID, PART_MASK, PART_TEXT } kind;
    zo_ids ids;                             /* PART_ID: literal text and special tokens */
    int field;                              /* PART_TEXT */
    bool space, lower_first, drop_last;     /* PART_TEXT: "+", "sentl", "sent-" */
    zo_ids text;                            /* PART_TEXT: of the row at hand */
    int64_t keep;                           /* ids of `text` that are left after cutting */
} part;

struct zo_encoder {
    const zo_task *task;
    zo_tokenizer *tokenizer;
    bool causal, fill, writes_train;
    int64_t context;
    zo_head head;
    int32_t word[ZO_TASK_CLASSES];
    part part[ZO_TASK_PARTS];
    int parts;
    int32_t end[ZO_ENDS]; /* tokens that end a written answer */
    int ends;
    int32_t bos; /* token that starts every option sequence and survives cutting; -1 = none */
    zo_ids a, b, wrapped, full[ZO_TASK_CLASSES];
    char *text; /* scratch for expanded prompts */
    size_t room;
    char *shown; /* the demonstrations before the row at hand, and what parts them from it; "" = none */
    size_t shown_bytes, shown_room;
    zo_table storage; /* of prepared fields, per row */
};

/* ---- pools ---------------------------------------------------------------------------------------------------------------- */

int32_t *zo_pool_add(zo_row_pool *pool, int64_t n)
{
    if (pool->n + n > pool->room) {
        int64_t room = pool->room ? pool->room : 1024;
        while (room < pool->n + n) {
            room *= 2;
        }
        pool->at = zo_realloc(pool->at, ZO_HOST, ZO_TAG_DATA, (size_t)room * sizeof *pool->at);
        pool->room = room;
    }
    pool->n += n;
    return pool->at + (pool->n - n);
}

void zo_pack_pools(zo_pack *pack, zo_row_pool *pool[ZO_POOLS])
{
    zo_row_pool *const all[ZO_POOLS] = {&pack->id,     &pack->position, &pack->type,   &pack->length,     &pack->parent, &pack->row,      &pack->at,
                                    &pack->target, &pack->option,   &pack->prompt, &pack->prompt_end, &pack->gold,   &pack->gold_end, &pack->credit};
    memcpy(pool, all, sizeof all);
}

void zo_pack_free(zo_pack *pack)
{
    zo_row_pool *pool[ZO_POOLS];
    zo_pack_pools(pack, pool);
    for (int k = 0; k < ZO_POOLS; k++) {
        zo_free(pool[k]->at);
    }
    zo_free(pack->example);
    memset(pack, 0, sizeof *pack);
}

static zo_packed *pack_begin(zo_pack *pack, int32_t label)
{
    if (pack->n == pack->room) {
        pack->room = pack->room ? 2 * pack->room : 256;
        pack->example = zo_realloc(pack->example, ZO_HOST, ZO_TAG_DATA, (size_t)pack->room * sizeof *pack->example);
    }
    zo_packed *e = &pack->example[pack->n++];
    *e = (zo_packed){.token = pack->id.n, .seq = pack->length.n, .row = pack->row.n, .score = pack->at.n, .option = pack->option.n, .label = label};
    return e;
}

/* A sequence of n tokens at positions from `position` on. types may be NULL (all 0). */
static void pack_sequence(zo_pack *pack, zo_packed *e, const int32_t *ids, const uint8_t *types, int64_t n, int64_t position, int32_t parent)
{
    int32_t *id = zo_pool_add(&pack->id, n), *at = zo_pool_add(&pack->position, n), *type = zo_pool_add(&pack->type, n);
    for (int64_t t = 0; t < n; t++) {
        id[t] = ids[t];
        at[t] = (int32_t)(position + t);
        type[t] = types ? types[t] : 0;
    }
    *zo_pool_add(&pack->length, 1) = (int32_t)n;
    *zo_pool_add(&pack->parent, 1) = parent;
    e->tokens += (int32_t)n;
    e->seqs++;
}

static void pack_row(zo_pack *pack, zo_packed *e, int64_t token)
{
    *zo_pool_add(&pack->row, 1) = (int32_t)token;
    e->rows++;
}

/* ---- cutting and filling -------------------------------------------------------------------------------------------------- */

/* Cut two lengths to `most` together as the tokenizers library's longest_first does: the shorter stays whole when it can. */
static void cut_pair(int64_t *a, int64_t *b, int64_t most)
{
    if (*a + *b <= most) {
        return;
    }
    int64_t *shorter = *a > *b ? b : a, *longer = *a > *b ? a : b;
    if (*shorter <= most / 2) {
        *longer = most - *shorter;
    } else {
        *shorter = most / 2;
        *longer = most - most / 2;
    }
}

/* Repeat the first `n` ids until there are `want`. An empty text stays empty. */
static void repeat_ids(zo_ids *ids, int64_t want)
{
    int64_t n = ids->n;
    for (int64_t k = 0; n > 0 && ids->n < want; k++) {
        int32_t id = ids->ids[k % n];
        uint8_t type = ids->types[k % n];
        zo_ids_push(ids, id, type);
    }
}

static zo_status too_small(const zo_encoder *encoder, int64_t need, zo_err *err)
{
    return zo_fail(err, ZO_EINPUT, "context %lld is too small for task %s in this form, which needs at least %lld tokens; raise \"context\"",
                   (long long)encoder->context + encoder->task->answer_tokens, encoder->task->info.name, (long long)need + encoder->task->answer_tokens);
}

/* ---- head form ------------------------------------------------------------------------------------------------------------ */

static zo_status encode_text(zo_encoder *encoder, const char *text, zo_ids *ids, zo_err *err)
{
    zo_ids_clear(ids);
    return zo_tokenizer_encode(encoder->tokenizer, text, strlen(text), ZO_WITHOUT_SPECIALS, ids, err);
}

static zo_status encode_head(zo_encoder *encoder, const zo_record *record, zo_pack *pack, int64_t *truncated, zo_err *err)
{
    const zo_task *task = encoder->task;
    bool pair = task->texts == 2, named = task->pair_of[0] != task->pair_of[1];
    int64_t most = encoder->context - zo_tokenizer_wrap_count(encoder->tokenizer, pair);
    if (most < task->texts) {
        return too_small(encoder, encoder->context - most + task->texts, err);
    }
    zo_ids_clear(&encoder->b);
    if (encode_text(encoder, record->field[named ? task->pair_of[0] : 0], &encoder->a, err) ||
        (pair && encode_text(encoder, record->field[named ? task->pair_of[1] : 1], &encoder->b, err))) {
        return err->status;
    }
    if (encoder->fill) {
        repeat_ids(pair && encoder->b.n ? &encoder->b : &encoder->a, most - (pair && encoder->b.n ? encoder->a.n : encoder->b.n));
    }
    int64_t a = encoder->a.n, b = encoder->b.n;
    *truncated += a + b > most;
    cut_pair(&a, &b, most);
    zo_ids *out = &encoder->wrapped;
    zo_ids_clear(out);
    zo_tokenizer_wrap(encoder->tokenizer, encoder->a.ids, a, pair ? encoder->b.ids : NULL, b, out);
    if (out->n == 0) {
        return zo_fail(err, ZO_EINPUT, "task %s: a row's text gives no token at all, and this tokenizer adds none; remove the empty row", task->info.name);
    }
    zo_packed *e = pack_begin(pack, record->label);
    pack_sequence(pack, e, out->ids, out->types, out->n, 0, -1);
    pack_row(pack, e, encoder->causal ? out->n - 1 : 0);
    e->paper_sequences = 1;
    e->paper_tokens = out->n;
    return ZO_OK;
}

/* ---- mask form ------------------------------------------------------------------------------------------------------------ */

/* "sent-_0", "+sentl_1", ...: true and filled when `name` (of n bytes) is a text part. */
static bool parse_text_part(const char *name, size_t n, part *p)
{
    const char *at = name, *end = name + n;
    *p = (part){.kind = PART_TEXT};
    p->space = at < end && *at == '+';
    at += p->space;
    if (end - at < 6 || memcmp(at, "sent", 4) != 0) {
        return false;
    }
    at += 4;
    p->lower_first = *at == 'l';
    at += p->lower_first;
    p->drop_last = *at == '-';
    at += p->drop_last;
    if (end - at != 2 || at[0] != '_' || at[1] < '0' || at[1] >= '0' + ZO_TASK_FIELDS) {
        return false;
    }
    p->field = at[1] - '0';
    return true;
}

static bool is_part(const char *name, size_t n, const char *what)
{
    return n == strlen(what) && memcmp(name, what, n) == 0;
}

/* What the piece between two stars is: *p gets its kind, and a text its marks. Literal text is a PART_ID as the special tokens are; false. */
static bool parse_part(const char *name, size_t n, part *p)
{
    if (parse_text_part(name, n, p)) {
        return true;
    }
    bool mask = is_part(name, n, "mask");
    *p = (part){.kind = mask ? PART_MASK : PART_ID};
    return mask || is_part(name, n, "cls") || is_part(name, n, "sep") || is_part(name, n, "sep+");
}

const char *zo_mask_template_fault(const char *mask_template, int texts)
{
    int parts = 0, masks = 0, shown = 0;
    for (const char *at = mask_template; *at;) {
        part p;
        size_t n = strcspn(at, "*"), plus = *at == '+';
        if (n) {
            bool known = parse_part(at, n, &p);
            parts++;
            masks += p.kind == PART_MASK;
            shown += p.kind == PART_TEXT;
            if (p.kind == PART_TEXT ? p.field >= texts : !known && strncmp(at + plus, "sent", 4) == 0) {
                return "asks for a text that there is not; *sent_0* is the first of \"texts\", *+sentl_1* the second with a space before it and a small letter";
            }
        }
        at += n + (at[n] == '*');
    }
    return parts > ZO_TASK_PARTS ? "has more pieces between its stars than are read (16); make it shorter"
           : masks != 1          ? "has not one *mask*; write *mask* where the label word is to stand, once"
           : shown == 0          ? "shows no text; write *sent_0* where the first of \"texts\" is to stand"
           : shown > 2           ? "shows more than two texts; leave some out"
                                 : NULL;
}

static zo_status parse_template(zo_encoder *encoder, zo_err *err)
{
    const char *name = encoder->task->info.name;
    zo_special_ids special = zo_tokenizer_special(encoder->tokenizer);
    int32_t cls = special.cls >= 0 ? special.cls : special.bos, sep = special.sep >= 0 ? special.sep : special.eos;
    if (special.mask < 0) {
        return zo_fail(err, ZO_EINPUT, "task %s, form prompt: this model's tokenizer has no mask token; use an encoder, or \"form\": \"head\"", name);
    }
    if (cls < 0 || sep < 0) {
        return zo_fail(err, ZO_EINPUT, "task %s, form prompt: this model's tokenizer lacks its cls or sep token; complete special_tokens_map.json", name);
    }
    int masks = 0;
    for (const char *at = encoder->task->mask_template; *at;) {
        size_t n = strcspn(at, "*");
        if (n) {
            ZO_CHECK(encoder->parts < ZO_TASK_PARTS, "the mask template of task %s has more than %d parts", name, ZO_TASK_PARTS);
            part *p = &encoder->part[encoder->parts++];
            bool known = parse_part(at, n, p);
            if (p->kind == PART_MASK) {
                zo_ids_push(&p->ids, special.mask, 0);
                masks++;
            } else if (known && p->kind == PART_ID) {
                zo_ids_push(&p->ids, at[0] == 'c' ? cls : sep, 0);
            } else if (!known) {
                char *literal = zo_table_text(&encoder->storage, at, n);
                for (char *c = literal; *c; c++) {
                    *c = *c == '_' ? ' ' : *c;
                }
                int32_t id = n == 1 ? zo_tokenizer_id(encoder->tokenizer, literal) : -1; /* LM-BFF looks single characters up */
                if (id >= 0) {
                    zo_ids_push(&p->ids, id, 0);
                } else if (zo_tokenizer_encode(encoder->tokenizer, literal, n, ZO_WITHOUT_SPECIALS, &p->ids, err)) {
                    return err->status;
                }
            }
        }
        at += n + (at[n] == '*');
    }
    ZO_CHECK(masks == 1, "the mask template of task %s has %d masks", name, masks);
    return ZO_OK;
}

/* Label words with the leading space that byte-level BPE needs; each must be one token. */
static zo_status find_words(zo_encoder *encoder, zo_err *err)
{
    for (int c = 0; c < encoder->task->info.classes; c++) {
        char word[ZO_TASK_WORD_BYTES + 1];
        int n = snprintf(word, sizeof word, " %s", encoder->task->mask_word[c]);
        ZO_CHECK(n > 0 && (size_t)n < sizeof word, "a label word of task %s is too long", encoder->task->info.name);
        zo_ids_clear(&encoder->a);
        if (zo_tokenizer_encode(encoder->tokenizer, word, (size_t)n, ZO_WITHOUT_SPECIALS, &encoder->a, err)) {
            return err->status;
        }
        zo_special_ids special = zo_tokenizer_special(encoder->tokenizer);
        if (encoder->a.n != 1 || encoder->a.ids[0] == special.unk) {
            return zo_fail(err, ZO_EINPUT, "task %s, form prompt: the label word \"%s\" is %s in this model's vocabulary, not one token; use \"form\": \"head\" or another model",
                           encoder->task->info.name, encoder->task->mask_word[c], encoder->a.n == 1 ? "unknown" : "several tokens");
        }
        encoder->word[c] = encoder->a.ids[0];
    }
    return ZO_OK;
}

static char *text_room(zo_encoder *encoder, size_t bytes)
{
    if (bytes > encoder->room) {
        encoder->room = bytes < 4096 ? 4096 : 2 * bytes;
        encoder->text = zo_realloc(encoder->text, ZO_HOST, ZO_TAG_DATA, encoder->room);
    }
    return encoder->text;
}

/* The text of a part as LM-BFF changes it: `sent-` drops the last character, `sentl` lower-cases the first, `+` puts a space. */
static zo_status encode_part(zo_encoder *encoder, part *p, const char *text, zo_err *err)
{
    size_t n = strlen(text);
    char *out = text_room(encoder, n + 8), *to = out;
    if (p->drop_last && n > 0) {
        do {
            n--;
        } while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80);
    }
    if (p->space) {
        *to++ = ' ';
    }
    utf8proc_int32_t first;
    utf8proc_ssize_t used = p->lower_first && n ? utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &first) : 0;
    if (used > 0) {
        to += utf8proc_encode_char(utf8proc_tolower(first), (utf8proc_uint8_t *)to);
    } else {
        used = 0;
    }
    memcpy(to, text + used, n - (size_t)used);
    to += n - (size_t)used;
    zo_ids_clear(&p->text);
    return zo_tokenizer_encode(encoder->tokenizer, out, (size_t)(to - out), ZO_WITHOUT_SPECIALS, &p->text, err);
}

static zo_status encode_words(zo_encoder *encoder, const zo_record *record, zo_pack *pack, int64_t *truncated, zo_err *err)
{
    part *text[2] = {NULL, NULL};
    int64_t fixed = 0;
    bool cut = false;
    int ntext = 0;
    for (int k = 0; k < encoder->parts; k++) {
        part *p = &encoder->part[k];
        if (p->kind != PART_TEXT) {
            fixed += p->ids.n;
            continue;
        }
        ZO_CHECK(ntext < 2, "the mask template of task %s has more than two texts", encoder->task->info.name);
        if (encode_part(encoder, p, record->field[p->field], err)) {
            return err->status;
        }
        text[ntext++] = p;
        if (p->field == 0 && encoder->task->first_limit && p->text.n > encoder->task->first_limit && !encoder->fill) {
            p->text.n = encoder->task->first_limit;
            cut = true;
        }
        p->keep = p->text.n;
    }
    int64_t most = encoder->context - fixed, none = 0;
    if (most < ntext) {
        return too_small(encoder, fixed + ntext, err);
    }
    if (encoder->fill && ntext) {
        repeat_ids(&text[0]->text, most - (ntext == 2 ? text[1]->text.n : 0));
        text[0]->keep = text[0]->text.n;
    }
    int64_t *a = ntext ? &text[0]->keep : &none, *b = ntext == 2 ? &text[1]->keep : &none;
    cut = cut || *a + *b > most;
    cut_pair(a, b, most);
    *truncated += cut;

    zo_ids *out = &encoder->wrapped;
    zo_ids_clear(out);
    int64_t mask = 0;
    for (int k = 0; k < encoder->parts; k++) {
        const part *p = &encoder->part[k];
        const zo_ids *from = p->kind == PART_TEXT ? &p->text : &p->ids;
        int64_t n = p->kind == PART_TEXT ? p->keep : from->n;
        mask = p->kind == PART_MASK ? out->n : mask;
        for (int64_t t = 0; t < n; t++) {
            zo_ids_push(out, from->ids[t], 0);
        }
    }
    zo_packed *e = pack_begin(pack, record->label);
    e->share = record->share;
    pack_sequence(pack, e, out->ids, NULL, out->n, 0, -1);
    pack_row(pack, e, mask);
    e->paper_sequences = 1;
    e->paper_tokens = out->n;
    return ZO_OK;
}

/* ---- option form ---------------------------------------------------------------------------------------------------------- */

const char *zo_prompt_fault(const char *prompt, int texts)
{
    for (const char *at = strchr(prompt, '{'); at; at = strchr(at + 1, '{')) {
        size_t n = 0;
        while ((at[1 + n] >= '0' && at[1 + n] <= '9') || (at[1 + n] >= 'a' && at[1 + n] <= 'z') || (at[1 + n] >= 'A' && at[1 + n] <= 'Z') || at[1 + n] == '_') {
            n++;
        }
        if (n && at[1 + n] == '}' && (n > 1 || at[1] < '0' || at[1] >= '0' + texts)) {
            return "asks for a text that there is not; {0} is the first of \"texts\", {1} the second, and so on";
        }
    }
    return NULL;
}

/* Append `pattern` with {k} replaced by field k, and {o} by the candidate where there is one, from byte `used` of the scratch text on; returns the new
 * length. */
static size_t expand_with(zo_encoder *encoder, const char *pattern, const zo_record *record, const char *candidate, size_t used)
{
    for (const char *at = pattern; *at;) {
        const char *piece = at;
        size_t n = 1;
        if (at[0] == '{' && at[1] >= '0' && at[1] < '0' + ZO_TASK_FIELDS && at[2] == '}') {
            piece = record->field[at[1] - '0'];
            n = strlen(piece);
            at += 3;
        } else if (candidate && strncmp(at, "{o}", 3) == 0) {
            piece = candidate;
            n = strlen(piece);
            at += 3;
        } else {
            at++;
        }
        text_room(encoder, used + n + 1);
        memcpy(encoder->text + used, piece, n);
        used += n;
    }
    text_room(encoder, used + 1);
    encoder->text[used] = '\0';
    return used;
}

static size_t expand(zo_encoder *encoder, const char *pattern, const zo_record *record, size_t used)
{
    return expand_with(encoder, pattern, record, NULL, used);
}

/* The same of option `o` of a row. */
static size_t expand_option(zo_encoder *encoder, const zo_record *record, int o, size_t used)
{
    const zo_candidates *own = record->own;
    return expand_with(encoder, encoder->task->option[own ? 0 : o], record, own ? own->text[o] : NULL, used);
}

/* Python's strip(' '). */
static const char *strip_spaces(const char *text, size_t *n)
{
    while (*n && *text == ' ') {
        text++;
        (*n)--;
    }
    while (*n && text[*n - 1] == ' ') {
        (*n)--;
    }
    return text;
}

/* str.strip of the scratch text's first `bytes` bytes, and more behind it, to the end of `shown`. */
static void add_shown(zo_encoder *encoder, size_t bytes, const char *more)
{
    const char *text = encoder->text;
    zo_strip_left(&text, &bytes);
    zo_strip_right(text, &bytes);
    size_t n = strlen(more), room = encoder->shown_bytes + bytes + n + 1;
    if (room > encoder->shown_room) {
        encoder->shown_room = 2 * room;
        encoder->shown = zo_realloc(encoder->shown, ZO_HOST, ZO_TAG_DATA, encoder->shown_room);
    }
    memcpy(encoder->shown + encoder->shown_bytes, text, bytes);
    memcpy(encoder->shown + encoder->shown_bytes + bytes, more, n + 1);
    encoder->shown_bytes += bytes + n;
}

/* Python's strip(), of the texts in the mask. */
static void strip_texts(zo_record *record, unsigned mask, zo_table *storage)
{
    for (int f = 0; f < ZO_TASK_FIELDS && record->field[f]; f++) {
        const char *at = record->field[f];
        size_t n = strlen(at);
        zo_strip_left(&at, &n);
        zo_strip_right(at, &n);
        record->field[f] = mask >> f & 1 ? zo_table_text(storage, at, n) : record->field[f];
    }
}

/* The row as the task's prompt has it: prepared fields live until the next call. */
static zo_record prepared(zo_encoder *encoder, const zo_record *raw)
{
    zo_record record = *raw;
    if (encoder->task->prepare || encoder->task->strip) {
        zo_table_free(&encoder->storage);
    }
    if (encoder->task->strip) {
        strip_texts(&record, encoder->task->strip, &encoder->storage);
    }
    if (encoder->task->prepare) {
        encoder->task->prepare(&record, &encoder->storage);
    }
    return record;
}

/* MeZO's code: each demonstration is its prompt with the right answer behind it, stripped; an empty line parts them from one another and from the row. */
static void lay_out_shown(zo_encoder *encoder, const zo_record *const *shown, int64_t n)
{
    encoder->shown_bytes = 0;
    for (int64_t k = 0; k < n; k++) {
        zo_record record = prepared(encoder, shown[k]);
        size_t bytes = expand(encoder, encoder->task->prompt, &record, 0);
        add_shown(encoder, expand_option(encoder, &record, record.label, bytes), "\n\n");
    }
}

/* The scratch text's first `bytes` bytes without outer spaces, behind the demonstrations: in the scratch text. Returns its length. */
static size_t put_behind_shown(zo_encoder *encoder, size_t bytes)
{
    const char *text = strip_spaces(encoder->text, &bytes);
    size_t from = (size_t)(text - encoder->text), all = encoder->shown_bytes + bytes;
    text_room(encoder, from + all + 1);
    memmove(encoder->text + encoder->shown_bytes, encoder->text + from, bytes);
    memcpy(encoder->text, encoder->shown, encoder->shown_bytes);
    encoder->text[all] = '\0';
    return all;
}

/* The scratch text's first `bytes` bytes; `lstrip` takes all white space from its front, as MeZO does with what it runs but not with
 * what it counts. */
static zo_status encode_stripped(zo_encoder *encoder, size_t bytes, bool lstrip, zo_ids *ids, zo_err *err)
{
    const char *text = strip_spaces(encoder->text, &bytes);
    if (lstrip) {
        zo_strip_left(&text, &bytes);
    }
    zo_ids_clear(ids);
    if (zo_tokenizer_encode(encoder->tokenizer, text, bytes, ZO_WITH_SPECIALS, ids, err)) {
        return err->status;
    }
    return ZO_OK;
}

/* Bring ids (whose last `tail` tokens are the option) to the context: cut at the left, or filled there by repeating the prompt; a
 * bos stays first. */
static void fit_left(const zo_encoder *encoder, zo_ids *ids, int64_t tail, int64_t *cuts)
{
    int64_t first = encoder->bos >= 0, context = encoder->context, n = ids->n;
    if (n > context) {
        memmove(ids->ids + first, ids->ids + n - (context - first), (size_t)(context - first) * sizeof *ids->ids);
        ids->n = context;
        *cuts += 1;
    } else if (encoder->fill && n < context && n - tail > first) {
        int64_t body = n - tail - first, more = context - n;
        for (int64_t k = 0; k < more; k++) {
            zo_ids_push(ids, 0, 0);
        }
        memmove(ids->ids + context - tail, ids->ids + n - tail, (size_t)tail * sizeof *ids->ids);
        for (int64_t t = first + body; t < context - tail; t++) {
            ids->ids[t] = ids->ids[t - body];
        }
    }
}

/* Which options, behind which prompt: all; the right one alone; all behind the prompt without content. */
typedef enum options { OPTIONS_ALL, OPTIONS_GOLD, OPTIONS_FREE } options;

static zo_status encode_options(zo_encoder *encoder, const zo_record *raw, options which, const zo_record *const *shown, int64_t nshown, zo_pack *pack,
                                int64_t *truncated, zo_err *err)
{
    const zo_task *task = encoder->task;
    bool gold_only = which == OPTIONS_GOLD, is_free = which == OPTIONS_FREE;
    const char *prompt = !is_free ? task->prompt : task->free_prompt ? task->free_prompt : "";
    lay_out_shown(encoder, shown, nshown);
    zo_record record = prepared(encoder, raw);
    int first_option = gold_only ? record.label : 0, n = gold_only ? 1 : record.own ? record.own->n : task->info.classes;
    int64_t option_tokens[ZO_TASK_CLASSES], cuts = 0;
    size_t prompt_bytes = expand(encoder, prompt, &record, 0);
    if (encode_stripped(encoder, prompt_bytes, false, &encoder->a, err)) {
        return err->status;
    }
    for (int o = 0; o < n; o++) {
        prompt_bytes = nshown > 0 ? expand(encoder, prompt, &record, 0) : prompt_bytes; /* the scratch text was another */
        size_t bytes = expand_option(encoder, &record, first_option + o, prompt_bytes);
        zo_ids *full = &encoder->full[o];
        if (encode_stripped(encoder, bytes, false, full, err)) {
            return err->status;
        }
        int64_t own = full->n - encoder->a.n;
        size_t left = bytes;
        const char *stripped = strip_spaces(encoder->text, &left), *start = stripped;
        zo_strip_left(&start, &left);
        if (nshown > 0) {
            bytes = put_behind_shown(encoder, bytes);
        }
        if ((nshown > 0 || start != stripped) && encode_stripped(encoder, bytes, true, full, err)) {
            return err->status;
        }
        if (own < 1) {
            return zo_fail(err, ZO_EINPUT, "task %s, form prompt: option %d adds no token to its prompt with this tokenizer, so it has no probability; use another model",
                           task->info.name, first_option + o);
        }
        own = own < full->n - 1 ? own : full->n - 1; /* nothing predicts the first token */
        if (own + 1 + (encoder->bos >= 0) > encoder->context) {
            return too_small(encoder, own + 1 + (encoder->bos >= 0), err);
        }
        fit_left(encoder, full, own, &cuts);
        if (own < 1 && !is_free) {
            return zo_fail(err, ZO_EINPUT, "task %s, form prompt: prompt and option %d together are one token, which nothing predicts; remove the empty row",
                           task->info.name, first_option + o);
        }
        option_tokens[o] = own;
    }
    *truncated += cuts;

    /* The longest prefix that all options run; an option runs all its tokens but the last. */
    int64_t shared = encoder->full[0].n - 1;
    for (int o = 1; o < n; o++) {
        const zo_ids *x = &encoder->full[0], *y = &encoder->full[o];
        int64_t most = shared < y->n - 1 ? shared : y->n - 1, k = 0;
        while (k < most && x->ids[k] == y->ids[k]) {
            k++;
        }
        shared = k;
    }
    zo_packed *e = pack_begin(pack, gold_only ? 0 : record.label);
    int32_t parent = -1;
    ZO_CHECK(shared >= 0, "an option without a token");
    if (n > 1 && shared > 0) {
        pack_sequence(pack, e, encoder->full[0].ids, NULL, shared, 0, -1);
        parent = 0;
    } else {
        shared = 0;
    }
    for (int o = 0; o < n; o++) {
        const zo_ids *full = &encoder->full[o];
        int64_t base = e->tokens - shared; /* token t >= shared of this option is token base + t of the example */
        if (full->n - 1 > shared) {
            pack_sequence(pack, e, full->ids + shared, NULL, full->n - 1 - shared, shared, parent);
        }
        for (int64_t t = full->n - option_tokens[o]; t < full->n; t++) {
            int32_t token = (int32_t)(t - 1 < shared ? t - 1 : base + t - 1), row = 0;
            const int32_t *rows = pack->row.at + e->row;
            while (row < e->rows && rows[row] != token) {
                row++;
            }
            if (row == e->rows) {
                pack_row(pack, e, token);
            }
            *zo_pool_add(&pack->at, 1) = row;
            *zo_pool_add(&pack->target, 1) = full->ids[t];
        }
        *zo_pool_add(&pack->option, 1) = (int32_t)option_tokens[o];
        e->scores += (int32_t)option_tokens[o];
        e->options++;
        e->paper_sequences++;
        e->paper_tokens += full->n;
        if (record.own && record.own->credit) {
            const zo_credit *credit = &record.own->credit[first_option + o];
            int32_t *to = zo_pool_add(&pack->credit, ZO_CREDITS);
            to[ZO_CREDIT_RIGHT] = record.own->right[first_option + o];
            to[ZO_CREDIT_EXACT] = credit->exact;
            to[ZO_CREDIT_SHARED] = credit->shared;
            to[ZO_CREDIT_WORDS] = credit->words;
        }
    }
    return ZO_OK;
}

/* ---- answers that are written ------------------------------------------------------------------------------------------------- */

static void pack_end(zo_row_pool *end, const zo_row_pool *of)
{
    ZO_CHECK(of->n <= INT32_MAX, "%lld tokens or answers of a split do not fit 31 bits", (long long)of->n);
    *zo_pool_add(end, 1) = (int32_t)of->n;
}

/* The right answers of a row, for whoever compares. */
static void pack_answers(const zo_candidates *own, zo_pack *pack)
{
    size_t bytes = 0;
    for (int32_t k = 0; k < own->n; k++) {
        bytes += strlen(own->text[k]) + 1;
    }
    char *to = (char *)zo_pool_add(&pack->gold, (int64_t)((bytes + sizeof(int32_t) - 1) / sizeof(int32_t)));
    memset(to, 0, (bytes + sizeof(int32_t) - 1) / sizeof(int32_t) * sizeof(int32_t));
    for (int32_t k = 0; k < own->n; k++) {
        size_t n = strlen(own->text[k]) + 1;
        memcpy(to, own->text[k], n);
        to += n;
    }
    pack_end(&pack->gold_end, &pack->gold);
}

/* Of the last example of the pack, which has one answer: the tokens that stand before it. */
static void pack_before_answer(zo_pack *pack)
{
    const zo_packed *e = &pack->example[pack->n - 1];
    int32_t n = pack->row.at[e->row + pack->at.at[e->score]] + 1; /* the token that predicts the answer's first is the last of them */
    int32_t *to = zo_pool_add(&pack->prompt, n);
    memcpy(to, pack->id.at + e->token, (size_t)n * sizeof *to);
    pack_end(&pack->prompt_end, &pack->prompt);
}

/* MeZO's code: the prompt with the first right answer behind it, of which the loss is read; and of rows that are evaluated the prompt alone. Of rows that are
 * trained on by what is written (--non_diff) it takes the answer off again. */
static zo_status encode_answer(zo_encoder *encoder, const zo_record *raw, bool trains, const zo_record *const *shown, int64_t nshown, zo_pack *pack,
                               int64_t *truncated, zo_err *err)
{
    int64_t cuts = 0;
    zo_status status = encode_options(encoder, raw, OPTIONS_GOLD, shown, nshown, pack, truncated, err);
    if (status || (trains && !encoder->writes_train)) {
        return status;
    }
    if (trains) {
        pack_before_answer(pack);
        pack_answers(raw->own, pack);
        return ZO_OK;
    }
    zo_record record = prepared(encoder, raw);
    size_t bytes = expand(encoder, encoder->task->prompt, &record, 0);
    bytes = nshown > 0 ? put_behind_shown(encoder, bytes) : bytes;
    if (encode_stripped(encoder, bytes, true, &encoder->a, err)) {
        return err->status;
    }
    fit_left(encoder, &encoder->a, 0, &cuts); /* counted above: the answer stands behind the same text */
    if (encoder->a.n == 0) {
        return zo_fail(err, ZO_EINPUT, "task %s, form prompt: a row's prompt gives no token, so nothing can be written behind it; remove the empty row",
                       encoder->task->info.name);
    }
    memcpy(zo_pool_add(&pack->prompt, encoder->a.n), encoder->a.ids, (size_t)encoder->a.n * sizeof(int32_t));
    pack_end(&pack->prompt_end, &pack->prompt);
    pack_answers(raw->own, pack);
    return ZO_OK;
}

/* MeZO's code: the last token of a line feed, and the tokenizer's own end. */
static zo_status find_ends(zo_encoder *encoder, zo_err *err)
{
    zo_ids_clear(&encoder->a);
    if (zo_tokenizer_encode(encoder->tokenizer, "\n", 1, ZO_WITHOUT_SPECIALS, &encoder->a, err)) {
        return err->status;
    }
    int32_t own = zo_tokenizer_special(encoder->tokenizer).eos;
    if (encoder->a.n > 0) {
        encoder->end[encoder->ends++] = encoder->a.ids[encoder->a.n - 1];
    }
    if (own >= 0) {
        encoder->end[encoder->ends++] = own;
    }
    return ZO_OK;
}

int zo_encoder_ends(const zo_encoder *encoder, int32_t end[ZO_ENDS])
{
    memcpy(end, encoder->end, sizeof encoder->end);
    return encoder->ends;
}

/* ---- open ----------------------------------------------------------------------------------------------------------------- */

/* The token that the tokenizer puts in front of every text, or -1. (MeZO's other bos for OPT is set on the tokenizer, bench/cell/setup.c.) */
static zo_status find_bos(zo_encoder *encoder, zo_err *err)
{
    encoder->bos = -1;
    zo_special_ids special = zo_tokenizer_special(encoder->tokenizer);
    zo_ids_clear(&encoder->a);
    if (zo_tokenizer_encode(encoder->tokenizer, "a", 1, ZO_WITH_SPECIALS, &encoder->a, err)) {
        return err->status;
    }
    if (zo_tokenizer_wrap_count(encoder->tokenizer, false) > 0 && encoder->a.n > 1 && special.bos >= 0 && encoder->a.ids[0] == special.bos) {
        encoder->bos = special.bos;
    }
    return ZO_OK;
}

zo_status zo_encoder_open(zo_encoder **out, const zo_task *task, const zo_dataset_spec *spec, zo_err *err)
{
    *out = NULL;
    const char *name = task->info.name;
    if (spec->context < 1) {
        return zo_fail(err, ZO_EINPUT, "task %s: context %lld is not a number of tokens; give \"context\" at least 1", name, (long long)spec->context);
    }
    if (spec->form == ZO_FORM_HEAD && !task->texts) {
        return zo_fail(err, ZO_EINPUT, "task %s has no form \"head\"; use \"form\": \"prompt\" with a causal model", name);
    }
    if (task->scores && (spec->form == ZO_FORM_HEAD || spec->causal)) {
        return zo_fail(err, ZO_EINPUT, "task %s is of scores, which label words share (form \"prompt\" of encoders); use such a model and form", name);
    }
    if (spec->form == ZO_FORM_PROMPT && spec->causal && !task->prompt) {
        return zo_fail(err, ZO_EINPUT, "task %s has no prompt for causal models; use \"form\": \"head\", or an encoder", name);
    }
    if (spec->demonstrations > 0 && !(spec->form == ZO_FORM_PROMPT && spec->causal)) {
        return zo_fail(err, ZO_EINPUT, "task %s: \"demonstrations\" stand in prompts of causal models; leave them out, or use \"form\": \"prompt\" with such a model",
                       name);
    }
    if (spec->form == ZO_FORM_PROMPT && task->answer_tokens >= spec->context) {
        return zo_fail(err, ZO_EINPUT, "task %s: of a \"context\" of %lld tokens %d are the answer's, which the model writes, so nothing is left for the prompt; raise it",
                       name, (long long)spec->context, task->answer_tokens);
    }
    if (spec->calibration != ZO_CALIBRATE_NONE && !(spec->form == ZO_FORM_PROMPT && spec->causal && task->answer_tokens == 0)) {
        return zo_fail(err, ZO_EINPUT, "task %s: \"calibration\" is of options that causal models rank; leave it out, or use \"form\": \"prompt\" with such a model",
                       name);
    }
    if (spec->form == ZO_FORM_PROMPT && !spec->causal && !task->mask_template) {
        return zo_fail(err, ZO_EINPUT, "task %s has no prompt for encoders; use %sa causal model", name, task->texts ? "\"form\": \"head\", or " : "");
    }
    zo_encoder *encoder = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *encoder);
    encoder->task = task;
    encoder->tokenizer = spec->tokenizer;
    encoder->causal = spec->causal;
    encoder->fill = spec->fill;
    encoder->writes_train = spec->writes_train;
    encoder->context = spec->context - (spec->form == ZO_FORM_PROMPT ? task->answer_tokens : 0); /* as MeZO's code cuts, in training too */
    zo_status status = ZO_OK;
    if (spec->form == ZO_FORM_HEAD) {
        encoder->head = ZO_HEAD_CLASS;
    } else if (spec->causal) {
        encoder->head = task->teacher_forcing || task->answer_tokens > 0 ? ZO_HEAD_SPAN : ZO_HEAD_OPTIONS;
        status = find_bos(encoder, err);
        status = status || task->answer_tokens == 0 ? status : find_ends(encoder, err);
    } else {
        encoder->head = ZO_HEAD_WORDS;
        status = parse_template(encoder, err);
        if (!status) {
            status = find_words(encoder, err);
        }
    }
    if (status) {
        zo_encoder_close(encoder);
        return status;
    }
    *out = encoder;
    return ZO_OK;
}

void zo_encoder_close(zo_encoder *encoder)
{
    if (!encoder) {
        return;
    }
    for (int k = 0; k < encoder->parts; k++) {
        zo_ids_free(&encoder->part[k].ids);
        zo_ids_free(&encoder->part[k].text);
    }
    for (int o = 0; o < ZO_TASK_CLASSES; o++) {
        zo_ids_free(&encoder->full[o]);
    }
    zo_ids_free(&encoder->a);
    zo_ids_free(&encoder->b);
    zo_ids_free(&encoder->wrapped);
    zo_table_free(&encoder->storage);
    zo_free(encoder->text);
    zo_free(encoder->shown);
    zo_free(encoder);
}

zo_head zo_encoder_head(const zo_encoder *encoder)
{
    return encoder->head;
}

const int32_t *zo_encoder_words(const zo_encoder *encoder)
{
    return encoder->head == ZO_HEAD_WORDS ? encoder->word : NULL;
}

zo_status zo_encode(zo_encoder *encoder, const zo_record *record, bool gold_only, const zo_record *const *shown, int64_t n, zo_pack *pack, int64_t *truncated,
                    zo_err *err)
{
    zo_err own;
    err = err ? err : &own;
    if (encoder->head == ZO_HEAD_CLASS) {
        return encode_head(encoder, record, pack, truncated, err);
    }
    if (encoder->head == ZO_HEAD_WORDS) {
        return encode_words(encoder, record, pack, truncated, err);
    }
    if (encoder->task->answer_tokens > 0) {
        return encode_answer(encoder, record, gold_only, shown, n, pack, truncated, err);
    }
    return encode_options(encoder, record, gold_only && encoder->head == ZO_HEAD_SPAN ? OPTIONS_GOLD : OPTIONS_ALL, shown, n, pack, truncated, err);
}

zo_status zo_encode_free(zo_encoder *encoder, const zo_record *record, const zo_record *const *shown, int64_t n, zo_pack *pack, zo_err *err)
{
    int64_t cuts = 0; /* the same demonstrations are cut in the example itself, and counted there */
    return encode_options(encoder, record, OPTIONS_FREE, shown, n, pack, &cuts, err);
}
