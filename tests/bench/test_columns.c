/* test_columns.c: every figure of a row of `zo run` against a value that is computed here: a BERT of one layer with weights written by a formula,
 * 6 training rows, 4 of dev and 5 of test. The model is written out in float64 below, methods run on it through objective64.h (directions
 * drawn by core/rng.h), tokens are looked up in vocab.txt, order of rows is the promised permutation. The program runs as a process. */
#include <check.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "models/arch.h"
#include "models/files/hub.h"
#include "models/files/safetensors.h"
#include "tasks/task.h"
#include "tests/folder.h"
#include "tests/objective64.h"
#include "tests/suite.h"

enum { HIDDEN = 4, HEADS = 2, FFN = 6, VOCAB = 1000, POSITIONS = 16, CLASSES = 2, CONTEXT = 5, TRAIN = 6, DEV = 4, TEST = 5, BATCH = 4, STEPS = 6, EVAL_BATCH = 3 };
#define INIT_STD 0.75

static char folder[64];

static const char *scratch(const char *name)
{
    static char path[8][256];
    static int turn;
    turn = (turn + 1) % 8;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

/* ---- data: three words a row, so that all sequences have CONTEXT tokens; one row of dev has five words and is cut ---------------------- */

typedef struct example { const char *word[5]; int label; int32_t id[CONTEXT]; } example;
static example train_row[TRAIN], dev_row[DEV], test_row[TEST];

static int32_t id_of(const char *vocabulary, const char *word)
{
    size_t n = strlen(word);
    int32_t id = 0;
    for (const char *line = vocabulary; *line != '\0'; id++) {
        const char *end = strchr(line, '\n');
        if ((size_t)(end - line) == n && strncmp(line, word, n) == 0) {
            return id;
        }
        line = end + 1;
    }
    ck_abort_msg("%s is no word of the vocabulary", word);
}

/* Words number first, first + 7, ... of the vocabulary: plain words, one token each. Returns the file's next row. */
static char *put_row(char *at, example *e, const char *vocabulary, int number, int words, int label)
{
    static char kept[512][32];
    static int nkept;
    e->label = label;
    e->id[0] = id_of(vocabulary, "[CLS]");
    for (int w = 0; w < words; w++) {
        int line = 60 + (number * 37 + w * 11) % 150;
        const char *from = vocabulary;
        for (;; line++) { /* letters alone, so that the tokenizer leaves the word whole */
            from = vocabulary;
            for (int l = 0; l < line; l++) {
                from = strchr(from, '\n') + 1;
            }
            size_t n = strspn(from, "abcdefghijklmnopqrstuvwxyz");
            if (n > 1 && from[n] == '\n') {
                snprintf(kept[nkept], sizeof kept[0], "%.*s", (int)n, from);
                break;
            }
        }
        e->word[w] = kept[nkept++];
        at += sprintf(at, "%s%s", w ? " " : "", e->word[w]);
        if (w < CONTEXT - 2) { /* the end of a longer one is cut */
            e->id[1 + w] = line;
        }
    }
    e->id[CONTEXT - 1] = id_of(vocabulary, "[SEP]");
    return at + sprintf(at, "\t%d\n", label);
}

static void make_data(const char *vocabulary)
{
    static const int train_label[TRAIN] = {0, 1, 1, 0, 1, 0}, dev_label[DEV] = {0, 1, 1, 0}, test_label[TEST] = {1, 0, 1, 1, 0};
    char text[8000], *at = text + sprintf(text, "sentence\tlabel\n");
    zo_err err = {0};
    for (int i = 0; i < TRAIN; i++) {
        at = put_row(at, &train_row[i], vocabulary, i, 3, train_label[i]);
    }
    example unused;
    at = put_row(at, &unused, vocabulary, 40, 3, 1); /* beyond `train` */
    ZO_CHECK(zo_make_dirs(scratch("data/glue/SST-2"), &err) == ZO_OK, "%s", err.text);
    ZO_CHECK(zo_write_file(scratch("data/glue/SST-2/train.tsv"), text, (size_t)(at - text), &err) == ZO_OK, "%s", err.text);
    at = text + sprintf(text, "sentence\tlabel\n"); /* split "first": dev and then test are rows of the validation file */
    for (int i = 0; i < DEV; i++) {
        at = put_row(at, &dev_row[i], vocabulary, 10 + i, i == 2 ? 5 : 3, dev_label[i]);
    }
    for (int i = 0; i < TEST; i++) {
        at = put_row(at, &test_row[i], vocabulary, 20 + i, 3, test_label[i]);
    }
    ZO_CHECK(zo_write_file(scratch("data/glue/SST-2/dev.tsv"), text, (size_t)(at - text), &err) == ZO_OK, "%s", err.text);
}

/* ---- the model -------------------------------------------------------------------------------------------------------------------------- */

typedef struct tensor { const char *name, *file_name; int64_t rows, cols; double middle, width; } tensor;
#define LAYER "bert.encoder.layer.0."
static const tensor tensors[] = {
    {"embed.token", "bert.embeddings.word_embeddings.weight", VOCAB, HIDDEN, 0, 1.0},
    {"embed.position", "bert.embeddings.position_embeddings.weight", POSITIONS, HIDDEN, 0, 0.3},
    {"embed.type", "bert.embeddings.token_type_embeddings.weight", 2, HIDDEN, 0, 0.2},
    {"embed.norm.weight", "bert.embeddings.LayerNorm.weight", 1, HIDDEN, 1, 0.2},
    {"embed.norm.bias", "bert.embeddings.LayerNorm.bias", 1, HIDDEN, 0, 0.1},
    {"layer.0.attn.q.weight", LAYER "attention.self.query.weight", HIDDEN, HIDDEN, 0, 0.9},
    {"layer.0.attn.q.bias", LAYER "attention.self.query.bias", 1, HIDDEN, 0, 0.1},
    {"layer.0.attn.k.weight", LAYER "attention.self.key.weight", HIDDEN, HIDDEN, 0, 0.8},
    {"layer.0.attn.k.bias", LAYER "attention.self.key.bias", 1, HIDDEN, 0, 0.1},
    {"layer.0.attn.v.weight", LAYER "attention.self.value.weight", HIDDEN, HIDDEN, 0, 0.7},
    {"layer.0.attn.v.bias", LAYER "attention.self.value.bias", 1, HIDDEN, 0, 0.1},
    {"layer.0.attn.o.weight", LAYER "attention.output.dense.weight", HIDDEN, HIDDEN, 0, 0.8},
    {"layer.0.attn.o.bias", LAYER "attention.output.dense.bias", 1, HIDDEN, 0, 0.1},
    {"layer.0.attn.norm.weight", LAYER "attention.output.LayerNorm.weight", 1, HIDDEN, 1, 0.2},
    {"layer.0.attn.norm.bias", LAYER "attention.output.LayerNorm.bias", 1, HIDDEN, 0, 0.1},
    {"layer.0.mlp.up.weight", LAYER "intermediate.dense.weight", FFN, HIDDEN, 0, 0.8},
    {"layer.0.mlp.up.bias", LAYER "intermediate.dense.bias", 1, FFN, 0, 0.1},
    {"layer.0.mlp.down.weight", LAYER "output.dense.weight", HIDDEN, FFN, 0, 0.6},
    {"layer.0.mlp.down.bias", LAYER "output.dense.bias", 1, HIDDEN, 0, 0.1},
    {"layer.0.mlp.norm.weight", LAYER "output.LayerNorm.weight", 1, HIDDEN, 1, 0.2},
    {"layer.0.mlp.norm.bias", LAYER "output.LayerNorm.bias", 1, HIDDEN, 0, 0.1},
    {"class.dense.weight", "bert.pooler.dense.weight", HIDDEN, HIDDEN, 0, 0.9},
    {"class.dense.bias", "bert.pooler.dense.bias", 1, HIDDEN, 0, 0.1}};
enum { TENSORS = sizeof tensors / sizeof *tensors }; /* class.out is fresh: it follows the seed */

static float weight_at(int k, int64_t i)
{
    return (float)(tensors[k].middle + tensors[k].width * sin(1.7 * (double)i + 0.9 * k + 0.3 * (double)(i % 7)));
}

static void fill(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    (void)context;
    for (int64_t i = 0; i < count; i++) {
        out[i] = weight_at((int)((const tensor *)entry->from - tensors), first + i);
    }
}

static char *vocabulary;

static void make_model(void)
{
    static const char text[] = "{\"model_type\": \"bert\", \"vocab_size\": 1000, \"hidden_size\": 4, \"num_hidden_layers\": 1, \"num_attention_heads\": 2,"
                               "\"intermediate_size\": 6, \"hidden_act\": \"gelu\", \"max_position_embeddings\": 16, \"type_vocab_size\": 2,"
                               "\"layer_norm_eps\": 1e-5, \"initializer_range\": 0.75}";
    zo_err err = {0};
    zo_tensor_out out[TENSORS];
    for (int k = 0; k < TENSORS; k++) {
        bool vector = tensors[k].rows == 1;
        out[k] = (zo_tensor_out){.name = tensors[k].file_name, .dims = vector ? 1 : 2, .from = &tensors[k],
                                 .shape = {vector ? tensors[k].cols : tensors[k].rows, vector ? 0 : tensors[k].cols}};
    }
    size_t bytes;
    ZO_CHECK(zo_make_dirs(scratch("model"), &err) == ZO_OK && zo_synth_write_tokenizer(scratch("model"), &err) == ZO_OK &&
             zo_write_file(scratch("model/config.json"), text, strlen(text), &err) == ZO_OK &&
             zo_tensors_write(scratch("model/model.safetensors"), out, TENSORS, fill, NULL, &err) == ZO_OK &&
             zo_read_file(scratch("model/vocab.txt"), 1 << 20, &vocabulary, &bytes, &err) == ZO_OK, "%s", err.text);
    make_data(vocabulary);
}

/* y (n) = W (n, m) x (m) + b */
static void affine(const double *w, const double *b, int n, int m, const double *x, double *y)
{
    for (int i = 0; i < n; i++) {
        y[i] = b[i];
        for (int j = 0; j < m; j++) {
            y[i] += w[i * m + j] * x[j];
        }
    }
}

static void norm(const double *weight, const double *bias, double *x)
{
    double mean = 0, variance = 0;
    for (int i = 0; i < HIDDEN; i++) {
        mean += x[i] / HIDDEN;
    }
    for (int i = 0; i < HIDDEN; i++) {
        variance += (x[i] - mean) * (x[i] - mean) / HIDDEN;
    }
    for (int i = 0; i < HIDDEN; i++) {
        x[i] = (x[i] - mean) / sqrt(variance + 1e-5) * weight[i] + bias[i];
    }
}

static zo_layout layout;

static const double *at(const double *w, const char *name)
{
    int t = zo_layout_find(&layout, name);
    ck_assert_msg(t >= 0, "the layout has no %s", name);
    return w + layout.param[t].offset;
}

#define LINEAR(stem, n, m, x, y) affine(at(w, stem ".weight"), at(w, stem ".bias"), n, m, x, y)
#define NORM(stem, x) norm(at(w, stem ".weight"), at(w, stem ".bias"), x)

/* -log p(label) of one row; *choice = the likelier class. */
static double loss_of(const double *w, const example *e, int *choice)
{
    enum { D = HIDDEN / HEADS };
    double x[CONTEXT][HIDDEN], q[HIDDEN], k[CONTEXT][HIDDEN], v[CONTEXT][HIDDEN], mixed[HIDDEN] = {0}, y[HIDDEN], up[FFN], logit[CLASSES];
    for (int t = 0; t < CONTEXT; t++) {
        for (int i = 0; i < HIDDEN; i++) {
            x[t][i] = at(w, "embed.token")[e->id[t] * HIDDEN + i] + at(w, "embed.position")[t * HIDDEN + i] + at(w, "embed.type")[i];
        }
        NORM("embed.norm", x[t]);
        LINEAR("layer.0.attn.k", HIDDEN, HIDDEN, x[t], k[t]);
        LINEAR("layer.0.attn.v", HIDDEN, HIDDEN, x[t], v[t]);
    }
    LINEAR("layer.0.attn.q", HIDDEN, HIDDEN, x[0], q); /* the head reads [CLS] alone */
    for (int h = 0; h < HEADS; h++) {
        double score[CONTEXT], sum = 0;
        for (int t = 0; t < CONTEXT; t++) {
            score[t] = 0;
            for (int d = 0; d < D; d++) {
                score[t] += q[h * D + d] * k[t][h * D + d] / sqrt(D);
            }
            sum += exp(score[t]);
        }
        for (int t = 0; t < CONTEXT; t++) {
            for (int d = 0; d < D; d++) {
                mixed[h * D + d] += exp(score[t]) / sum * v[t][h * D + d];
            }
        }
    }
    LINEAR("layer.0.attn.o", HIDDEN, HIDDEN, mixed, y);
    for (int i = 0; i < HIDDEN; i++) {
        x[0][i] += y[i];
    }
    NORM("layer.0.attn.norm", x[0]);
    LINEAR("layer.0.mlp.up", FFN, HIDDEN, x[0], up);
    for (int i = 0; i < FFN; i++) {
        up[i] = 0.5 * up[i] * (1 + erf(up[i] / sqrt(2)));
    }
    LINEAR("layer.0.mlp.down", HIDDEN, FFN, up, y);
    for (int i = 0; i < HIDDEN; i++) {
        x[0][i] += y[i];
    }
    NORM("layer.0.mlp.norm", x[0]);
    LINEAR("class.dense", HIDDEN, HIDDEN, x[0], y);
    for (int i = 0; i < HIDDEN; i++) {
        y[i] = tanh(y[i]);
    }
    LINEAR("class.out", CLASSES, HIDDEN, y, logit);
    if (choice != NULL) {
        *choice = logit[1] > logit[0];
    }
    return log(exp(logit[0]) + exp(logit[1])) - logit[e->label];
}

/* ---- what a run must have written -------------------------------------------------------------------------------------------------------- */

typedef struct evaluated { double loss, accuracy, f1; bool constant; } evaluated;

static evaluated evaluate(const double *w, const example *row, int n)
{
    evaluated r = {0};
    int right = 0, hit = 0, chosen = 0, labelled = 0;
    for (int i = 0; i < n; i++) {
        int choice;
        r.loss += loss_of(w, &row[i], &choice) / n;
        right += choice == row[i].label;
        hit += choice == 1 && row[i].label == 1;
        chosen += choice == 1;
        labelled += row[i].label == 1;
    }
    r.accuracy = (double)right / n;
    r.f1 = chosen + labelled > 0 ? 2.0 * hit / (chosen + labelled) : 0;
    r.constant = chosen == 0 || chosen == n; /* no class has 95 % of these rows */
    return r;
}

typedef struct batch64 { uint64_t seed; int64_t first /* of the step, in the order of the data */; int32_t index[TRAIN]; int n; } batch64;

/* What methods are told: the mean loss, 1 - accuracy, or 1 - F1 of class 1. */
static enum { TOLD_LOSS, TOLD_ACCURACY, TOLD_F1 } told;

static double batch_loss(void *context, zo_which which, const double *w)
{
    batch64 own = *(const batch64 *)context, *b = &own;
    double sum = 0;
    if (which > ZO_BATCH_FULL) { /* the step's second batch, and so on */
        b->n = zo_batch_order(b->seed, TRAIN, BATCH, b->first + 1 + (which - ZO_BATCH_FULL - 1), NULL, b->index);
    }
    int n = which == ZO_BATCH_FULL ? TRAIN : b->n;
    int right = 0, both = 0, ones = 0; /* rightly chosen; class 1 rightly chosen; class 1 chosen, and labelled */
    for (int i = 0; i < n; i++) {
        const example *e = &train_row[which == ZO_BATCH_FULL ? i : b->index[i]];
        int choice;
        sum += loss_of(w, e, &choice);
        right += choice == e->label;
        both += choice == 1 && e->label == 1;
        ones += (choice == 1) + (e->label == 1);
    }
    return told == TOLD_LOSS ? sum / n : told == TOLD_ACCURACY ? 1.0 - (double)right / n : 1.0 - (ones > 0 ? 2.0 * both / ones : 0.0);
}

typedef struct expected {
    double loss[STEPS + 1], projected[STEPS + 1], queries;
    int rows[STEPS + 1];          /* of the step's batches, */
    int each[STEPS + 1];          /* which are so many */
    bool full[STEPS + 1];
    evaluated dev[STEPS + 1], test[STEPS + 1];
} expected;

/* each (STEPS): batches of a step; NULL = one. */
static expected expect_of(const char *method, const char *options, uint64_t seed, double lr, double eps, const int *each)
{
    expected r = {0};
    batch64 batch = {.seed = seed};
    objective64 *q = objective64_new(&layout, seed, &batch, batch_loss, NULL);
    for (int k = 0; k < TENSORS; k++) {
        for (int64_t i = 0; i < tensors[k].rows * tensors[k].cols; i++) {
            ((double *)at(q->w, tensors[k].name))[i] = weight_at(k, i);
        }
    }
    int out = zo_layout_find(&layout, "class.out.weight"); /* its bias begins at 0 */
    float z[CLASSES * HIDDEN];
    zo_normals_scalar((zo_stream){.seed = seed, .tensor = layout.param[out].id, .role = ZO_ROLE_INIT}, 0, CLASSES * HIDDEN, z);
    for (int i = 0; i < CLASSES * HIDDEN; i++) {
        q->w[layout.param[out].offset + i] = (double)(z[i] * (float)INIT_STD);
    }
    running run = running_new(method, options, &q->o);
    r.dev[0] = evaluate(q->w, dev_row, DEV);
    int seen[TRAIN] = {0};
    for (int s = 1; s <= STEPS; s++) {
        r.each[s] = each != NULL ? each[s - 1] : 1;
        for (int k = r.each[s] - 1; k >= 0; k--) { /* the first one last, for it stays */
            batch.n = zo_batch_order(seed, TRAIN, BATCH, batch.first + k, NULL, batch.index);
            ck_assert_int_eq(batch.n, (batch.first + k) % 2 == 0 ? BATCH : TRAIN - BATCH); /* an epoch is two batches, and all rows */
            for (int i = 0; i < batch.n && each == NULL; i++) {
                ck_assert_int_eq(seen[batch.index[i]]++, (s - 1) / 2);
            }
            r.rows[s] += batch.n;
        }
        zo_step_report report;
        zo_err err = {0};
        zo_step_context c = {.step = s - 1, .steps = STEPS, .batches_per_epoch = 2, .lr = lr, .eps = eps, .examples = batch.n, .train_examples = TRAIN};
        ck_assert_int_eq(run.e->step(run.state, run.o, &c, &report, &err), ZO_OK);
        r.loss[s] = report.loss;
        r.projected[s] = report.projected;
        r.full[s] = report.full_batch;
        batch.first += r.each[s];
        r.dev[s] = evaluate(q->w, dev_row, DEV);
        r.test[s] = evaluate(q->w, test_row, TEST);
    }
    running_free(&run);
    objective64_free(q);
    return r;
}

static expected expect(const char *method, const char *options, uint64_t seed, double lr, double eps)
{
    return expect_of(method, options, seed, lr, eps, NULL);
}

/* ---- running and asking --------------------------------------------------------------------------------------------------------------------- */

static void run_config(const char *db, const char *keys)
{
    char text[2000];
    zo_err err = {0};
    snprintf(text, sizeof text, "{\"model\": \"%s\", \"task\": \"sst2\", \"form\": \"head\", \"split\": \"first\", \"context\": %d, \"batch\": %d, \"train\": %d,"
             "\"threads\": 1, %s}", scratch("model"), CONTEXT, BATCH, TRAIN, keys);
    ck_assert_int_eq(zo_write_file(scratch("config.json"), text, strlen(text), &err), ZO_OK);
    const char *const argv[] = {"zo", "run", scratch("config.json"), "--db", scratch(db), "--data", scratch("data"), NULL};
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int said = open(scratch("said"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(said, 1);
        dup2(said, 2);
        execv("/proc/self/exe", (char *const *)argv);
        _exit(127);
    }
    int status;
    char *said;
    size_t bytes;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(zo_read_file(scratch("said"), 1 << 20, &said, &bytes, &err), ZO_OK);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", said);
    zo_free(said);
}

static sqlite3 *opened;

static void open_db(const char *db)
{
    ck_assert_int_eq(sqlite3_open_v2(scratch(db), &opened, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
}

/* The first column of the first row, NaN for NULL; of a text, its length is kept in `text`. */
static char text_of[200];
static double ask(const char *format, ...) __attribute__((format(printf, 1, 2)));
static double ask(const char *format, ...)
{
    char sql[1000];
    va_list rest;
    va_start(rest, format);
    vsnprintf(sql, sizeof sql, format, rest);
    va_end(rest);
    sqlite3_stmt *s;
    ck_assert_msg(sqlite3_prepare_v2(opened, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(opened));
    double value = sqlite3_column_type(s, 0) == SQLITE_NULL ? NAN : sqlite3_column_double(s, 0);
    const char *words = (const char *)sqlite3_column_text(s, 0);
    snprintf(text_of, sizeof text_of, "%s", words != NULL ? words : "NULL");
    sqlite3_finalize(s);
    return value;
}

static int step_looked_at; /* for messages */

static void is_near(const char *what, double value, double want, double most)
{
    ck_assert_msg(fabs(value - want) <= most, "%s is %.9g, and should be %.9g (step %d)", what, value, want, step_looked_at);
}

#define COLUMN(run, name, want, most) is_near(#name, ask("SELECT " #name " FROM runs WHERE run = %d", (int)(run)), (want), (most))
#define TEXT(run, name, want)                                               \
    do {                                                                    \
        (void)ask("SELECT " #name " FROM runs WHERE run = %d", (int)(run)); \
        ck_assert_str_eq(text_of, (want));                                  \
    } while (0)

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int n, double q)
{
    double place = q * (n - 1);
    int low = (int)place;
    return low + 1 < n ? sorted[low] + (place - low) * (sorted[low + 1] - sorted[low]) : sorted[low];
}

static double mean(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i] / n;
    }
    return sum;
}

/* The timings of the row are those of its steps, the first left out; training is these steps, updates that were put off included. */
static void check_times(int run, const expected *e)
{
    double all[STEPS], full[STEPS], other[STEPS], total = 0;
    int nall = 0, nfull = 0, nother = 0, full_steps = 0;
    for (int s = 1; s <= STEPS; s++) {
        double seconds = ask("SELECT seconds FROM steps WHERE run = %d AND step = %d", run, s);
        total += seconds;
        full_steps += e->full[s];
        double so_far = ask("SELECT train_seconds FROM steps WHERE run = %d AND step = %d", run, s);
        ck_assert_msg(fabs(so_far - total) < 1e-9, "%g s of training after step %d, and %g s of steps", so_far, s, total);
        if (s > 1) {
            all[nall++] = 1e3 * seconds;
            *(e->full[s] ? &full[nfull++] : &other[nother++]) = 1e3 * seconds;
        }
    }
    COLUMN(run, step_ms, mean(all, nall), 1e-9);
    COLUMN(run, full_steps, full_steps, 0);
    if (nfull > 0) {
        COLUMN(run, full_step_ms, mean(full, nfull), 1e-9);
    } else {
        (void)ask("SELECT full_step_ms FROM runs WHERE run = %d", run);
        ck_assert_str_eq(text_of, "NULL");
    }
    COLUMN(run, other_step_ms, mean(other, nother), 1e-9);
    qsort(all, (size_t)nall, sizeof *all, by_value);
    COLUMN(run, step_ms_median, quantile(all, nall, 0.5), 1e-9);
    COLUMN(run, step_ms_q1, quantile(all, nall, 0.25), 1e-9);
    COLUMN(run, step_ms_q3, quantile(all, nall, 0.75), 1e-9);
    double train = ask("SELECT train_seconds FROM runs WHERE run = %d", run), eval = ask("SELECT eval_seconds FROM runs WHERE run = %d", run);
    ck_assert_msg(fabs(train - total) < 1e-9, "%g s of training, and %g s of steps", train, total);
    is_near("eval_seconds", eval, ask("SELECT sum(seconds) FROM evaluations WHERE run = %d", run), 1e-9);
    COLUMN(run, device_hours, train / 3600, 1e-12);
    COLUMN(run, device_hours_total, (train + eval) / 3600, 1e-12);
    is_near("the parts", ask("SELECT sum(seconds) FROM parts WHERE run = %d", run), train, 1e-9);
    is_near("the parts of a step", ask("SELECT sum(ms) FROM parts WHERE run = %d", run), 1e3 * train / STEPS, 1e-6);
}

/* Rows that were probed, over those of the mean batch; FLOPs by hand: all sequences have CONTEXT tokens, of which the last layer reads one. */
static void check_counts(int run, const expected *e)
{
    double probed = 0, rows = 0, batches = 0, forwards = 0, queries = 0;
    double row = 2 * (CONTEXT * 2 * HIDDEN * HIDDEN                                                /* keys and values */
                      + 2 * HIDDEN * HIDDEN + 2 * HIDDEN * FFN + HIDDEN * HIDDEN + CLASSES * HIDDEN) /* queries, output, mlp, pooler, classes */
                 + 4 * HIDDEN * CONTEXT;                                                             /* scores and their sums */
    bool svrg = false;
    for (int s = 1; s <= STEPS; s++) {
        svrg = svrg || e->full[s];
    }
    for (int s = 1; s <= STEPS; s++) {
        rows += e->rows[s];
        batches += e->each[s];
        probed += e->full[s] ? 2 * TRAIN : (svrg ? 4 : 2) * e->rows[s];
        forwards += e->full[s] ? 2 * ((TRAIN + BATCH - 1) / BATCH) : (svrg ? 4 : 2) * e->each[s];
        queries += svrg ? 2 * (e->full[s] ? TRAIN : e->rows[s]) : 2 * e->each[s];
        is_near("forwards of the step", ask("SELECT forwards FROM steps WHERE run = %d AND step = %d", run, s), forwards, 0);
        is_near("work of the step", ask("SELECT work FROM steps WHERE run = %d AND step = %d", run, s), probed / (rows / batches), 1e-9);
    }
    COLUMN(run, steps, STEPS, 0);
    COLUMN(run, forwards, forwards, 0);
    COLUMN(run, examples, probed, 0);
    COLUMN(run, sequences, probed, 0);
    COLUMN(run, tokens, probed * CONTEXT, 0);
    COLUMN(run, paper_tokens, probed * CONTEXT, 0);
    COLUMN(run, flops, probed * row, 1e-6);
    COLUMN(run, work, probed / (rows / batches), 1e-9);
    COLUMN(run, paper_queries, queries, 0);
}

/* Losses, projected gradients, evaluations and the headline of one run. */
static void check_course(int run, const expected *e, const char *selection, double tolerance)
{
    int best = 0;
    double best_score = -INFINITY;
    bool by_test = strcmp(selection, "best-test") == 0, by_last = strcmp(selection, "last") == 0;
    for (int s = 1; s <= STEPS; s++) {
        step_looked_at = s;
        is_near("loss of a step", ask("SELECT loss FROM steps WHERE run = %d AND step = %d", run, s), e->loss[s], tolerance);
        is_near("projected gradient", ask("SELECT projected FROM steps WHERE run = %d AND step = %d", run, s), e->projected[s],
                tolerance * 100 * (1 + fabs(e->projected[s])));
        double score = strcmp(selection, "dev-metric") == 0  ? e->dev[s].accuracy
                       : strcmp(selection, "dev-loss") == 0 ? -e->dev[s].loss
                       : by_test                             ? e->test[s].accuracy
                                                             : s;
        /* test is looked at where that may be the headline, which an evaluation equal to an earlier one is not */
        bool better = by_last ? s == STEPS : score > best_score;
        is_near("evaluations of test", ask("SELECT count(*) FROM evaluations WHERE run = %d AND step = %d AND split = 'test'", run, s), by_test || better, 0);
        is_near("best so far", ask("SELECT sum(best) = count(*) FROM evaluations WHERE run = %d AND step = %d", run, s), better, 0);
        if (better) {
            best_score = score;
            best = s;
        }
    }
    for (int s = 0; s <= STEPS; s++) {
        step_looked_at = s;
        is_near("dev loss", ask("SELECT loss FROM evaluations WHERE run = %d AND step = %d AND split = 'dev'", run, s), e->dev[s].loss, tolerance);
        is_near("dev accuracy", ask("SELECT accuracy FROM evaluations WHERE run = %d AND step = %d AND split = 'dev'", run, s), e->dev[s].accuracy, 1e-12);
    }
    is_near("evaluations before training", ask("SELECT sum(1 + best) FROM evaluations WHERE run = %d AND step = 0", run), 1, 0);
    is_near("evaluations of dev", ask("SELECT count(*) FROM evaluations WHERE run = %d AND split = 'dev'", run), STEPS + 1, 0);
    is_near("examples of dev", ask("SELECT max(examples) FROM evaluations WHERE run = %d AND split = 'dev'", run), DEV, 0);
    is_near("test loss", ask("SELECT loss FROM evaluations WHERE run = %d AND step = %d AND split = 'test'", run, best), e->test[best].loss, tolerance);
    COLUMN(run, best_step, best, 0);
    COLUMN(run, accuracy, e->test[best].accuracy, 1e-12);
    COLUMN(run, f1, e->test[best].f1, 1e-12);
    COLUMN(run, metric_value, e->test[best].accuracy, 1e-12);
    COLUMN(run, dev_accuracy, e->dev[best].accuracy, 1e-12);
    COLUMN(run, dev_metric, e->dev[best].accuracy, 1e-12);
    COLUMN(run, dev_loss, e->dev[best].loss, tolerance);
    TEXT(run, metric, "accuracy");
    TEXT(run, selection, selection);
    TEXT(run, marks, e->test[best].constant ? "constant" : "");
    TEXT(run, status, "done");
    COLUMN(run, train_rows, TRAIN, 0);
    COLUMN(run, dev_rows, DEV, 0);
    COLUMN(run, test_rows, TEST, 0);
    COLUMN(run, cut_sequences, 1, 0);
    COLUMN(run, context, CONTEXT, 0);
    double parameters = CLASSES * HIDDEN + CLASSES; /* the fresh classifier's */
    for (int k = 0; k < TENSORS; k++) {
        parameters += (double)(tensors[k].rows * tensors[k].cols);
    }
    COLUMN(run, parameters, parameters, 0);
}

static int run_of(const char *where)
{
    is_near("runs of that setting", ask("SELECT count(*) FROM runs WHERE %s", where), 1, 0);
    return (int)ask("SELECT run FROM runs WHERE %s", where);
}

#define MEZO_LR 0.2
#define TOLERANCE 3e-4 /* of float32 after six steps; a wrong row, order, seed or eps is off by 1e-2 and more */

START_TEST(mezo_by_every_selection)
{
    static const char *const selection[] = {"dev-metric", "dev-loss", "last", "best-test"};
    run_config("mezo.db", "\"dev\": 4, \"test\": 5, \"eval_batch\": 3, \"eval_every\": 1, \"log_every\": 1, \"steps\": 6, \"seed\": [1, 2], "
               "\"selection\": [\"dev-metric\", \"dev-loss\", \"last\", \"best-test\"], \"optimizer\": {\"name\": \"mezo\", \"lr\": 0.2, \"eps\": [0.05, 0.2]}");
    open_db("mezo.db");
    bool ties = false, tempted = false, differ = false;
    for (int seed = 1; seed <= 2; seed++) {
        for (int wide = 0; wide < 2; wide++) {
            expected e = expect("mezo", NULL, (uint64_t)seed, MEZO_LR, wide ? 0.2 : 0.05);
            int first = 1, top = 1;
            for (int s = 2; s <= STEPS; s++) {
                ties = ties || (e.dev[s].accuracy == e.dev[first].accuracy && e.test[s].accuracy != e.test[first].accuracy);
                first = e.dev[s].accuracy > e.dev[first].accuracy ? s : first;
                top = e.test[s].accuracy > e.test[top].accuracy ? s : top;
            }
            tempted = tempted || e.test[top].accuracy > e.test[first].accuracy;
            differ = differ || first != STEPS;
            for (int k = 0; k < 4; k++) {
                char where[200];
                snprintf(where, sizeof where, "seed = %d AND selection = '%s' AND eps = %s", seed, selection[k], wide ? "0.2" : "0.05");
                int run = run_of(where);
                check_course(run, &e, selection[k], TOLERANCE);
                check_counts(run, &e);
                check_times(run, &e);
            }
        }
    }
    ck_assert_msg(ties && tempted && differ, "these runs would not show a wrong choice: ties %d, a better test elsewhere %d, a best before the last %d",
                  ties, tempted, differ);
    sqlite3_close(opened);
}
END_TEST

/* n-SPSA with a batch for each query, of which there are ever more: floor(t / 6 * 4), at least 1. The data go on where the last query was. */
START_TEST(queries_with_batches_of_their_own)
{
    static const char *const how[] = {"inplace", "streamed"};
    static const int each[STEPS] = {1, 1, 1, 2, 2, 3};
    run_config("fresh.db", "\"dev\": 4, \"test\": 5, \"eval_every\": 1, \"log_every\": 1, \"steps\": 6, \"seed\": 4, \"eps\": 0.05, \"realisation\": [\"inplace\", \"streamed\"], "
               "\"optimizer\": {\"name\": \"mezo\", \"lr\": 0.1, \"queries\": 4, \"growth\": \"linear\", \"query_batches\": [\"fresh\", \"shared\"]}");
    open_db("fresh.db");
    expected e = expect_of("mezo", "{\"queries\": 4, \"growth\": \"linear\", \"query_batches\": \"fresh\"}", 4, 0.1, 0.05, each);
    for (int k = 0; k < 2; k++) {
        char where[200];
        snprintf(where, sizeof where, "realisation = '%s' AND json_extract(optimizer_options, '$.query_batches') = 'fresh'", how[k]);
        int run = run_of(where);
        check_course(run, &e, "dev-metric", TOLERANCE);
        check_counts(run, &e);
        check_times(run, &e);
        double shared = ask("SELECT loss FROM steps JOIN runs USING (run) WHERE step = 6 AND realisation = '%s' AND run <> %d", how[k], run);
        ck_assert_msg(fabs(shared - e.loss[6]) > 1e-2, "losses with batches of their own are those of a shared one");
    }
    sqlite3_close(opened);
}
END_TEST

/* Accuracy and F1 in place of the loss, on the step's batch and on the whole set, whose F1 is no mean over chunks. Dev and test stay what they were. */
START_TEST(objectives_are_metrics)
{
    static const struct { int aim; const char *word, *method, *options; double lr, eps; } of[] = {
        {TOLD_ACCURACY, "accuracy", "mezo", NULL, 0.1, 1.2},
        {TOLD_ACCURACY, "accuracy", "mezo-svrg", "{\"eta2\": 0.05}", 0.1, 1.2},
        {TOLD_F1, "f1", "mezo", NULL, 0.1, 1.2},
        {TOLD_F1, "f1", "mezo-svrg", "{\"eta2\": 0.05}", 0.1, 1.2},
        {TOLD_LOSS, "loss", "mezo", NULL, 0.1, 1.2}};
    run_config("metric.db", "\"dev\": 4, \"test\": 5, \"eval_every\": 1, \"log_every\": 1, \"steps\": 6, \"seed\": [1, 2], \"lr\": 0.1, \"eps\": 1.2, \"objective\": [\"loss\", "
               "\"accuracy\", \"f1\"], \"realisation\": [\"inplace\", \"streamed\"], \"optimizer\": [\"mezo\", {\"name\": \"mezo-svrg\", \"eta2\": 0.05}]");
    open_db("metric.db");
    int ties = 0, moves = 0, apart = 0;
    for (size_t k = 0; k < 2 * 2 * sizeof of / sizeof *of; k++) {
        size_t c = k / 4;
        int seed = 1 + (int)(k % 2);
        char where[300];
        told = of[c].aim;
        expected e = expect(of[c].method, of[c].options, (uint64_t)seed, of[c].lr, of[c].eps);
        snprintf(where, sizeof where, "seed = %d AND realisation = '%s' AND optimizer = '%s' AND coalesce(json_extract(config, '$.objective'), 'loss') = '%s'", seed,
                 k / 2 % 2 ? "streamed" : "inplace", of[c].method, of[c].word);
        int run = run_of(where);
        check_course(run, &e, "dev-metric", told == TOLD_LOSS ? 10 * TOLERANCE : TOLERANCE);
        check_counts(run, &e);
        check_times(run, &e);
        for (int s = 1; s <= STEPS && told != TOLD_LOSS; s++) {
            ties += e.projected[s] == 0.0;
            moves += e.projected[s] != 0.0;
        }
        expected other = {0};
        if (told == TOLD_F1) { /* and F1 is not accuracy on these rows */
            told = TOLD_ACCURACY;
            other = expect(of[c].method, of[c].options, (uint64_t)seed, of[c].lr, of[c].eps);
            apart += fabs(other.loss[1] - e.loss[1]) > 1e-3;
        }
    }
    told = TOLD_LOSS;
    ck_assert_msg(ties > 0 && moves > 0 && apart > 0, "these runs would not show a wrong metric: %d ties, %d moves, %d apart", ties, moves, apart);
    sqlite3_close(opened);
}
END_TEST

/* Full batches of 6 rows in chunks of 4 and 2. */
START_TEST(svrg_with_full_batches)
{
    static const char *const mode[] = {"paper", "replay"};
    run_config("svrg.db", "\"dev\": 4, \"test\": 5, \"eval_every\": 1, \"log_every\": 1, \"steps\": 6, \"seed\": 3, \"eps\": 0.02, "
               "\"optimizer\": {\"name\": \"mezo-svrg\", \"lr\": 0.05, \"q\": 2, \"mode\": [\"paper\", \"replay\"]}");
    open_db("svrg.db");
    for (int m = 0; m < 2; m++) {
        char options[100], where[100];
        snprintf(options, sizeof options, "{\"q\": 2, \"mode\": \"%s\"}", mode[m]);
        snprintf(where, sizeof where, "json_extract(optimizer_options, '$.mode') = '%s'", mode[m]);
        expected e = expect("mezo-svrg", options, 3, 0.05, 0.02);
        int run = run_of(where);
        check_course(run, &e, "dev-metric", TOLERANCE);
        check_counts(run, &e);
        check_times(run, &e);
        is_near("full-batch steps by row", ask("SELECT sum(full_steps) FROM steps WHERE run = %d AND step %% 2 = 1", run), 3, 0); /* rows count from 1 */
        is_near("all full-batch steps", ask("SELECT sum(full_steps) FROM steps WHERE run = %d", run), 3, 0);
    }
    sqlite3_close(opened);
}
END_TEST

/* Without eval_every there are ten evaluations, at each tenth of the budget, whatever that is in, and one before. */
START_TEST(evaluations_at_each_tenth)
{
    static const char *const budget[] = {"\"steps\": 30", "\"forwards\": 60", "\"work\": 60"};
    for (int k = 0; k < 3; k++) {
        char keys[200];
        snprintf(keys, sizeof keys, "\"dev\": 4, \"test\": 0, %s, \"optimizer\": \"mezo\"", budget[k]);
        run_config("tenths.db", keys);
        open_db("tenths.db");
        ask("SELECT group_concat(step, ' ') FROM (SELECT step FROM evaluations WHERE run = (SELECT max(run) FROM runs) ORDER BY step)");
        ck_assert_msg(strcmp(text_of, "0 3 6 9 12 15 18 21 24 27 30") == 0, "%s: evaluations at %s", budget[k], text_of);
        sqlite3_close(opened);
    }
}
END_TEST

/* An evaluation is marked best where the metric that was asked for is above all before it; the four metrics do not agree on where. */
START_TEST(best_is_by_the_metric)
{
    run_config("metrics.db", "\"dev\": 12, \"test\": 3, \"eval_every\": 1, \"steps\": 40, \"seed\": [1, 2, 3], \"metric\": [\"accuracy\", \"f1\", \"macro_f1\", "
               "\"matthews\"], \"optimizer\": {\"name\": \"fo-sgd\", \"lr\": 0.7}");
    open_db("metrics.db");
    is_near("runs", ask("SELECT count(*) FROM runs WHERE status = 'done'"), 12, 0);
    ck_assert_int_eq(sqlite3_exec(opened, "CREATE TEMP TABLE e AS SELECT e.run, seed, metric, e.step, e.best, CASE metric WHEN 'accuracy' THEN e.accuracy WHEN 'f1' THEN e.f1 "
            "WHEN 'macro_f1' THEN e.macro_f1 ELSE e.matthews END AS x FROM evaluations e JOIN runs r ON r.run = e.run WHERE e.split = 'dev' AND e.step > 0", NULL, NULL, NULL), SQLITE_OK);
    is_near("evaluations", ask("SELECT count(x) FROM e"), 12 * 40, 0);
    is_near("wrong marks", ask("SELECT count(*) FROM (SELECT best, x, max(x) OVER (PARTITION BY run ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
                               " AS before FROM e) WHERE best <> (before IS NULL OR x > before)"), 0, 0);
    for (int seed = 1; seed <= 3; seed++) { /* else a wrong metric would not be seen */
        double ways = ask("SELECT count(DISTINCT steps) FROM (SELECT group_concat(step) AS steps FROM e WHERE best = 1 AND seed = %d GROUP BY run)", seed);
        ck_assert_msg(ways >= (seed == 1 ? 2 : 1), "seed %d: %g ways", seed, ways);
        printf("seed %d: %g ways\n", seed, ways);
    }
    sqlite3_close(opened);
}
END_TEST

/* Training's peak does not know of evaluations, and peaks are sums of their tags. */
START_TEST(peaks_by_phase)
{
    run_config("peaks.db", "\"dev\": [0, 4], \"test\": [0, 5], \"eval_batch\": [1, 5], \"steps\": 3, \"optimizer\": [\"mezo\", \"fo-sgd\"]");
    open_db("peaks.db");
    static const char *const method[] = {"mezo", "fo-sgd"};
    for (int m = 0; m < 2; m++) {
        ck_assert(ask("SELECT count(*) FROM runs WHERE optimizer = '%s'", method[m]) >= 6);
        is_near("different train_peak_bytes", ask("SELECT count(DISTINCT train_peak_bytes) FROM runs WHERE optimizer = '%s'", method[m]), 1, 0);
    }
    is_near("runs whose peaks are not sums", ask("SELECT count(*) FROM runs WHERE peak_bytes <> (SELECT max(bytes) FROM peaks p WHERE p.run = runs.run) OR "
            "train_peak_bytes <> (SELECT bytes FROM peaks p WHERE p.run = runs.run AND phase = 'train')"), 0, 0);
    double params = 4.0 * ask("SELECT max(parameters) FROM runs");
    ck_assert(ask("SELECT min(bytes) FROM memory WHERE phase = 'train' AND tag = 'params'") >= params);
    ck_assert(ask("SELECT min(bytes) FROM memory WHERE phase = 'train' AND tag = 'grads' AND run IN (SELECT run FROM runs WHERE optimizer = 'fo-sgd')") >= params);
    is_near("gradients of mezo", ask("SELECT max(bytes) FROM memory WHERE tag = 'grads' AND run IN (SELECT run FROM runs WHERE optimizer = 'mezo')"), 0, 0);
    is_near("first step of fo-sgd", ask("SELECT work FROM steps WHERE step = 3 AND run IN (SELECT max(run) FROM runs WHERE optimizer = 'fo-sgd')"), 9, 1e-9);
    sqlite3_close(opened);
}
END_TEST

/* A method that says of itself that its time and memory here are not the method's has neither in its rows. All that others have of both is there. */
START_TEST(what_is_not_measured_is_null)
{
    static const char *const columns[] = {"train_seconds", "step_ms", "step_ms_median", "step_ms_q1", "step_ms_q3", "device_hours", "device_hours_total",
                                          "cpu_seconds", "peak_bytes", "train_peak_bytes", "rss_peak_bytes"};
    static const char *const of_steps[] = {"seconds", "form", "gemm", "attention", "elementwise", "head", "backward", "\"update\"", "data", "train_seconds"};
    static const char *const tables[] = {"memory", "parts"};
    run_config("unmeasured.db", "\"dev\": 4, \"test\": 5, \"steps\": 5, \"eval_every\": 2, \"optimizer\": [\"fo-sgd\", \"forward-grad\"]");
    open_db("unmeasured.db");
    for (int is = 0; is < 2; is++) {
        const char *name = is ? "forward-grad" : "fo-sgd";
        double runs = ask("SELECT count(*) FROM runs WHERE optimizer = '%s' AND status = 'done'", name);
        ck_assert(runs > 0);
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            is_near(columns[c], ask("SELECT count(%s) FROM runs WHERE optimizer = '%s'", columns[c], name), is ? 0 : runs, 0);
        }
        for (size_t c = 0; c < sizeof of_steps / sizeof *of_steps; c++) {
            is_near(of_steps[c], ask("SELECT count(s.%s) FROM steps s JOIN runs USING (run) WHERE optimizer = '%s'", of_steps[c], name), is ? 0 : 5 * runs, 0);
        }
        for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
            ck_assert((ask("SELECT count(*) FROM %s JOIN runs USING (run) WHERE optimizer = '%s'", tables[t], name) == 0) == is);
        }
        ck_assert((ask("SELECT count(e.train_seconds) FROM evaluations e JOIN runs USING (run) WHERE optimizer = '%s'", name) == 0) == is);
        is_near("losses, slopes, work", ask("SELECT count(s.loss + s.work + coalesce(s.projected, %d)) FROM steps s JOIN runs USING (run) WHERE optimizer = '%s'", 1 - is, name),
                5 * runs, 0);
        is_near("notes", ask("SELECT count(*) FROM runs WHERE optimizer = '%s' AND note LIKE '%%time and memory are not measured: the gradient comes%%'", name), is ? runs : 0, 0);
    }
    sqlite3_close(opened);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        int code = strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : strcmp(argv[1], "run") == 0 ? zo_cmd_run(argc - 1, argv + 1) : 127;
        return zo_output_end(argv[1], code);
    }
    snprintf(folder, sizeof folder, "build/test_columns.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    make_model();
    zo_arch arch;
    zo_err err = {0};
    ZO_CHECK(zo_arch_read(scratch("model"), &arch, &err) == ZO_OK, "%s", err.text);
    zo_arch_layout(&arch, ZO_HEAD_CLASS, CLASSES, &layout);
    TCase *t = tcase_create("columns");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, mezo_by_every_selection);
    tcase_add_test(t, queries_with_batches_of_their_own);
    tcase_add_test(t, objectives_are_metrics);
    tcase_add_test(t, svrg_with_full_batches);
    tcase_add_test(t, best_is_by_the_metric);
    tcase_add_test(t, evaluations_at_each_tenth);
    tcase_add_test(t, peaks_by_phase);
    tcase_add_test(t, what_is_not_measured_is_null);
    Suite *suite = suite_create("columns");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    zo_layout_free(&layout);
    zo_free(vocabulary);
    folder_remove(folder);
    return failed != 0;
}
