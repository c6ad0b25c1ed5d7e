/* test_profile.c: `zo profile` end to end on a model of sizes alone: drift and rank are those of weights that `zo replay` keeps at the same steps, the cosine that of the
 * weights after one step of fo-sgd, all worked out here in f64 from the files, by the names of their tensors. And the run's own rows stay as they are. This program
 * stands in for `zo`: started with a command it is that command. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>

#include "bench/cell/process.h"
#include "bench/cell/profile.h"
#include "bench/cli/cmd.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

enum { STEPS = 6, BLOCKS = 2 };

#define CELL "\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"form\": \"head\", \"context\": 24, \"batch\": 4, \"train\": 16, \"dev\": 4," \
             "\"test\": 4, \"threads\": 1, \"seed\": 3"

/* The file of weights of a folder. */
typedef struct weights { cJSON *head; const uint8_t *data; char *text; } weights;

static weights open_weights(const char *folder_name)
{
    weights w;
    size_t bytes;
    uint64_t n;
    char path[400];
    zo_err err = {0};
    ck_assert_msg(zo_read_file(zo_path_join(path, sizeof path, below(folder_name), "model.safetensors"), 1 << 26, &w.text, &bytes, &err) == ZO_OK, "%s", err.text);
    memcpy(&n, w.text, 8);
    w.head = cJSON_ParseWithLength(w.text + 8, n);
    ck_assert_ptr_nonnull(w.head);
    w.data = (const uint8_t *)w.text + 8 + n;
    return w;
}

static void close_weights(weights *w)
{
    cJSON_Delete(w->head);
    zo_free(w->text);
}

/* The next tensor behind `at` (NULL: the first) of a block (-1: of any place), in f32; *count of them, *rows of it. */
static const cJSON *next_tensor(const weights *w, const cJSON *at, int block, const float **x, int64_t *count, int64_t *rows)
{
    char part[40];
    snprintf(part, sizeof part, ".layer.%d.", block);
    for (at = at == NULL ? w->head->child : at->next; at != NULL; at = at->next) {
        if (at->string[0] != '_' && (block < 0 || strstr(at->string, part) != NULL)) {
            const cJSON *span = cJSON_GetObjectItem(at, "data_offsets"), *shape = cJSON_GetObjectItem(at, "shape");
            ck_assert_str_eq(cJSON_GetObjectItem(at, "dtype")->valuestring, "F32");
            *x = (const float *)(const void *)(w->data + (size_t)span->child->valuedouble);
            *count = (int64_t)(span->child->next->valuedouble - span->child->valuedouble) / 4;
            *rows = cJSON_GetArraySize(shape) == 2 ? (int64_t)shape->child->valuedouble : 0;
            return at;
        }
    }
    return NULL;
}

static const float *same_tensor(const weights *w, const cJSON *as)
{
    const cJSON *span = cJSON_GetObjectItem(cJSON_GetObjectItem(w->head, as->string), "data_offsets");
    ck_assert_msg(span != NULL, "no %s", as->string);
    return (const float *)(const void *)(w->data + (size_t)span->child->valuedouble);
}

static double drift_of(const weights *start, const weights *now, int block)
{
    const float *a;
    int64_t n, rows;
    double way = 0, norm = 0;
    for (const cJSON *t = NULL; (t = next_tensor(start, t, block, &a, &n, &rows)) != NULL;) {
        const float *b = same_tensor(now, t);
        for (int64_t i = 0; i < n; i++) {
            way += ((double)b[i] - a[i]) * ((double)b[i] - a[i]);
            norm += (double)a[i] * a[i];
        }
    }
    return sqrt(way) / sqrt(norm);
}

/* By the power method on D'D, which reaches the largest singular value from below. */
static double rank_of(const weights *start, const weights *now, int block)
{
    const float *a;
    int64_t n, rows, matrices = 0;
    double sum = 0;
    for (const cJSON *t = NULL; (t = next_tensor(start, t, block, &a, &n, &rows)) != NULL;) {
        if (rows == 0) {
            continue;
        }
        const float *b = same_tensor(now, t);
        int64_t cols = n / rows;
        double squares = 0, largest = 0, *v = malloc((size_t)(2 * cols + rows) * sizeof *v), *next = v + cols, *u = next + cols;
        for (int64_t i = 0; i < n; i++) {
            squares += ((double)b[i] - a[i]) * ((double)b[i] - a[i]);
        }
        for (int64_t j = 0; j < cols; j++) {
            v[j] = cos((double)j);
        }
        for (int turn = 0; turn < 500; turn++) {
            double norm = 0;
            for (int64_t i = 0; i < rows; i++) {
                u[i] = 0;
                for (int64_t j = 0; j < cols; j++) {
                    u[i] += ((double)b[i * cols + j] - a[i * cols + j]) * v[j];
                }
            }
            for (int64_t j = 0; j < cols; j++) {
                next[j] = 0;
                for (int64_t i = 0; i < rows; i++) {
                    next[j] += ((double)b[i * cols + j] - a[i * cols + j]) * u[i];
                }
                norm += next[j] * next[j];
            }
            largest = sqrt(norm);
            for (int64_t j = 0; j < cols; j++) {
                v[j] = next[j] / largest;
            }
        }
        free(v);
        sum += squares / largest;
        matrices++;
    }
    return sum / (double)matrices;
}

/* Between start - step and start - sgd, each a folder after one step. */
static double cosine_of(const weights *start, const weights *step, const weights *sgd, int block)
{
    const float *a;
    int64_t n, rows;
    double dot = 0, one = 0, other = 0;
    for (const cJSON *t = NULL; (t = next_tensor(start, t, block, &a, &n, &rows)) != NULL;) {
        const float *b = same_tensor(step, t), *c = same_tensor(sgd, t);
        for (int64_t i = 0; i < n; i++) {
            dot += ((double)a[i] - b[i]) * ((double)a[i] - c[i]);
            one += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
            other += ((double)a[i] - c[i]) * ((double)a[i] - c[i]);
        }
    }
    return dot / sqrt(one * other);
}

static double ask(const char *db, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *s = NULL;
    ck_assert_int_eq(sqlite3_open(below(db), &handle), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(handle));
    double value = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL ? sqlite3_column_double(s, 0) : NAN;
    sqlite3_finalize(s);
    sqlite3_close(handle);
    return value;
}

static double value_at(int step, const char *figure, int layer)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT value FROM profile WHERE run = 1 AND step = %d AND figure = '%s' AND layer = %d", step, figure, layer);
    return ask("p.db", sql);
}

static void run_cell(const char *name, const char *optimizer, const char *db, const char *save)
{
    char text[900];
    snprintf(text, sizeof text, "{" CELL ", %s}", optimizer);
    put(name, text);
    const char *const word[] = {"zo", "run", below(name), "--db", below(db), save != NULL ? "--save" : NULL, save != NULL ? below(save) : NULL, NULL};
    ck_assert_msg(program(word) == 0, "%s", program_complained);
}

static weights replayed(int steps, const char *save)
{
    char to[20];
    snprintf(to, sizeof to, "%d", steps);
    const char *const word[] = {"zo", "replay", "1", "--to", to, "--save", below(save), "--db", below("p.db"), NULL};
    ck_assert_msg(program(word) == 0, "%s", program_complained);
    return open_weights(save);
}

static void near(double is, double want, double within, const char *what, int step, int layer)
{
    ck_assert_msg(fabs(is - want) <= within * fabs(want), "%s of layer %d after step %d is %g, not %g", what, layer, step, is, want);
}

/* Two rules: MeZO, and one whose step is of rank 2 in each matrix. */
START_TEST(figures_are_of_the_weights)
{
    static const char *const method[] = {"\"steps\": 6, \"lr\": 1e-3, \"optimizer\": \"mezo\"",
                                         "\"steps\": 6, \"lr\": 1e-3, \"optimizer\": {\"name\": \"lozo\", \"rank\": 2, \"period\": 50}"};
    run_cell("a.json", method[_i], "p.db", NULL);
    double rows = ask("p.db", "SELECT (SELECT count(*) FROM steps) + (SELECT count(*) FROM evaluations)"), loss = ask("p.db", "SELECT sum(loss) FROM steps");
    const char *const word[] = {"zo", "profile", "1", "--every", "1", "--db", below("p.db"), NULL};
    for (int again = 0; again < 2; again++) { /* a second time it is not there twice */
        ck_assert_msg(program(word) == 0, "%s", program_complained);
        ck_assert_double_eq(ask("p.db", "SELECT count(*) FROM profile"), 3 * STEPS * (1 + BLOCKS));
    }
    ASSERT_SAID("|    6 | all ");
    ck_assert_double_eq(ask("p.db", "SELECT (SELECT count(*) FROM steps) + (SELECT count(*) FROM evaluations)"), rows);
    ck_assert_double_eq(ask("p.db", "SELECT sum(loss) FROM steps"), loss);
    run_cell("s.json", "\"steps\": 1, \"lr\": 1, \"optimizer\": \"fo-sgd\"", "s.db", "sgd");
    char sgd[200], hash[17];
    sqlite3 *handle;
    sqlite3_stmt *s = NULL;
    ck_assert_int_eq(sqlite3_open(below("s.db"), &handle), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(handle, "SELECT hash FROM runs", -1, &s, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
    snprintf(hash, sizeof hash, "%s", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    sqlite3_close(handle);
    snprintf(sgd, sizeof sgd, "sgd/%s", hash);
    weights w0 = replayed(0, "w0"), w1 = replayed(1, "w1"), w6 = replayed(STEPS, "w6"), down = open_weights(sgd);
    for (int layer = ZO_PROFILE_ALL; layer < BLOCKS; layer++) {
        near(value_at(1, "drift", layer), drift_of(&w0, &w1, layer), 1e-9, "drift", 1, layer);
        near(value_at(STEPS, "drift", layer), drift_of(&w0, &w6, layer), 1e-9, "drift", STEPS, layer);
        near(value_at(1, "cosine", layer), cosine_of(&w0, &w1, &down, layer), 1e-3, "cosine", 1, layer);
    }
    for (int layer = 0; layer < BLOCKS; layer++) {
        near(value_at(STEPS, "rank", layer), rank_of(&w0, &w6, layer), 1e-4, "rank", STEPS, layer);
    }
    if (_i == 1) {
        ck_assert_double_lt(value_at(STEPS, "rank", ZO_PROFILE_ALL), 2.01);
    } else { /* one query: the step goes down the gradient of its own batch wherever it is, as the probe has measured it */
        ck_assert_double_eq(ask("p.db", "SELECT sum(value > 0) FROM profile WHERE figure = 'cosine' AND layer = -1"), STEPS);
    }
    weights *all[] = {&w0, &w1, &w6, &down};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        close_weights(all[i]);
    }
    static const char *const made[] = {"w0", "w1", "w6", "sgd"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        folder_remove(below(made[i]));
    }
    unlink(below("p.db"));
    unlink(below("s.db"));
}
END_TEST

/* Several batches a step, of which the gradient is that of the first; and an adapter on a base of 16 bits: at lr 1e-3 each single query goes down its own gradient. */
START_TEST(other_cells_have_one)
{
    static const struct { const char *keys; bool down; } of[] = {
        {"\"steps\": 5, \"lr\": 1e-3, \"optimizer\": {\"name\": \"mezo\", \"queries\": 6, \"query_batches\": \"fresh\"}", false},
        {"\"steps\": 5, \"lr\": 1e-2, \"storage\": \"bf16\", \"realisation\": \"streamed\", \"tune\": {\"name\": \"lora\", \"rank\": 2, \"alpha\": 4, \"on\": \"q,v\"}, \"optimizer\": \"mezo\"", true}};
    run_cell("o.json", of[_i].keys, "p.db", NULL);
    const char *const word[] = {"zo", "profile", "1", "--every", "1", "--db", below("p.db"), NULL};
    ck_assert_msg(program(word) == 0, "%s", program_complained);
    ck_assert_double_eq(ask("p.db", "SELECT count(*) FROM profile WHERE figure = 'cosine' AND layer = -1"), 5);
    if (of[_i].down) {
        ck_assert_double_eq(ask("p.db", "SELECT sum(value > 0) FROM profile WHERE figure = 'cosine' AND layer = -1"), 5);
    }
    unlink(below("p.db"));
}
END_TEST

START_TEST(what_has_no_profile_says_so)
{
    run_cell("f.json", "\"steps\": 2, \"lr\": 1e-3, \"optimizer\": \"fo-sgd\"", "f.db", NULL);
    const char *const first[] = {"zo", "profile", "1", "--db", below("f.db"), NULL};
    ck_assert_int_eq(program(first), 2);
    ASSERT_HAS(program_complained, "zo profile: run 1 is of fo-sgd, whose gradients need its forward and backward passes again and stand in no journal");
    run_cell("m.json", "\"steps\": 2, \"lr\": 1e-3, \"objective\": \"accuracy\", \"optimizer\": \"mezo\"", "m.db", NULL);
    const char *const metric[] = {"zo", "profile", "1", "--db", below("m.db"), NULL, NULL};
    ck_assert_int_eq(program(metric), 2);
    ASSERT_HAS(program_complained, "was told a metric, which has no gradient, so there is no cosine; leave it out with --no-cosine");
    const char *const without[] = {"zo", "profile", "1", "--db", below("m.db"), "--no-cosine", NULL};
    ck_assert_msg(program(without) == 0, "%s", program_complained);
    ck_assert_double_eq(ask("m.db", "SELECT count(*) FROM profile WHERE figure = 'cosine'"), 0);
    const char *const every[] = {"zo", "profile", "1", "--db", below("m.db"), "--every=-2", NULL};
    ck_assert_int_eq(program(every), 2);
    ASSERT_HAS(program_complained, "--every is -2; expected a whole number that is not negative");
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        signal(SIGPIPE, SIG_IGN);
        int code = strcmp(argv[1], "cell") == 0      ? zo_cmd_cell(argc - 1, argv + 1)
                   : strcmp(argv[1], "run") == 0     ? zo_cmd_run(argc - 1, argv + 1)
                   : strcmp(argv[1], "replay") == 0  ? zo_cmd_replay(argc - 1, argv + 1)
                   : strcmp(argv[1], "profile") == 0 ? zo_cmd_profile(argc - 1, argv + 1)
                                                     : 127;
        return zo_output_end(argv[1], code);
    }
    program_begin("profile");
    TCase *t = tcase_create("profile");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, figures_are_of_the_weights, 0, 2);
    tcase_add_loop_test(t, other_cells_have_one, 0, 2);
    tcase_add_test(t, what_has_no_profile_says_so);
    Suite *s = suite_create("profile");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(program_folder);
    return failed != 0;
}
