/* cmd_show.c: `zo show`: with one word a run (show_run.h), with two rows of a task as a model reads them: tokens, where the loss is read, label words or options, what was cut. The rows are
 * those that a cell of `zo run` with the same keys has, in its order. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "bench/cell/setup.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/show_run.h"
#include "bench/matrix/grid.h"
#include "bench/synth/pretrain.h"
#include "core/mem.h"
#include "core/text.h"
#include "models/files/hub.h"
#include "text/tokenizer.h"

static const char USAGE[] = "zo show RUN [--db FILE] [--json], or zo show TASK MODEL [--form head|prompt] [--rows train|dev|test] [--n 3] [--from 0] [--context N] [--split SCHEME] [--data DIR] "
                            "[--models DIR] [--json]";

/* A context that cuts nothing: what was cut is what this one has more. */
enum { UNCUT = 1 << 20 };

typedef struct wish {
    const char *task, *model, *form, *rows, *split, *data, *models;
    int64_t n, from, context;
    bool json;
} wish;

typedef struct show {
    const wish *w;
    zo_tokenizer *tokenizer;
    zo_dataset *dataset, *uncut;
    zo_split split;
    int64_t context;
} show;

/* ---- the cell ----------------------------------------------------------------------------------------------------------- */

/* Through the reader of configs, so that keys mean what they mean there. */
static zo_status grid_of(const wish *w, zo_grid *grid, zo_err *err)
{
    cJSON *config = cJSON_CreateObject();
    const struct { const char *key, *value; } texts[] = {{"model", w->model}, {"task", w->task}, {"form", w->form}, {"split", w->split},
                                                         {"optimizer", zo_estimator_usual(false)->name}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].value != NULL) {
            cJSON_AddStringToObject(config, texts[i].key, texts[i].value);
        }
    }
    cJSON_AddNumberToObject(config, "steps", 1);
    if (w->context >= 0) {
        cJSON_AddNumberToObject(config, "context", (double)w->context);
    }
    char *text = cJSON_PrintUnformatted(config);
    zo_status status = zo_grid_parse(grid, text, "zo show", err);
    cJSON_free(text);
    cJSON_Delete(config);
    return status;
}

static zo_status split_of(const wish *w, zo_split *split, zo_err *err)
{
    static const char *const name[ZO_SPLITS] = {"train", "dev", "test"};
    for (int s = 0; s < ZO_SPLITS; s++) {
        if (strcmp(w->rows, name[s]) == 0) {
            *split = (zo_split)s;
            return ZO_OK;
        }
    }
    return zo_fail(err, ZO_EINPUT, "--rows is \"%.40s\"; expected train, dev or test", w->rows);
}

static zo_status open_rows(show *s, const zo_cell *cell, zo_err *err)
{
    zo_setup_dirs dirs = {.data = s->w->data, .models = s->w->models};
    zo_arch arch;
    char folder[4096];
    zo_status status = zo_model_folder(cell->model, dirs.models, NULL, NULL, folder, err);
    status = status == ZO_OK ? zo_arch_read(folder, &arch, err) : status;
    status = status == ZO_OK ? zo_setup_tokenizer(cell, &arch, folder, &s->tokenizer, &s->context, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    zo_dataset_spec spec = zo_setup_dataset_spec(cell, &dirs);
    spec.tokenizer = s->tokenizer;
    spec.causal = arch.causal;
    spec.context = s->context;
    status = zo_dataset_open(&s->dataset, &spec, err);
    spec.context = UNCUT;
    return status == ZO_OK ? zo_dataset_open(&s->uncut, &spec, err) : status;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

/* Tokens in their spelling, a line feed and its like as \n, into an object beside their ids. */
static void add_tokens(const show *s, cJSON *object, const char *key, const int32_t *id, int32_t n)
{
    char piece[400], name[40];
    cJSON *list = cJSON_CreateArray();
    for (int32_t t = 0; t < n; t++) {
        zo_tokenizer_show(s->tokenizer, id[t], piece, sizeof piece);
        cJSON_AddItemToArray(list, cJSON_CreateString(piece));
    }
    cJSON_AddItemToObject(object, key, list);
    snprintf(name, sizeof name, "%s_ids", key);
    cJSON_AddItemToObject(object, name, cJSON_CreateIntArray(id, n));
}

/* Of all its sequences, each with its own copy of a prompt that is run once. */
static int64_t token_count(const zo_dataset *dataset, zo_split split, int32_t index)
{
    zo_batch *b = zo_dataset_batch(dataset, split, &index, 1);
    int64_t n = b->paper_tokens;
    zo_batch_free(b);
    return n;
}

/* Option o: the tokens that it runs beyond the shared prompt, and those that are scored, which follow them. */
static cJSON *option_of(const show *s, const zo_batch *b, int32_t o)
{
    cJSON *option = cJSON_CreateObject();
    int32_t from = b->option_start[o], to = b->option_start[o + 1], scored = to - from, last = b->row[b->at[to - 1]], seq = 0;
    while (b->start[seq + 1] <= last) {
        seq++;
    }
    int32_t lead = last + 1 - b->start[seq] - (scored - 1); /* the first scored token may be read at the prompt's last one */
    add_tokens(s, option, "context", b->id + b->start[seq], seq > 0 && lead > 0 ? lead : 0);
    add_tokens(s, option, "scored", b->target + from, scored);
    return option;
}

static cJSON *row_of(const show *s, int32_t index)
{
    cJSON *row = cJSON_CreateObject();
    zo_head head = zo_dataset_head(s->dataset);
    bool ranks = head == ZO_HEAD_OPTIONS || head == ZO_HEAD_SPAN;
    zo_batch *b = zo_dataset_batch(s->dataset, s->split, &index, 1);
    cJSON_AddNumberToObject(row, "row", index);
    cJSON_AddNumberToObject(row, "label", b->label[0]);
    cJSON_AddNumberToObject(row, "tokens_run", b->tokens);
    cJSON_AddNumberToObject(row, "tokens_cut", (double)(token_count(s->uncut, s->split, index) - b->paper_tokens)); /* of all sequences together */
    if (ranks) {
        add_tokens(s, row, "prompt", b->id, b->seqs > 1 ? b->start[1] : b->row[b->at[0]] + 1);
        cJSON *options = cJSON_AddArrayToObject(row, "options");
        for (int32_t o = 0; o < b->options; o++) {
            cJSON_AddItemToArray(options, option_of(s, b, o));
        }
    } else {
        add_tokens(s, row, "text", b->id, b->tokens);
        cJSON_AddNumberToObject(row, "read_at", b->row[0]);
    }
    zo_batch_free(b);
    return row;
}

static cJSON *account_of(const show *s)
{
    static const char *const reads[] = {[ZO_HEAD_CLASS] = "a classification head", [ZO_HEAD_WORDS] = "label words at the mask",
                                        [ZO_HEAD_OPTIONS] = "options, by the mean log-probability of their tokens",
                                        [ZO_HEAD_SPAN] = "the right option's tokens in training, options in evaluation"};
    cJSON *account = cJSON_CreateObject();
    zo_head head = zo_dataset_head(s->dataset);
    cJSON_AddStringToObject(account, "task", s->w->task);
    cJSON_AddStringToObject(account, "model", s->w->model);
    bool writes = zo_dataset_answer_tokens(s->dataset) > 0;
    cJSON_AddStringToObject(account, "reads", writes ? "the answer's tokens, and in evaluation writes an answer behind the prompt" : reads[head]);
    cJSON_AddNumberToObject(account, "context", (double)s->context);
    cJSON_AddNumberToObject(account, "rows", zo_dataset_size(s->dataset, s->split));
    cJSON_AddNumberToObject(account, "sequences_cut", (double)zo_dataset_truncated_in(s->dataset, s->split));
    cJSON_AddStringToObject(account, "note", zo_dataset_note(s->dataset));
    if (head == ZO_HEAD_WORDS) {
        add_tokens(s, account, "words", zo_dataset_words(s->dataset), zo_dataset_classes(s->dataset));
    }
    cJSON *rows = cJSON_AddArrayToObject(account, "examples");
    int64_t size = zo_dataset_size(s->dataset, s->split);
    for (int64_t i = s->w->from; i < size && i - s->w->from < s->w->n; i++) {
        cJSON_AddItemToArray(rows, row_of(s, (int32_t)i));
    }
    return account;
}

/* ---- printing ----------------------------------------------------------------------------------------------------------- */

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The tokens of a list one behind the other, with \n for a line feed. Spaces are part of tokens; where no token has one (WordPiece) they are put
 * between. `at`: that one in [brackets]; -1 = none. */
static void print_tokens(const cJSON *list, int at)
{
    int t = 0;
    bool spaced = false;
    for (const cJSON *piece = list->child; piece != NULL; piece = piece->next) {
        spaced = spaced || piece->valuestring[0] == ' ';
    }
    for (const cJSON *piece = list->child; piece != NULL; piece = piece->next, t++) {
        bool feed = strcmp(piece->valuestring, "\\x0A") == 0;
        char *plain = zo_text_plain_copy(feed ? "\\n" : piece->valuestring);
        printf(t == at ? "%s[%s]" : "%s%s", t > 0 && !spaced ? " " : "", plain);
        zo_free(plain);
    }
}

static void print_row(const cJSON *row)
{
    int label = member(row, "label")->valueint, cut = member(row, "tokens_cut")->valueint, o = 0;
    printf("\nrow %d: label %d, %d tokens run", member(row, "row")->valueint, label, member(row, "tokens_run")->valueint);
    printf(cut > 0 ? ", and %d were cut\n" : "\n", cut);
    const cJSON *text = member(row, "text"), *options = member(row, "options");
    printf("  ");
    if (text != NULL) {
        print_tokens(text, member(row, "read_at")->valueint);
        printf("\n");
        return;
    }
    print_tokens(member(row, "prompt"), -1);
    printf("\n");
    for (const cJSON *option = options->child; option != NULL; option = option->next, o++) {
        printf("  %s %d:", o == label || options->child->next == NULL ? "right" : "     ", options->child->next == NULL ? label : o);
        print_tokens(member(option, "context"), -1);
        printf("|");
        print_tokens(member(option, "scored"), -1);
        printf("|\n");
    }
}

static void print_text(const show *s, const cJSON *account)
{
    const char *note = member(account, "note")->valuestring;
    printf("%s as %s reads it: %s; context %lld\n", s->w->task, s->w->model, member(account, "reads")->valuestring, (long long)s->context);
    printf("%s: %d rows, %d sequences cut\n", s->w->rows, member(account, "rows")->valueint, member(account, "sequences_cut")->valueint);
    if (note[0] != '\0') {
        char *plain = zo_text_plain_copy(note);
        printf("note: %s\n", plain);
        zo_free(plain);
    }
    const cJSON *words = member(account, "words"), *ids = member(account, "words_ids");
    if (words != NULL) {
        const cJSON *id = ids->child;
        int c = 0;
        for (const cJSON *word = words->child; word != NULL; word = word->next, id = id->next) {
            printf("word of class %d: \"%s\", token %d\n", c++, word->valuestring, id->valueint);
        }
    }
    for (const cJSON *row = member(account, "examples")->child; row != NULL; row = row->next) {
        print_row(row);
    }
}

static zo_status show_rows(const wish *w, zo_err *err)
{
    show s = {.w = w};
    zo_grid grid = {0};
    zo_status status = split_of(w, &s.split, err);
    status = status == ZO_OK ? grid_of(w, &grid, err) : status;
    status = status == ZO_OK ? open_rows(&s, &grid.cell[0], err) : status;
    if (status == ZO_OK) {
        cJSON *account = account_of(&s);
        if (w->json) {
            char *text = cJSON_Print(account), *plain = zo_text_plain_json(text);
            printf("%s\n", plain);
            zo_free(plain);
            cJSON_free(text);
        } else {
            print_text(&s, account);
        }
        cJSON_Delete(account);
    }
    if (s.uncut != NULL) {
        zo_dataset_close(s.uncut);
    }
    if (s.dataset != NULL) {
        zo_dataset_close(s.dataset);
    }
    zo_tokenizer_close(s.tokenizer);
    zo_grid_free(&grid);
    return status;
}

int zo_cmd_show(int argc, char **argv)
{
    wish w = {.rows = "test", .n = 3, .context = -1};
    const char *word[2] = {NULL, NULL}, *db = NULL;
    int words = 0;
    const zo_arg table[] = {{"--form", ZO_ARG_TEXT, &w.form},       {"--rows", ZO_ARG_TEXT, &w.rows},     {"--n", ZO_ARG_INT, &w.n},
                            {"--from", ZO_ARG_INT, &w.from},        {"--context", ZO_ARG_INT, &w.context}, {"--split", ZO_ARG_TEXT, &w.split},
                            {"--data", ZO_ARG_TEXT, &w.data},       {"--models", ZO_ARG_TEXT, &w.models}, {"--json", ZO_ARG_FLAG, &w.json},
                            {"--db", ZO_ARG_TEXT, &db},             {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, word, 1, 2, &words, USAGE, &err);
    w.task = word[0];
    w.model = word[1];
    if (status == ZO_OK && words == 2 && db != NULL) {
        status = zo_fail(&err, ZO_EINPUT, "--db is for a run; rows of a task are in no database");
    }
    if (status == ZO_OK) {
        status = words == 1 ? zo_show_run(word[0], db != NULL ? db : "results/zo.db", w.json, &err) : show_rows(&w, &err);
    }
    if (status != ZO_OK) {
        fprintf(stderr, "%s%s\n", strncmp(err.text, "zo show", 7) == 0 ? "" : "zo show: ", err.text);
    }
    return status == ZO_OK ? 0 : 2;
}
