/* cmd_score.c: `zo score`: a line of text in, one JSON object out: its ids, the last hidden state (first token for
 * encoders, last for causal models) and, for causal models, the log-probability of each token given those before
 * it. Lines are run in packed batches; a line's numbers do not depend on its neighbours beyond rounding. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/unquote.h"
#include "bench/synth/pretrain.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "models/files/hub.h"
#include "models/model.h"
#include "text/tokenizer.h"

static const char USAGE[] = "zo score MODEL [FILE] [--json] [--models DIR] [--no-special] [--bf16]";

enum { BATCH_TOKENS = 2048, BATCH_LINES = 1024 };

typedef struct score_args {
    bool json, no_special, bf16;
    const char *models_dir, *model, *file;
} score_args;

/* Lines waiting to be run: their ids one after another, line l in [start[l], start[l + 1]). */
typedef struct waiting {
    zo_ids ids;
    int64_t start[BATCH_LINES + 1];
    int lines;
} waiting;

typedef struct scorer {
    zo_backend *be;
    zo_model *model;
    zo_tokenizer *tokenizer;
    waiting wait;
    int64_t tokens; /* reserved */
    float *hidden; /* (tokens, width) */
    float *logprob; /* (tokens) */
} scorer;

static int32_t *ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof(int32_t));
}

/* The waiting lines as a batch; a score for every token but the first of a line. The caller frees it. */
static zo_batch *batch_of(const waiting *wait)
{
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    int32_t n = (int32_t)wait->ids.n;
    b->tokens = n;
    b->id = ints(n);
    b->position = ints(n);
    b->type = ints(n);
    b->start = ints(wait->lines + 1);
    b->parent = ints(wait->lines);
    b->row = ints(n);
    b->at = ints(n);
    b->target = ints(n);
    b->option_start = ints(wait->lines + 1);
    b->example_start = ints(wait->lines + 1);
    b->label = ints(wait->lines);
    for (int l = 0; l < wait->lines; l++) {
        for (int64_t t = wait->start[l]; t < wait->start[l + 1]; t++) {
            b->id[t] = wait->ids.ids[t];
            b->position[t] = (int32_t)(t - wait->start[l]);
            b->type[t] = wait->ids.types[t];
            if (t + 1 < wait->start[l + 1]) {
                b->row[b->rows] = (int32_t)t;
                b->at[b->scores] = b->rows++;
                b->target[b->scores++] = wait->ids.ids[t + 1];
            }
        }
        b->parent[l] = -1;
        b->start[l + 1] = (int32_t)wait->start[l + 1];
        b->option_start[l + 1] = b->scores;
        b->example_start[l + 1] = l + 1;
    }
    b->seqs = b->options = b->examples = wait->lines;
    b->paper_sequences = wait->lines;
    b->paper_tokens = n;
    return b;
}

/* JSON has no word for a number that is not finite. */
static zo_status check_finite(const char *what, const float *x, int64_t n, zo_err *err)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            return zo_fail(err, ZO_EINPUT, "the model's \"%s\" has the value %g at place %lld; expected finite numbers: check its weights", what,
                           (double)x[i], (long long)i);
        }
    }
    return ZO_OK;
}

static void print_floats(const char *key, const float *x, int64_t n)
{
    printf(", \"%s\": [", key);
    for (int64_t i = 0; i < n; i++) {
        printf("%s%.9g", i > 0 ? ", " : "", (double)x[i]);
    }
    putchar(']');
}

/* Run what waits and print it; *done = the lines printed, also where a value is not finite and the rest is not. */
static zo_status flush_lines(scorer *s, int *done, zo_err *err)
{
    zo_status status = ZO_OK;
    waiting *wait = &s->wait;
    const zo_arch *arch = zo_model_arch(s->model);
    int width = zo_model_width(s->model);
    zo_batch *batch = batch_of(wait);
    if (batch->tokens > s->tokens) {
        s->tokens = batch->tokens;
        zo_model_reserve(s->model, s->tokens, (int32_t)s->tokens, (int32_t)s->tokens, 1, ZO_FORWARD_ONLY, NULL);
        s->hidden = zo_realloc(s->hidden, ZO_HOST, ZO_TAG_DATA, (size_t)(s->tokens * width) * sizeof *s->hidden);
        s->logprob = zo_realloc(s->logprob, ZO_HOST, ZO_TAG_DATA, (size_t)s->tokens * sizeof *s->logprob);
    }
    const zo_store *slot = zo_model_store(s->model);
    zo_view view = zo_view_stored(&slot);
    if (batch->tokens > 0) {
        zo_model_hidden(s->model, &view, batch, s->hidden);
    }
    if (arch->causal && batch->scores > 0) {
        zo_model_logprobs(s->model, &view, batch, s->logprob);
    }
    for (*done = 0; *done < wait->lines; ++*done) {
        int l = *done;
        int64_t first = wait->start[l], n = wait->start[l + 1] - first;
        int64_t token = first + (arch->causal && n > 0 ? n - 1 : 0);
        const float *hidden = n > 0 ? s->hidden + token * width : NULL;
        const float *logprob = batch->scores > 0 ? s->logprob + batch->option_start[l] : NULL;
        int64_t scores = arch->causal ? batch->option_start[l + 1] - batch->option_start[l] : 0;
        status = check_finite("hidden", hidden, n > 0 ? width : 0, err);
        if (status == ZO_OK) {
            status = check_finite("logprob", logprob, scores, err);
        }
        if (status != ZO_OK) {
            break;
        }
        printf("{\"ids\": [");
        for (int64_t t = 0; t < n; t++) {
            printf("%s%d", t > 0 ? ", " : "", wait->ids.ids[first + t]);
        }
        putchar(']');
        print_floats("hidden", hidden, n > 0 ? width : 0);
        if (arch->causal) {
            print_floats("logprob", logprob, scores);
        }
        puts("}");
    }
    zo_batch_free(batch);
    zo_ids_clear(&wait->ids);
    wait->lines = 0;
    return status;
}

/* One line of text to the waiting ones. */
static zo_status take_line(scorer *s, char *line, size_t length, const score_args *args, zo_err *err)
{
    waiting *wait = &s->wait;
    const zo_arch *arch = zo_model_arch(s->model);
    zo_status status = args->json ? zo_line_unquote(line, &length, err) : ZO_OK;
    if (status != ZO_OK) {
        return status;
    }
    wait->start[wait->lines] = wait->ids.n;
    status = zo_tokenizer_encode(s->tokenizer, line, length,
                                 args->no_special ? ZO_WITHOUT_SPECIALS : ZO_WITH_SPECIALS, &wait->ids, err);
    if (status != ZO_OK) {
        return status;
    }
    int64_t n = wait->ids.n - wait->start[wait->lines];
    if (n > arch->positions) {
        return zo_fail(err, ZO_EINPUT, "has %lld tokens, but the model has %d positions; cut the line",
                       (long long)n, arch->positions);
    }
    for (int64_t t = wait->start[wait->lines]; t < wait->ids.n; t++) {
        if (wait->ids.ids[t] >= arch->vocab) {
            return zo_fail(
                err, ZO_EINPUT,
                "token id %d lies outside the model's vocabulary of %d; tokenizer and weights are of different "
                "models",
                wait->ids.ids[t], arch->vocab);
        }
    }
    wait->start[++wait->lines] = wait->ids.n;
    return ZO_OK;
}

/* flush_lines() with the line named where it fails; *printed counts lines from the start. */
static zo_status print_waiting(scorer *s, const char *name, long *printed, zo_err *err)
{
    int done;
    zo_status status = flush_lines(s, &done, err);
    *printed += done;
    if (status != ZO_OK) {
        char where[4200];
        snprintf(where, sizeof where, "%s: line %ld", name, *printed + 1);
        zo_fail_in(err, where);
    }
    return status;
}

static zo_status score_lines(scorer *s, FILE *in, const score_args *args, zo_err *err)
{
    const char *name = args->file != NULL ? args->file : "standard input";
    char *line = NULL, where[4200];
    size_t room = 0;
    ssize_t got;
    zo_status status = ZO_OK;
    long printed = 0;
    for (long number = 1; status == ZO_OK && (got = getline(&line, &room, in)) >= 0; number++) {
        size_t length = (size_t)got;
        length -= length > 0 && line[length - 1] == '\n';
        length -= length > 0 && line[length - 1] == '\r';
        status = take_line(s, line, length, args, err);
        if (status != ZO_OK) {
            snprintf(where, sizeof where, "%s: line %ld", name, number);
            zo_fail_in(err, where);
        } else if (s->wait.ids.n >= BATCH_TOKENS || s->wait.lines == BATCH_LINES) {
            status = print_waiting(s, name, &printed, err);
        }
    }
    free(line);
    if (status == ZO_OK && s->wait.lines > 0) {
        status = print_waiting(s, name, &printed, err);
    }
    if (status == ZO_OK && ferror(in)) {
        status = zo_fail(err, ZO_EIO, "%s: cannot be read to its end; check the file", name);
    }
    return status;
}

static zo_status score(scorer *s, const score_args *args, zo_err *err)
{
    char folder[4096];
    zo_arch arch;
    zo_status status = zo_model_find(args->model, args->models_dir, folder, err);
    if (status == ZO_OK) {
        status = zo_arch_read(folder, &arch, err);
    }
    if (status == ZO_OK) {
        status = zo_tokenizer_open(&s->tokenizer, folder, err);
    }
    if (status == ZO_OK) {
        status = zo_backend_open("cpu", 0, &s->be, err);
    }
    if (status == ZO_OK) {
        status = zo_backend_check(s->be, args->bf16 ? ZO_BF16 : ZO_F32, err);
    }
    if (status == ZO_OK) {
        /* Encoders: the base model alone, so that a checkpoint with any head or none will do. */
        zo_model_spec spec = {.folder = folder,
                              .arch = &arch,
                              .head = arch.causal ? ZO_HEAD_SPAN : ZO_HEAD_CLASS,
                              .precision = args->bf16 ? ZO_BF16 : ZO_F32};
        status = zo_model_open(&s->model, &spec, s->be, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    if (zo_model_note(s->model)[0] != '\0') {
        char *note = zo_text_plain_copy(zo_model_note(s->model));
        fprintf(stderr, "zo score: note: %s\n", note);
        zo_free(note);
    }
    FILE *in = stdin;
    status = args->file != NULL ? zo_file_open(args->file, &in, err) : ZO_OK;
    if (status != ZO_OK) {
        return status;
    }
    status = score_lines(s, in, args, err);
    if (in != stdin) {
        fclose(in);
    }
    return status;
}

int zo_cmd_score(int argc, char **argv)
{
    score_args args = {0};
    const char *word[2] = {NULL, NULL};
    int words = 0;
    const zo_arg table[] = {{"--json", ZO_ARG_FLAG, &args.json},
                            {"--no-special", ZO_ARG_FLAG, &args.no_special},
                            {"--bf16", ZO_ARG_FLAG, &args.bf16},
                            {"--models", ZO_ARG_TEXT, &args.models_dir},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, word, 1, 2, &words, USAGE, &err);
    if (status == ZO_OK) {
        scorer s = {0};
        args.model = word[0];
        args.file = words > 1 ? word[1] : NULL;
        status = score(&s, &args, &err);
        zo_model_close(s.model);
        if (s.be != NULL) {
            s.be->close(s.be);
        }
        zo_tokenizer_close(s.tokenizer);
        zo_ids_free(&s.wait.ids);
        zo_free(s.hidden);
        zo_free(s.logprob);
    }
    if (status != ZO_OK) {
        fprintf(stderr, "zo score: %s\n", err.text);
        return 2;
    }
    return 0;
}
