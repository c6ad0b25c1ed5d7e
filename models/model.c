/* model.c: a model's life, the passes that others call, and how much memory they take. */
#include "models/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backends/codes.h"
#include "core/clock.h"
#include "core/io.h"
#include "models/files/adapter.h"
#include "models/files/hub.h"
#include "models/files/prefix.h"
#include "models/rope.h"
#include "models/files/trained.h"
#include "models/transformer.h"

zo_status zo_model_open(zo_model **out, const zo_model_spec *spec, zo_backend *be, zo_err *err)
{
    *out = NULL;
    ZO_CHECK(spec->folder || (spec->arch && spec->random), "a model without a folder needs an arch and random weights");
    zo_model *model = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *model);
    model->be = be;
    model->head = spec->head;
    model->precision = spec->precision;
    snprintf(model->folder, sizeof model->folder, "%s", spec->folder ? spec->folder : "");
    bool classifies = spec->head == ZO_HEAD_CLASS || spec->head == ZO_HEAD_WORDS;
    model->classes = classifies ? spec->classes : 0;
    zo_status status = zo_backend_check(be, spec->precision, err);
    if (spec->arch) {
        model->arch = *spec->arch;
    } else if (!status) {
        status = zo_arch_read(spec->folder, &model->arch, err);
    }
    if (!status) {
        zo_arch_set_decoder(&model->arch, spec->head, spec->decoder);
        status = zo_tune_extend(spec->tune, &model->arch, err);
    }
    if (!status && model->arch.quantised.bits > 0 && !be->reads_codes) {
        status = zo_fail(err, ZO_EUNSUPPORTED, "device \"%s\" (%s) has no products of matrices that are held as codes; use \"quantised\": \"none\", or the device \"cpu\"",
                         be->name, be->device);
    }
    if (!status && model->arch.side.late > 0) {
        status = zo_backend_has(be, ZO_SLOTS_SIDE, err);
    }
    zo_note_add(model->note, sizeof model->note, "%s", model->arch.note);
    if (!status && !spec->random && spec->head != ZO_HEAD_CLASS) {
        status = zo_weights_decoder(spec->folder, &model->arch, spec->decoder, model->note, sizeof model->note, err);
    }
    if (!status) {
        status = zo_arch_check_head(&model->arch, spec->head, spec->classes, err);
    }
    bool no_head = spec->head == ZO_HEAD_CLASS && spec->classes == 0;
    if (!status && classifies && spec->classes < 2 && !no_head) {
        status = zo_fail(err, ZO_EINPUT, "a classification objective needs at least 2 classes, not %d", spec->classes);
    }
    for (int c = 0; !status && spec->head == ZO_HEAD_WORDS && c < spec->classes; c++) {
        if (spec->word[c] < 0 || spec->word[c] >= model->arch.vocab) {
            status = zo_fail(err, ZO_EINPUT, "label word %d has token id %d, but the model's vocabulary has %d rows: tokenizer and "
                             "model do not belong together", c, spec->word[c], model->arch.vocab);
        }
    }
    if (status) {
        zo_model_close(model);
        return status;
    }
    const zo_arch *a = &model->arch;
    ZO_CHECK(a->layers > 0 && a->heads > 0 && a->kv_heads > 0 && a->heads % a->kv_heads == 0, "an arch with %d layers, %d heads, %d key "
             "heads; the families' readers refuse such files", a->layers, a->heads, a->kv_heads);
    zo_arch_layout(a, spec->head, spec->classes, &model->layout);
    status = zo_tune_apply(spec->tune, a, spec->head, &model->layout, err);
    if (!status && !spec->random) {
        status = zo_weights_check(spec->folder, a, &model->layout, err);
    }
    if (status) {
        zo_model_close(model);
        return status;
    }
    model->ids.block = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)a->layers * sizeof *model->ids.block);
    model->kept = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)a->layers * sizeof *model->kept);
    zo_transformer_wire(model);
    model->prefix_row = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)a->prefix * sizeof *model->prefix_row);
    for (int32_t i = 0; i < a->prefix; i++) {
        model->prefix_row[i] = i;
    }
    if (spec->head == ZO_HEAD_WORDS) {
        model->word = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)spec->classes * sizeof *model->word);
        memcpy(model->word, spec->word, (size_t)spec->classes * sizeof *model->word);
    }
    model->store = zo_store_new_as(be, &model->layout, spec->storage, ZO_TAG_PARAMS);
    if (spec->random) {
        zo_weights_random(a, &model->layout, be, model->store, spec->seed);
    } else {
        status = zo_weights_read(spec->folder, a, &model->layout, be, model->store, spec->seed, err);
        if (!status) {
            status = zo_weights_unread(spec->folder, a, &spec->head, 1, model->classes, model->note, sizeof model->note, err);
        }
    }
    if (!status && spec->tune && spec->tune->kind->begin) {
        status = spec->tune->kind->begin(&spec->tune->options, model, spec->seed, err);
    }
    if (status) {
        zo_model_close(model);
        return status;
    }
    *out = model;
    return ZO_OK;
}

/* Gives back what `room` does not borrow from `lender` (NULL: all is its own). */
static void room_free(zo_backend *be, const zo_room *room, const zo_room *lender)
{
    float *const blocks[] = {room->arena, room->more, room->rope_cos};
    const float *const lent[] = {lender ? lender->arena : NULL, NULL, lender ? lender->rope_cos : NULL};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (blocks[i] && blocks[i] != lent[i]) {
            be->release(be, blocks[i]);
        }
    }
    if (lender && room->scratch_ids == lender->scratch_ids) {
        return;
    }
    void *const host[] = {room->scratch_ids, room->row,    room->row_of,    room->turn_row, room->row_turn_row, room->at,        room->host,
                          room->amount,      room->value,  room->filled[0], room->filled[1],    room->filled[2], room->filled[3]};
    for (size_t i = 0; i < sizeof host / sizeof host[0]; i++) {
        zo_free(host[i]);
    }
}

void zo_model_unreserve(zo_model *model)
{
    model->be->wait(model->be);
    room_free(model->be, &model->room, NULL);
    model->room = (zo_room){0};
    zo_free(model->mark);
    zo_free(model->touched_rows[0]);
    model->mark = NULL;
    model->touched_rows[0] = NULL;
}

void zo_model_close(zo_model *model)
{
    if (!model) {
        return;
    }
    room_free(model->be, &model->room, NULL);
    zo_free(model->mark);
    zo_free(model->touched_rows[0]);
    if (model->store) {
        zo_store_free(model->be, model->store);
    }
    zo_layout_free(&model->layout);
    zo_free(model->ids.block);
    zo_free(model->ids.side_down);
    zo_free(model->kept);
    zo_free(model->word);
    zo_free(model->prefix_row);
    zo_free(model);
}

const zo_arch *zo_model_arch(const zo_model *model)
{
    return &model->arch;
}

const zo_layout *zo_model_layout(const zo_model *model)
{
    return &model->layout;
}

zo_store *zo_model_store(zo_model *model)
{
    return model->store;
}

zo_backend *zo_model_backend(zo_model *model)
{
    return model->be;
}

zo_decoder zo_model_decoder(const zo_model *model)
{
    return model->ids.decoder.weight < 0 ? ZO_DECODER_DEFAULT : model->arch.tied ? ZO_DECODER_TIED : ZO_DECODER_UNTIED;
}

const char *zo_model_note(const zo_model *model)
{
    return model->note;
}

void zo_model_add_note(zo_model *model, const char *sentence)
{
    zo_note_add(model->note, sizeof model->note, "%s", sentence);
}

int zo_model_width(const zo_model *model)
{
    return model->width;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t pass_floats(zo_model *model, int64_t tokens, int64_t rows, int64_t scores, int points, zo_backward backward)
{
    rows = rows < tokens ? rows : tokens;
    zo_pass pass = {.points = points, .tokens = tokens, .rows = rows, .head_rows = rows, .scores = scores};
    zo_lay lay = {.size = INT64_MAX};
    zo_pass_lay(model, &pass, &lay);
    int64_t floats = lay.used;
    if (backward != ZO_FORWARD_ONLY) {
        pass.points = 1;
        pass.keep = backward;
        zo_pass_lay(model, &pass, &lay);
        floats = max64(floats, lay.used);
    }
    return floats;
}

static int64_t round_up(int64_t n, int64_t to)
{
    return to > 1 ? (int64_t)zo_round_up((uint64_t)n, (uint64_t)to) : n;
}

/* What a forward pass makes of n tokens, and of n head rows or scores. */
static int64_t rounded(const zo_model *model, int64_t n)
{
    return round_up(n, model->be->round_to);
}

static int64_t rounded_rows(const zo_model *model, int64_t n)
{
    return round_up(n, model->be->round_to / 4);
}

static void *host_block(int64_t n, size_t size)
{
    return zo_alloc(ZO_HOST, ZO_TAG_ACTIVATIONS, (size_t)n * size);
}

/* The lists of a room, for its sizes. */
static void room_lists(const zo_model *model, zo_room *r)
{
    int64_t results = max64(r->max_scores, r->max_rows * model->classes);
    r->scratch_ids = host_block(r->max_tokens, sizeof *r->scratch_ids);
    r->row = host_block(r->max_tokens, sizeof *r->row);
    r->row_of = host_block(r->max_tokens, sizeof *r->row_of);
    r->turn_row = model->arch.rope_scaling == ZO_ROPE_LONG ? host_block(r->max_tokens, sizeof *r->turn_row) : NULL;
    r->row_turn_row = host_block(r->max_tokens, sizeof *r->row_turn_row);
    r->at = host_block(r->max_scores, sizeof *r->at);
    for (int i = 0; i < 4; i++) {
        r->filled[i] = host_block(i < 3 ? r->max_tokens : r->max_scores, sizeof *r->filled[i]);
    }
    r->host = host_block(r->max_points * results, sizeof *r->host);
    r->amount = host_block(results, sizeof *r->amount);
    r->value = host_block(max64(r->max_scores, model->classes), sizeof *r->value);
}

static int64_t rope_positions(const zo_arch *a, const zo_room *r)
{
    return !a->rope ? 0 : a->positions < r->max_tokens ? a->positions : r->max_tokens;
}

static void room_rope(const zo_model *model, zo_room *r)
{
    const zo_arch *a = &model->arch;
    zo_backend *be = model->be;
    r->rope_cos = NULL;
    r->rope_positions = rope_positions(a, r);
    if (r->rope_positions > 0) {
        int64_t half = zo_arch_rope_dims(a) / 2;
        int64_t each = zo_rope_rows(a, r->rope_positions) * half, size = zo_arch_ropes(a) * each;
        size_t bytes = (size_t)size * sizeof(float);
        float *tables = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * bytes);
        for (int i = 0; i < zo_arch_ropes(a); i++) {
            zo_rope_tables(a, r->rope_positions, i > 0, tables + i * each, tables + size + i * each);
        }
        r->rope_cos = be->alloc(be, ZO_TAG_ACTIVATIONS, 2 * bytes);
        r->rope_sin = r->rope_cos + size;
        be->upload(be, r->rope_cos, tables, 2 * bytes);
        zo_free(tables);
    }
}

static void room_raise(zo_model *model, zo_room *r, int64_t tokens, int32_t rows, int32_t scores, int points)
{
    ZO_CHECK(tokens > 0 && rows > 0 && points > 0, "reserve for %lld tokens, %d rows, %d points", (long long)tokens, rows, points);
    int64_t all_tokens = rounded(model, tokens), all_rows = rounded_rows(model, rows);
    r->max_tokens = max64(r->max_tokens, all_tokens);
    r->max_rows = max64(r->max_rows, all_rows < all_tokens ? all_rows : all_tokens);
    r->max_scores = max64(r->max_scores, rounded_rows(model, scores));
    r->max_points = points > r->max_points ? points : r->max_points;
}

static zo_largest largest(const zo_model *model, const zo_room *r, int points, bool backward)
{
    return (zo_largest){.points = points, .tokens = r->max_tokens, .rows = r->max_scores > 0 ? r->max_rows : 0, .backward = backward,
                        .storage = model->store->storage};
}

void zo_model_reserve(zo_model *model, int64_t tokens, int32_t rows, int32_t scores, int points, zo_backward backward,
                      const zo_factors *factors)
{
    zo_backend *be = model->be;
    zo_room *r = &model->room;
    ZO_CHECK(!model->evaluates, "zo_model_reserve inside an evaluation");
    room_free(be, r, NULL);
    room_raise(model, r, tokens, rows, scores, points);
    r->arena_floats = max64(r->arena_floats, pass_floats(model, rounded(model, tokens), rounded_rows(model, rows), rounded_rows(model, scores),
                                                         points, backward));
    r->arena = be->alloc(be, ZO_TAG_ACTIVATIONS, (size_t)r->arena_floats * sizeof(float));
    room_lists(model, r);
    room_rope(model, r);

    zo_free(model->mark);
    zo_free(model->touched_rows[0]);
    int64_t table_rows = 0, most = r->max_tokens + model->classes;
    for (int i = 0; i < model->layout.n; i++) {
        table_rows = max64(table_rows, model->layout.param[i].kind == ZO_PARAM_TABLE ? model->layout.param[i].rows : 0);
    }
    model->mark = host_block(table_rows, 1);
    model->touched_rows[0] = host_block(4 * most, sizeof *model->touched_rows[0]);
    for (int i = 1; i < 4; i++) {
        model->touched_rows[i] = model->touched_rows[0] + i * most;
    }
    zo_largest limits = largest(model, r, r->max_points, backward != ZO_FORWARD_ONLY);
    be->reserve(be, &model->layout, factors, model->precision, &limits);
}

/* Room at `more` for what the pass has no place for in the arena; its buffers are laid. */
static void lay_in_evaluation(zo_model *model, zo_pass *pass)
{
    zo_backend *be = model->be;
    zo_room *r = &model->room;
    zo_lay lay = {.size = r->arena_floats};
    zo_pass_lay(model, pass, &lay);
    if (lay.more_used > r->more_floats) {
        if (r->more) {
            be->release(be, r->more);
        }
        r->more_floats = lay.more_used;
        r->more = be->alloc(be, ZO_TAG_ACTIVATIONS, (size_t)r->more_floats * sizeof(float));
    }
    lay.base = r->arena;
    lay.more = r->more;
    zo_pass_lay(model, pass, &lay);
}

void zo_model_evaluation_begin(zo_model *model, int64_t tokens, int32_t rows, int32_t scores, const zo_factors *factors)
{
    zo_backend *be = model->be;
    zo_room *r = &model->room;
    ZO_CHECK(!model->evaluates, "an evaluation inside an evaluation");
    model->evaluates = true;
    model->reserved = *r;
    room_raise(model, r, tokens, rows, scores, 1);
    const zo_room *had = &model->reserved;
    if (r->max_tokens > had->max_tokens || r->max_rows > had->max_rows || r->max_scores > had->max_scores || had->max_points == 0) {
        r->max_points = 1;
        room_lists(model, r);
    }
    if (rope_positions(&model->arch, r) > had->rope_positions) {
        room_rope(model, r);
    }
    if (be->extra_begin) {
        be->extra_begin(be);
    }
    zo_largest limits = largest(model, r, 1, false);
    be->reserve(be, &model->layout, factors, model->precision, &limits);
    zo_pass pass = {.points = 1, .tokens = rounded(model, tokens), .scores = rounded_rows(model, scores)};
    pass.rows = pass.head_rows = rounded_rows(model, rows) < pass.tokens ? rounded_rows(model, rows) : pass.tokens;
    lay_in_evaluation(model, &pass);
}

void zo_model_evaluation_end(zo_model *model)
{
    zo_backend *be = model->be;
    ZO_CHECK(model->evaluates, "the end of an evaluation that was not begun");
    be->wait(be);
    if (be->extra_end) {
        be->extra_end(be);
    }
    room_free(be, &model->room, &model->reserved);
    model->room = model->reserved;
    model->evaluates = false;
}

void zo_model_plan(const zo_arch *arch, zo_head head, int classes, const zo_layout *layout, int64_t tokens, int32_t rows, int points,
                   zo_backward backward, zo_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    zo_model model = {.arch = *arch, .head = head, .layout = *layout};
    model.classes = head == ZO_HEAD_CLASS || head == ZO_HEAD_WORDS ? classes : 0;
    model.kept = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)arch->layers * sizeof *model.kept);
    model.ids.block = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)arch->layers * sizeof *model.ids.block);
    zo_transformer_wire(&model);
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        plan->parameters += p->rows * p->cols;
        plan->trained += p->frozen ? 0 : p->rows * p->cols;
        int64_t bytes = p->bits > 0 ? p->rows * zo_codes_row_bytes(p->bits, p->cols) : p->rows * p->cols * (int64_t)sizeof(float);
        plan->layers_bytes += p->block >= 0 ? bytes : 0;
    }
    plan->tag_bytes[ZO_TAG_PARAMS] = (uint64_t)layout->size * sizeof(float) + (uint64_t)layout->codes;
    int64_t floats = pass_floats(&model, tokens, rows, rows, points, backward);
    if (arch->rope) {
        floats += zo_arch_ropes(arch) * zo_rope_rows(arch, arch->positions < tokens ? arch->positions : tokens) * zo_arch_rope_dims(arch);
    }
    plan->tag_bytes[ZO_TAG_ACTIVATIONS] = (uint64_t)floats * sizeof(float);
    zo_free(model.kept);
    zo_free(model.ids.block);
    zo_free(model.ids.side_down);
}

/* ---- passes ------------------------------------------------------------------------------------------------------------- */

/* Bugs of the batch's maker, told before they become a read out of bounds. */
static void check_batch(const zo_model *model, const zo_batch *batch)
{
    const zo_arch *a = &model->arch;
    ZO_CHECK(batch->tokens > 0 && batch->tokens <= model->room.max_tokens, "a batch of %d tokens; zo_model_reserve was told %lld",
             batch->tokens, (long long)model->room.max_tokens);
    ZO_CHECK(batch->start[0] == 0 && batch->start[batch->seqs] == batch->tokens, "the batch's sequences do not cover its tokens");
    int64_t positions = a->rope ? model->room.rope_positions : a->positions;
    for (int32_t t = 0; t < batch->tokens; t++) {
        ZO_CHECK(batch->id[t] >= 0 && batch->id[t] < a->vocab, "token %d has id %d; the vocabulary has %d rows", t, batch->id[t], a->vocab);
        ZO_CHECK(batch->position[t] >= 0 && batch->position[t] < positions, "token %d stands at position %d; there are %lld", t,
                 batch->position[t], (long long)positions);
        ZO_CHECK(!batch->type || a->types <= 1 || (batch->type[t] >= 0 && batch->type[t] < a->types), "token %d is of segment %d; there "
                 "are %d", t, batch->type[t], a->types);
    }
    for (int32_t s = 0; s < batch->seqs; s++) {
        ZO_CHECK(batch->start[s] <= batch->start[s + 1], "sequence %d ends before it begins", s);
        int32_t parent = batch->parent ? batch->parent[s] : -1;
        ZO_CHECK(parent < s && (parent < 0 || (a->causal && batch->parent[parent] < 0)), "sequence %d has parent %d", s, parent);
    }
}

static bool classifies(const zo_model *model)
{
    return model->head == ZO_HEAD_CLASS || model->head == ZO_HEAD_WORDS;
}

static void check_labels(const zo_model *model, const zo_batch *batch)
{
    for (int32_t e = 0; e < batch->examples; e++) {
        int32_t choices = classifies(model) ? model->classes : batch->example_start[e + 1] - batch->example_start[e];
        ZO_CHECK((batch->label[e] >= 0 && batch->label[e] < choices) || choices == 1,
                 "example %d has label %d of %d", e, batch->label[e], choices);
    }
    for (int32_t o = 0; !classifies(model) && o < batch->options; o++) {
        ZO_CHECK(batch->option_start[o] < batch->option_start[o + 1] && batch->option_start[o + 1] <= batch->scores,
                 "option %d has no token that is scored", o);
    }
}

/* list (n) filled up to `all` with its last. */
static void fill_up(int32_t *list, int64_t n, int64_t all)
{
    for (int64_t i = n; i < all; i++) {
        list[i] = list[n - 1];
    }
}

static int32_t *filled_copy(int32_t *to, const int32_t *from, int64_t n, int64_t all)
{
    memcpy(to, from, (size_t)n * sizeof *to);
    fill_up(to, n, all);
    return to;
}

/* The batch as a pass with more tokens and scores reads it; what is added belongs to no sequence and to no option. */
static zo_batch fill_batch(zo_model *model, const zo_pass *pass, const zo_batch *batch)
{
    zo_batch b = *batch;
    if (pass->tokens > batch->tokens) {
        b.tokens = (int32_t)pass->tokens;
        b.id = filled_copy(model->room.filled[0], batch->id, batch->tokens, pass->tokens);
        b.position = filled_copy(model->room.filled[1], batch->position, batch->tokens, pass->tokens);
        b.type = batch->type ? filled_copy(model->room.filled[2], batch->type, batch->tokens, pass->tokens) : NULL;
    }
    if (pass->scores > batch->scores) {
        b.target = filled_copy(model->room.filled[3], batch->target, batch->scores, pass->scores);
    }
    return b;
}

/* The row of the sines and cosines that each token is turned by, where it is not its position, up to `all` tokens. A prompt and what hangs on it are
 * one text, whose length counts. */
static void find_turn_rows(zo_model *model, const zo_batch *batch, int64_t all)
{
    int32_t *row = model->room.turn_row;
    for (int32_t first = 0, s; row != NULL && first < batch->seqs; first = s) {
        int32_t length = 0;
        ZO_CHECK(batch->parent == NULL || batch->parent[first] < 0, "sequence %d does not follow its parent, sequence %d, and that one's others", first, batch->parent[first]);
        for (s = first; s < batch->seqs && (s == first || (batch->parent != NULL && batch->parent[s] == first)); s++) {
            for (int32_t t = batch->start[s]; t < batch->start[s + 1]; t++) {
                length = batch->position[t] >= length ? batch->position[t] + 1 : length;
            }
        }
        for (int32_t t = batch->start[first]; t < batch->start[s]; t++) {
            row[t] = zo_rope_row(&model->arch, batch->position[t], length);
        }
    }
    if (row != NULL) {
        fill_up(row, batch->tokens, all);
    }
}

/* A pass that is rounded up gets more tokens, rows and scores than the batch has: see fill_batch. */
const int32_t *zo_pass_begin(zo_model *model, zo_pass *pass, const zo_view *view, const zo_batch *batch, zo_backward keep, bool all, bool round)
{
    check_batch(model, batch);
    ZO_CHECK(view->npoints <= model->room.max_points, "%d points; zo_model_reserve was told %d", view->npoints, model->room.max_points);
    *pass = (zo_pass){.points = view->npoints, .tokens = batch->tokens, .rows = batch->tokens, .keep = keep};
    const int32_t *row = NULL;
    if (round) {
        pass->tokens = pass->rows = rounded(model, batch->tokens);
    }
    find_turn_rows(model, batch, pass->tokens);
    const int32_t *turn_row = zo_turn_rows(model, batch);
    if (!all) {
        for (int32_t t = 0; t < batch->tokens; t++) {
            model->room.row_of[t] = -1;
        }
        for (int32_t i = 0; i < batch->rows; i++) {
            ZO_CHECK(batch->row[i] >= 0 && batch->row[i] < batch->tokens, "head row %d is token %d of %d", i, batch->row[i], batch->tokens);
            model->room.row_of[batch->row[i]] = 0;
        }
        int32_t n = 0;
        for (int32_t t = 0; t < batch->tokens; t++) {
            if (model->room.row_of[t] == 0) {
                model->room.row_of[t] = n;
                model->room.row[n] = t;
                model->room.row_turn_row[n++] = turn_row[t];
            }
        }
        ZO_CHECK(n > 0 && n <= model->room.max_rows, "a head reads %d rows; zo_model_reserve was told %lld", n, (long long)model->room.max_rows);
        if (n < batch->tokens) {
            int64_t rows = round ? rounded_rows(model, n) : n;
            pass->rows = rows < pass->tokens ? rows : pass->tokens;
            fill_up(model->room.row, n, pass->rows);
            fill_up(model->room.row_turn_row, n, pass->rows);
            row = model->room.row;
        }
        pass->head_rows = pass->rows;
        if (model->head == ZO_HEAD_OPTIONS || model->head == ZO_HEAD_SPAN) {
            ZO_CHECK(batch->scores > 0 && batch->scores <= model->room.max_scores, "%d scores; zo_model_reserve was told %lld", batch->scores,
                     (long long)model->room.max_scores);
            pass->scores = round ? rounded_rows(model, batch->scores) : batch->scores;
            for (int32_t i = 0; i < batch->scores; i++) {
                ZO_CHECK(batch->at[i] >= 0 && batch->at[i] < batch->rows, "score %d stands at row %d of %d", i, batch->at[i], batch->rows);
                ZO_CHECK(batch->target[i] >= 0 && batch->target[i] < model->arch.vocab, "score %d asks for token %d; the vocabulary has "
                         "%d rows", i, batch->target[i], model->arch.vocab);
                model->room.at[i] = model->room.row_of[batch->row[batch->at[i]]];
            }
            fill_up(model->room.at, batch->scores, pass->scores);
        }
    }
    if (model->evaluates) {
        ZO_CHECK(keep == ZO_FORWARD_ONLY, "gradients inside an evaluation");
        lay_in_evaluation(model, pass);
        return row;
    }
    zo_lay lay = {.base = model->room.arena, .size = model->room.arena_floats};
    zo_pass_lay(model, pass, &lay);
    ZO_CHECK(lay.more_used == 0, "a pass over %d tokens takes %lld floats; zo_model_reserve made room for %lld", batch->tokens,
             (long long)(lay.used + lay.more_used), (long long)lay.size);
    return row;
}

/* Around the operations of a pass: a backend may gather them and start them as a whole. */
static void operations_begin(zo_backend *be)
{
    if (be->pass_begin != NULL) {
        be->pass_begin(be);
    }
}

static void operations_end(zo_backend *be)
{
    if (be->pass_end != NULL) {
        be->pass_end(be);
    }
}

/* Logits or log-probabilities of all points to model->room.host; returns how many a point. */
static int64_t fetch_results(zo_model *model, const zo_pass *pass)
{
    int64_t n = classifies(model) ? pass->rows * model->classes : pass->scores;
    model->be->download(model->be, model->room.host, classifies(model) ? pass->logits : pass->logprob,
                        (size_t)(pass->points * n) * sizeof(float));
    return n;
}

static int64_t run_forward(zo_model *model, const zo_view *view, const zo_batch *batch)
{
    zo_pass pass;
    ZO_CHECK(model->classes > 0 || !classifies(model), "the model was opened with 0 classes, for its hidden states alone");
    double start = zo_now();
    const int32_t *row = zo_pass_begin(model, &pass, view, batch, ZO_FORWARD_ONLY, false, true);
    zo_batch filled = fill_batch(model, &pass, batch);
    zo_part_add(ZO_PART_DATA, zo_now() - start);
    operations_begin(model->be);
    zo_transformer_forward(model, &pass, view, &filled, row);
    zo_head_forward(model, &pass, view, &filled);
    operations_end(model->be);
    return fetch_results(model, &pass);
}

void zo_model_losses(zo_model *model, const zo_view *view, const zo_batch *batch, double *loss)
{
    check_labels(model, batch);
    int64_t n = run_forward(model, view, batch);
    double start = zo_now();
    for (int p = 0; p < view->npoints; p++) {
        loss[p] = zo_head_loss(model, batch, model->room.host + p * n, NULL, NULL, 0.0, NULL);
    }
    zo_part_add(ZO_PART_HEAD, zo_now() - start);
}

void zo_model_predict(zo_model *model, const zo_view *view, const zo_batch *batch, int32_t *choice, double *nll)
{
    check_labels(model, batch);
    int64_t n = run_forward(model, view, batch), examples = batch->examples;
    double start = zo_now();
    for (int p = 0; p < view->npoints; p++) {
        zo_head_loss(model, batch, model->room.host + p * n, choice + p * examples, nll != NULL ? nll + p * examples : NULL, 0.0, NULL);
    }
    zo_part_add(ZO_PART_HEAD, zo_now() - start);
}

int64_t zo_model_ranked(const zo_model *model, const zo_batch *batch)
{
    return classifies(model) ? (int64_t)batch->examples * model->classes : batch->options;
}

void zo_model_rank(zo_model *model, const zo_view *view, const zo_batch *batch, int32_t *choice, double *nll, double *score)
{
    ZO_CHECK(view->npoints == 1, "zo_model_rank reads one point, not %d", view->npoints);
    check_labels(model, batch);
    run_forward(model, view, batch);
    double start = zo_now();
    if (choice != NULL) {
        zo_head_loss(model, batch, model->room.host, choice, nll, 0.0, NULL);
    }
    zo_head_scores(model, batch, model->room.host, score);
    zo_part_add(ZO_PART_HEAD, zo_now() - start);
}

/* sink NULL: the gradients stay. Else they are used on the way, and a loss that is not finite has none. */
static void gradient_pass(zo_model *model, const zo_batch *batch, double scale, bool checkpoint, zo_store *grad, zo_sink *sink, double *loss)
{
    const zo_store *stored = model->store;
    zo_view view = zo_view_stored(&stored);
    zo_pass pass;
    double start = zo_now();
    check_labels(model, batch);
    const int32_t *row = zo_pass_begin(model, &pass, &view, batch, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, false, false);
    zo_part_add(ZO_PART_DATA, zo_now() - start);
    operations_begin(model->be);
    zo_transformer_forward(model, &pass, &view, batch, row);
    zo_head_forward(model, &pass, &view, batch);
    operations_end(model->be);
    int64_t n = fetch_results(model, &pass);
    memset(model->room.amount, 0, (size_t)n * sizeof *model->room.amount);
    *loss = zo_head_loss(model, batch, model->room.host, NULL, NULL, scale, model->room.amount);
    if (sink != NULL && !isfinite(*loss)) {
        return;
    }
    pass.sink = sink;
    operations_begin(model->be);
    zo_head_backward(model, &pass, batch, model->room.amount, grad);
    if (zo_goes_below(model, model->ids.head_stage)) {
        zo_transformer_backward(model, &pass, batch, row, grad);
    }
    operations_end(model->be);
}

void zo_model_grad(zo_model *model, const zo_batch *batch, double scale, bool checkpoint, zo_store *grad, double *loss)
{
    gradient_pass(model, batch, scale, checkpoint, grad, NULL, loss);
}

void zo_model_descend(zo_model *model, const zo_batch *batch, bool checkpoint, zo_sink *sink, double *loss)
{
    gradient_pass(model, batch, 1.0, checkpoint, sink->room, sink, loss);
}

void zo_model_hidden(zo_model *model, const zo_view *view, const zo_batch *batch, float *hidden)
{
    ZO_CHECK(view->npoints == 1, "zo_model_hidden reads one point, not %d", view->npoints);
    zo_pass pass;
    zo_pass_begin(model, &pass, view, batch, ZO_FORWARD_ONLY, true, false);
    zo_transformer_forward(model, &pass, view, batch, NULL);
    model->be->download(model->be, hidden, pass.hidden, (size_t)(pass.rows * model->width) * sizeof(float));
}

void zo_model_logits(zo_model *model, const zo_view *view, const zo_batch *batch, float *logits)
{
    ZO_CHECK(view->npoints == 1, "zo_model_logits reads one point, not %d", view->npoints);
    zo_pass pass;
    const int32_t *row = zo_pass_begin(model, &pass, view, batch, ZO_FORWARD_ONLY, false, true);
    zo_batch filled = fill_batch(model, &pass, batch);
    zo_transformer_forward(model, &pass, view, &filled, row);
    int64_t cols = classifies(model) ? model->classes : model->arch.vocab;
    float *made = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(pass.rows * cols) * sizeof(float));
    if (classifies(model)) {
        zo_head_forward(model, &pass, view, &filled);
        model->be->download(model->be, made, pass.logits, (size_t)(pass.rows * cols) * sizeof(float));
    } else {
        zo_head_vocab_logits(model, &pass, view, made);
    }
    for (int32_t i = 0; i < batch->rows; i++) {
        memcpy(logits + i * cols, made + model->room.row_of[batch->row[i]] * cols, (size_t)cols * sizeof(float));
    }
    zo_free(made);
}

int64_t zo_model_feature_rows(const zo_model *model, const zo_batch *batch)
{
    int64_t rows = 0;
    for (int32_t e = 0; e < batch->examples && !classifies(model); e++) {
        int32_t o = batch->example_start[e] + batch->label[e];
        rows += batch->option_start[o + 1] - batch->option_start[o];
    }
    return classifies(model) ? batch->examples : rows;
}

void zo_model_feature_targets(const zo_batch *batch, int32_t *right)
{
    for (int32_t e = 0; e < batch->examples; e++) {
        int32_t o = batch->example_start[e] + batch->label[e], from = batch->option_start[o], to = batch->option_start[o + 1];
        memcpy(right, batch->target + from, (size_t)(to - from) * sizeof *right);
        right += to - from;
    }
}

static zo_pair last_product(const zo_model *model)
{
    return model->head == ZO_HEAD_CLASS ? model->ids.class_out : model->ids.decoder;
}

int zo_model_feature_width(const zo_model *model)
{
    return (int)model->layout.param[last_product(model).weight].cols;
}

void zo_model_features(zo_model *model, const zo_view *view, const zo_batch *batch, float *x, int32_t *right)
{
    ZO_CHECK(view->npoints == 1 && model->head != ZO_HEAD_SPAN, "zo_model_features reads one point of classes or options");
    zo_backend *be = model->be;
    zo_pass pass;
    check_labels(model, batch);
    const int32_t *row = zo_pass_begin(model, &pass, view, batch, ZO_FORWARD_ONLY, false, true);
    zo_batch filled = fill_batch(model, &pass, batch);
    operations_begin(be);
    zo_transformer_forward(model, &pass, view, &filled, row);
    const float *made = zo_head_features(model, &pass, view);
    operations_end(be);
    int64_t width = zo_model_feature_width(model), n = 0;
    for (int32_t e = 0; e < batch->examples; e++) {
        int32_t o = classifies(model) ? 0 : batch->example_start[e] + batch->label[e];
        int32_t from = classifies(model) ? e : batch->option_start[o], to = classifies(model) ? e + 1 : batch->option_start[o + 1];
        for (int32_t i = from; i < to; i++, n++) {
            int64_t at = classifies(model) ? model->room.row_of[batch->row[e]] : model->room.at[i];
            be->download(be, x + n * width, made + at * width, (size_t)width * sizeof *x);
        }
    }
    if (classifies(model)) {
        memcpy(right, batch->label, (size_t)batch->examples * sizeof *right);
    } else {
        zo_model_feature_targets(batch, right);
    }
}

bool zo_model_head_bias(const zo_model *model)
{
    return last_product(model).bias >= 0;
}

zo_status zo_model_set_head(zo_model *model, const int32_t *row, int n, const double *w, zo_err *err)
{
    const zo_param *param = model->layout.param;
    zo_pair out = last_product(model);
    int frozen = param[out.weight].frozen ? out.weight : out.bias >= 0 && param[out.bias].frozen ? out.bias : -1;
    if (frozen >= 0) {
        return zo_fail(err, ZO_EUNSUPPORTED, "a linear probe writes %s, which this \"tune\" has frozen: use \"full\" or \"head\"", param[frozen].name);
    }
    int64_t width = param[out.weight].cols, columns = width + (out.bias >= 0);
    float *values = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)columns * sizeof *values);
    for (int k = 0; k < n; k++) {
        int64_t at = model->head == ZO_HEAD_WORDS ? model->word[row[k]] : row[k];
        for (int64_t j = 0; j < columns; j++) {
            values[j] = (float)w[k * columns + j];
        }
        zo_store_write(model->be, model->store, param[out.weight].offset + at * width, width, values);
        if (out.bias >= 0) {
            zo_store_write(model->be, model->store, param[out.bias].offset + at, 1, values + width);
        }
    }
    zo_free(values);
    return ZO_OK;
}

void zo_model_logprobs(zo_model *model, const zo_view *view, const zo_batch *batch, float *logprob)
{
    ZO_CHECK(view->npoints == 1 && !classifies(model), "zo_model_logprobs reads one point of a language-model objective");
    run_forward(model, view, batch);
    memcpy(logprob, model->room.host, (size_t)batch->scores * sizeof(float));
}

/* ---- touched rows ------------------------------------------------------------------------------------------------------- */

static void begin_list(zo_model *model, zo_touched *touched, int param)
{
    model->touched_param[touched->nparams] = param;
    model->touched_list[touched->nparams] = model->touched_rows[touched->nparams];
}

static void end_list(zo_model *model, zo_touched *touched)
{
    int list = touched->nparams++;
    int64_t rows = model->layout.param[model->touched_param[list]].rows;
    int32_t n = 0;
    for (int64_t r = 0; r < rows; r++) {
        if (model->mark[r]) {
            model->mark[r] = 0;
            model->touched_rows[list][n++] = (int32_t)r;
        }
    }
    model->touched_n[list] = n;
}

static bool is_trained(const zo_model *model, int param)
{
    return param >= 0 && !model->layout.param[param].frozen;
}

void zo_model_touched(zo_model *model, const zo_batch *batch, zo_touched *touched)
{
    const zo_ids_of *ids = &model->ids;
    const zo_arch *a = &model->arch;
    *touched = (zo_touched){.param = model->touched_param, .row = model->touched_list, .n = model->touched_n};
    bool scores = !classifies(model), words = model->head == ZO_HEAD_WORDS;
    bool tied = ids->decoder.weight == ids->token;
    if ((!scores || !tied) && is_trained(model, ids->token)) {
        begin_list(model, touched, ids->token);
        for (int32_t t = 0; t < batch->tokens; t++) {
            model->mark[batch->id[t]] = 1;
        }
        for (int c = 0; words && tied && c < model->classes; c++) {
            model->mark[model->word[c]] = 1;
        }
        end_list(model, touched);
    }
    if (is_trained(model, ids->position)) {
        begin_list(model, touched, ids->position);
        zo_arch_position_rows(a, batch, model->room.scratch_ids);
        for (int32_t t = 0; t < batch->tokens; t++) {
            model->mark[model->room.scratch_ids[t]] = 1;
        }
        end_list(model, touched);
    }
    if (is_trained(model, ids->type)) {
        begin_list(model, touched, ids->type);
        for (int32_t t = 0; t < batch->tokens; t++) {
            model->mark[batch->type && a->types > 1 ? batch->type[t] : 0] = 1;
        }
        end_list(model, touched);
    }
    if (words && !tied && is_trained(model, ids->decoder.weight) && model->layout.param[ids->decoder.weight].kind == ZO_PARAM_TABLE) {
        begin_list(model, touched, ids->decoder.weight);
        for (int c = 0; c < model->classes; c++) {
            model->mark[model->word[c]] = 1;
        }
        end_list(model, touched);
    }
}

zo_status zo_model_save_as(const zo_model *model, const zo_store *values, const char *folder, zo_err *err)
{
    if (model->arch.lora.rank > 0) {
        return zo_adapter_write(folder, &model->arch, model->folder, &model->layout, model->be, values, err);
    }
    if (model->arch.prefix > 0) {
        return zo_prefix_write(folder, &model->arch, &model->layout, model->be, values, err);
    }
    if (model->arch.side.late > 0) {
        return zo_trained_write(folder, ZO_SIDE_FILE, &model->layout, model->be, values, err);
    }
    return zo_weights_write(folder, &model->arch, &model->layout, model->be, values, err);
}

zo_status zo_model_save(zo_model *model, const char *folder, zo_err *err)
{
    return zo_model_save_as(model, model->store, folder, err);
}

zo_status zo_model_save_check(const zo_model *model, const char *folder, zo_err *err)
{
    zo_status status = model->arch.lora.rank > 0 ? zo_adapter_check(folder, &model->arch, &model->layout, err) : ZO_OK;
    return status == ZO_OK ? zo_make_dirs(folder, err) : status;
}
