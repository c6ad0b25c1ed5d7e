/* test_checkpoint.c: a run that is written to a file between two steps and goes on from it elsewhere ends with the bits of one that was not: every
 * estimator of the list and each of its variants, in place, streamed and on the side path, accumulated in the weights and in a log, in f32 and in 16
 * bits, and on views. And archives that were damaged are refused. */
#include <math.h>
#include <stdlib.h>

#include "core/io.h"
#include "optimizers/engine/checkpoint.h"
#include "tests/folder.h"
#include "tests/storage_runs.h"
#include "tests/suite.h"

static zo_backend *be;
static char folder[64];

/* A run between two steps. */
typedef struct player {
    setting s;
    const zo_estimator *e;
    golden_run run;
    zo_engine *engine;
    void *state;
    double loss[STEPS], projected[STEPS], lr[STEPS];
    zo_counters counted;
    zo_status status;
} player;

static void player_open(player *p, const setting *s)
{
    *p = (player){.s = *s, .e = zo_estimator_find(s->optimizer)};
    p->run.model = model_of(be, s->family, s->storage, ZO_F32, s->tune);
    for (int i = 0; i < 2; i++) {
        p->run.batch[i] = batch_of(p->run.model, 2 + i);
    }
    zo_engine_spec spec = {.be = be, .weights = zo_model_store(p->run.model), .realisation = s->realisation, .accumulate = s->accumulate, .seed = 4,
                           .io = {.context = &p->run, .losses = golden_losses, .gradient = golden_gradient, .descend = golden_descend, .touched = golden_touched, .most_points = 2}};
    p->engine = zo_engine_new(&spec);
    p->state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, p->e->state_bytes);
    cJSON *options = few_queries(p->e, s->options != NULL ? cJSON_Parse(s->options) : NULL);
    ck_assert_msg(p->e->options == NULL || zo_opt_read(p->e->options, options, NULL, p->e->name, p->state, &storage_err) == ZO_OK, "%s", storage_err.text);
    cJSON_Delete(options);
    p->status = p->e->start != NULL ? p->e->start(p->state, zo_engine_objective(p->engine), &storage_err) : ZO_OK;
    for (int i = 0; i < 2; i++) {
        const zo_batch *b = p->run.batch[i];
        zo_model_reserve(p->run.model, b->tokens, b->rows, b->scores, 2, p->e->first_order ? ZO_BACKWARD : ZO_FORWARD_ONLY, zo_engine_factors(p->engine));
    }
}

static void player_steps(player *p, int to)
{
    zo_counters_reset();
    for (; p->run.step < to && p->status == ZO_OK; p->run.step++) {
        int step = p->run.step;
        zo_step_context c = {.step = step, .steps = p->s.steps, .batches_per_epoch = 2, .lr = p->s.lr, .eps = 1e-3};
        zo_step_report report = {.loss = NAN};
        p->status = p->e->step(p->state, zo_engine_objective(p->engine), &c, &report, &storage_err);
        p->loss[step] = report.loss;
        p->projected[step] = report.projected;
        p->lr[step] = report.lr;
    }
    zo_counters more;
    zo_counters_read(&more);
    p->counted.normals += more.normals;
    p->counted.weight_bytes_written += more.weight_bytes_written;
}

static void player_archive(player *p, const char *path, bool loads)
{
    zo_archive a;
    zo_err err = {0};
    ck_assert_msg((loads ? zo_archive_open(&a, path, &err) : zo_archive_create(&a, path, &err)) == ZO_OK, "%s", err.text);
    zo_engine_archive(p->engine, &a);
    zo_estimator_archive(p->e, p->state, &a);
    ck_assert_msg(zo_archive_close(&a, &err) == ZO_OK, "%s", err.text);
}

/* Of all weights as the run leaves them: what is stored, and what a side path or a log has beside it. */
static uint64_t player_end(player *p)
{
    zo_store *sum = p->status == ZO_OK ? zo_engine_sum(p->engine) : NULL, *store = zo_model_store(p->run.model);
    uint64_t hash = ZO_FNV_START;
    if (sum != NULL) {
        hash = zo_fnv1a(hash, sum->data, (size_t)sum->size * sizeof(float));
        hash = zo_fnv1a(hash, zo_store_at(store, 0), (size_t)store->size * (size_t)zo_storage_bytes(store->storage));
        zo_store_free(be, sum);
    }
    if (p->e->stop != NULL) {
        p->e->stop(p->state);
    }
    zo_free(p->state);
    zo_engine_free(p->engine);
    golden_close(&p->run);
    return hash;
}

/* What a state keeps as it is has no pointers: of two that were started alike it is the same. */
static void check_plain(const player *p, const char *what)
{
    player *other = calloc(1, sizeof *other);
    player_open(other, &p->s);
    size_t plain = p->e->plain_bytes > 0 ? p->e->plain_bytes : p->e->state_bytes;
    ck_assert_msg(memcmp(other->state, p->state, plain) == 0, "%s: the plain part of its state has a pointer", what);
    (void)player_end(other);
    free(other);
}

/* Whole, and cut in three at two places. Returns whether the setting is one that this program can run. */
static bool goes_on(const setting *s, int first, int second)
{
    char path[100], what[400];
    snprintf(path, sizeof path, "%s/%s", folder, "a.checkpoint");
    snprintf(what, sizeof what, "%s %s, %s, %s, %s, %s, cut after %d and %d", s->optimizer, s->options != NULL ? s->options : "", zo_realisation_name(s->realisation),
             zo_accumulate_name(s->accumulate), zo_storage_name(s->storage), s->tune != NULL ? s->tune : "full", first, second);
    player *whole = calloc(1, sizeof *whole), *cut = calloc(1, sizeof *cut), *before = calloc(1, sizeof *before);
    player_open(whole, s);
    player_steps(whole, s->steps);
    (void)player_end(whole); /* the backend keeps scratch that has grown */
    uint64_t begun = zo_mem_live(ZO_HOST).total_bytes;
    player_open(whole, s);
    player_steps(whole, s->steps);
    uint64_t held = zo_mem_live(ZO_HOST).total_bytes;
    bool runs = whole->status == ZO_OK;
    const int until[3] = {first, second, s->steps};
    for (int k = 0; k < 3 && runs; k++) {
        player_open(cut, s);
        if (k > 0) {
            check_plain(cut, what);
            player_archive(cut, path, true);
            cut->run.step = until[k - 1];
            cut->counted = before->counted;
            memcpy(cut->loss, before->loss, sizeof cut->loss);
            memcpy(cut->projected, before->projected, sizeof cut->projected);
            memcpy(cut->lr, before->lr, sizeof cut->lr);
        }
        player_steps(cut, until[k]);
        ck_assert_msg(cut->status == ZO_OK, "%s: %s", what, storage_err.text);
        if (k < 2) {
            player_archive(cut, path, false);
            (void)player_end(cut);
            *before = *cut;
        }
    }
    if (runs) {
        uint64_t both = zo_mem_live(ZO_HOST).total_bytes;
        ck_assert_msg(both - held == held - begun, "%s: %lld bytes are held, not %lld", what, (long long)(both - held), (long long)(held - begun));
        ck_assert_msg(memcmp(cut->loss, whole->loss, sizeof whole->loss) == 0, "%s: losses differ", what);
        ck_assert_msg(memcmp(cut->projected, whole->projected, sizeof whole->projected) == 0, "%s: projected gradients differ", what);
        ck_assert_msg(memcmp(cut->lr, whole->lr, sizeof whole->lr) == 0, "%s: learning rates differ", what);
        ck_assert_msg(cut->counted.normals == whole->counted.normals && cut->counted.weight_bytes_written == whole->counted.weight_bytes_written,
                      "%s: %llu normals and %llu bytes, not %llu and %llu", what, (unsigned long long)cut->counted.normals,
                      (unsigned long long)cut->counted.weight_bytes_written, (unsigned long long)whole->counted.normals,
                      (unsigned long long)whole->counted.weight_bytes_written);
        ck_assert_msg(player_end(cut) == player_end(whole), "%s: final weights differ", what);
    } else {
        (void)player_end(whole);
    }
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, begun);
    free(whole);
    free(cut);
    free(before);
    return runs;
}

/* Estimator number _i, and its variants. */
START_TEST(every_estimator_goes_on)
{
    const zo_estimator *const *list;
    zo_estimator_list(&list);
    const zo_estimator *e = list[_i];
    static const struct { zo_storage storage; const char *tune; int family; } held[] = {
        {ZO_STORAGE_F32, NULL, BERT}, {ZO_STORAGE_BF16, NULL, GPT2}, {ZO_STORAGE_F32, "lora rank 2 on q,v", OPT}};
    if (e->step == NULL || !suite_takes(_i, 1, 3)) {
        return;
    }
    int ran = 0;
    for (const zo_variant *v = e->variants;; v++) {
        bool is_variant = v != NULL && v->key != NULL;
        char *options = NULL;
        if (is_variant) {
            cJSON *o = zo_variant_options(v);
            options = cJSON_PrintUnformatted(o);
            cJSON_Delete(o);
        }
        for (size_t h = 0; h < sizeof held / sizeof *held; h++) {
            for (int realisation = 0; realisation < ZO_REALISATIONS; realisation++) {
                for (int accumulate = 0; accumulate < ZO_ACCUMULATES; accumulate++) {
                    setting s = {.optimizer = e->name, .options = options, .tune = held[h].tune, .family = held[h].family, .storage = held[h].storage,
                                 .realisation = (zo_realisation)realisation, .accumulate = (zo_accumulate)accumulate, .lr = 1e-3, .steps = 9};
                    if ((e->allows == NULL || e->allows(realisation)) && (zo_estimator_probes(e) || realisation == 0)) {
                        ran += goes_on(&s, 2, 5);
                        ran += h == 0 && goes_on(&s, 1, 4);
                    }
                }
            }
        }
        cJSON_free(options);
        if (!is_variant) {
            break;
        }
    }
    ck_assert_int_gt(ran, 1);
    printf("measured: %s: %d runs were cut and went on\n", e->name, ran);
}
END_TEST

/* What a method does every so many steps by default comes within these nine: searches, new subspaces, curvatures, a history that is full. Cuts stand before,
 * in and behind it. */
static const struct { const char *optimizer, *options; } often[] = {
    {"dizo", "{\"kappa\": 2, \"iterations\": 3}"},
    {"dizo", "{\"kappa\": 2, \"iterations\": 2, \"anchor\": \"previous\", \"on\": \"qv\"}"},
    {"dizo", "{\"kappa\": 1, \"iterations\": 3, \"anchor\": \"zero\"}"},
    {"lozo", "{\"period\": 3}"},
    {"lozo-m", "{\"period\": 3}"},
    {"subzo", "{\"period\": 3}"},
    {"subzero-plus", "{\"period\": 3, \"queries\": 2}"},
    {"zo-muon", "{\"period\": 3}"},
    {"helene", "{\"every\": 3}"},
    {"adamezo", "{\"history\": 3}"}};

START_TEST(what_comes_every_so_often_goes_on)
{
    const zo_estimator *e = zo_estimator_find(often[_i].optimizer);
    int ran = 0;
    for (int realisation = 0; realisation < ZO_REALISATIONS; realisation++) {
        setting s = {.optimizer = often[_i].optimizer, .options = often[_i].options, .family = BERT, .realisation = (zo_realisation)realisation, .lr = 1e-3, .steps = 9};
        if (e->allows == NULL || e->allows(realisation)) {
            ran += goes_on(&s, 2, 5);
            ran += goes_on(&s, 3, 4);
        }
    }
    ck_assert_int_gt(ran, 1);
}
END_TEST

/* An archive is read whole or not at all. */
START_TEST(damaged_archives_are_refused)
{
    char path[100], text[64] = "some values";
    zo_archive a;
    zo_err err = {0};
    snprintf(path, sizeof path, "%s/archive", folder);
    int64_t number = 7;
    ck_assert_int_eq(zo_archive_open(&a, path, &err), ZO_EIO);
    ck_assert_int_eq(zo_archive_create(&a, path, &err), ZO_OK);
    ZO_ARCHIVE(&a, text);
    zo_archive_int64(&a, &number, 0, 7);
    ck_assert_int_eq(zo_archive_close(&a, &err), ZO_OK);
    char *good;
    size_t bytes;
    ck_assert_int_eq(zo_read_file(path, 1 << 20, &good, &bytes, &err), ZO_OK);
    ck_assert_uint_eq(bytes, 16 + sizeof text + sizeof number + 8);
    for (size_t at = 0; at < bytes; at++) { /* one byte is another; the end is missing */
        good[at] ^= 1;
        ck_assert_int_eq(zo_write_file(path, good, bytes, &err), ZO_OK);
        ck_assert_int_eq(zo_archive_open(&a, path, &err), ZO_EINPUT);
        ck_assert(strstr(err.text, at < 16 ? "no archive" : "damaged") != NULL);
        good[at] ^= 1;
        ck_assert_int_eq(zo_write_file(path, good, at, &err), ZO_OK);
        ck_assert_int_eq(zo_archive_open(&a, path, &err), ZO_EINPUT);
    }
    ck_assert_int_eq(zo_write_file(path, good, bytes, &err), ZO_OK);
    char read[sizeof text];
    ck_assert_int_eq(zo_archive_open(&a, path, &err), ZO_OK);
    ZO_ARCHIVE(&a, read);
    zo_archive_int64(&a, &number, 0, 6);
    ck_assert_int_eq(number, 0);
    ck_assert_int_eq(zo_archive_close(&a, &err), ZO_EINPUT);
    ck_assert(strcmp(read, text) == 0 && strstr(err.text, "out of its bounds") != NULL);
    ck_assert_int_eq(zo_archive_open(&a, path, &err), ZO_OK);
    ZO_ARCHIVE(&a, read);
    ck_assert_int_eq(zo_archive_close(&a, &err), ZO_EINPUT);
    ck_assert(strstr(err.text, "more values") != NULL);
    ck_assert_int_eq(zo_archive_open(&a, path, &err), ZO_OK);
    for (int i = 0; i < 3; i++) {
        ZO_ARCHIVE(&a, read);
    }
    ck_assert_int_eq(zo_archive_close(&a, &err), ZO_EINPUT);
    ck_assert(strstr(err.text, "ends before") != NULL);
    zo_free(good);
    /* what was there stays where the new one cannot be written */
    ck_assert_int_eq(zo_archive_create(&a, path, &err), ZO_OK);
    zo_archive_refuse(&a, "for a reason");
    ck_assert_int_eq(zo_archive_close(&a, &err), ZO_EINPUT);
    ck_assert_int_eq(zo_archive_open(&a, path, &err), ZO_OK);
    fclose(a.file);
    ck_assert_int_eq(zo_archive_create(&a, "/nowhere/at/all", &err), ZO_EIO);
}
END_TEST

/* A run of other settings takes nothing from it. */
START_TEST(other_settings_are_refused)
{
    char path[100];
    snprintf(path, sizeof path, "%s/b.checkpoint", folder);
    setting s = {.optimizer = "mezo", .family = BERT, .lr = 1e-3, .steps = 4}, other[3] = {s, s, s};
    other[0].optimizer = "mezo-adam";
    other[1].realisation = ZO_STREAMED;
    other[2].tune = "head";
    player *p = calloc(1, sizeof *p);
    player_open(p, &s);
    player_steps(p, 2);
    player_archive(p, path, false);
    (void)player_end(p);
    for (int i = 0; i < 3; i++) {
        zo_archive a;
        zo_err err = {0};
        player_open(p, &other[i]);
        ck_assert_int_eq(zo_archive_open(&a, path, &err), ZO_OK);
        zo_engine_archive(p->engine, &a);
        ck_assert_int_eq(zo_archive_close(&a, &err), ZO_EINPUT);
        ck_assert(strstr(err.text, "other settings") != NULL);
        (void)player_end(p);
    }
    free(p);
}
END_TEST

/* The weights that a log or a side path stands for are those of a run that writes them, but for roundings in f32: after one term and after more. */
START_TEST(sums_are_the_weights)
{
    static const struct { const char *optimizer; zo_realisation realisation; zo_accumulate accumulate; } of[] = {
        {"mezo", ZO_STREAMED, ZO_ACCUMULATE_LOG}, {"tezo", ZO_STREAMED, ZO_ACCUMULATE_LOG}, {"tezo", ZO_SIDEPATH, ZO_ACCUMULATE_WEIGHTS},
        {"tezo", ZO_SIDEPATH, ZO_ACCUMULATE_LOG}, {"lozo", ZO_STREAMED, ZO_ACCUMULATE_LOG}, {"lozo-m", ZO_SIDEPATH, ZO_ACCUMULATE_WEIGHTS},
        {"subzo", ZO_SIDEPATH, ZO_ACCUMULATE_LOG}};
    player *p = calloc(1, sizeof *p);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        for (int steps = 1; steps <= 3; steps += 2) {
            float *at[3]; /* before, written, summed */
            int64_t size = 0;
            for (int way = 0; way < 3; way++) {
                setting s = {.optimizer = of[k].optimizer, .family = BERT, .lr = 1e-3, .steps = steps, .realisation = way == 2 ? of[k].realisation : ZO_STREAMED,
                             .accumulate = way == 2 ? of[k].accumulate : ZO_ACCUMULATE_WEIGHTS};
                player_open(p, &s);
                player_steps(p, way == 0 ? 0 : steps);
                ck_assert_msg(p->status == ZO_OK, "%s", storage_err.text);
                zo_store *sum = zo_engine_sum(p->engine);
                size = sum->size;
                at[way] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)size * sizeof(float));
                memcpy(at[way], sum->data, (size_t)size * sizeof(float));
                zo_store_free(be, sum);
                (void)player_end(p);
            }
            double moved = 0, apart = 0;
            for (int64_t i = 0; i < size; i++) {
                moved += pow((double)at[1][i] - (double)at[0][i], 2);
                apart += pow((double)at[2][i] - (double)at[1][i], 2);
            }
            ck_assert_msg(moved > 0 && apart < 1e-6 * moved, "%s, %s, %s, %d steps: moved by %g, and apart by %g", of[k].optimizer,
                          zo_realisation_name(of[k].realisation), zo_accumulate_name(of[k].accumulate), steps, sqrt(moved), sqrt(apart));
            for (int way = 0; way < 3; way++) {
                zo_free(at[way]);
            }
        }
    }
    free(p);
}
END_TEST

int main(void)
{
    zo_err err = {0};
    const zo_estimator *const *list;
    zo_estimator_list(&list);
    ZO_CHECK(zo_backend_open("cpu", 1, &be, &err) == ZO_OK, "%s", err.text);
    snprintf(folder, sizeof folder, "/tmp/zo_checkpoint_XXXXXX");
    ZO_CHECK(mkdtemp(folder) != NULL, "mkdtemp failed");
    Suite *suite = suite_create("checkpoint");
    TCase *tests = tcase_create("checkpoint");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, damaged_archives_are_refused);
    tcase_add_test(tests, other_settings_are_refused);
    tcase_add_test(tests, sums_are_the_weights);
    tcase_add_loop_test(tests, every_estimator_goes_on, 0, zo_estimator_list(&list));
    tcase_add_loop_test(tests, what_comes_every_so_often_goes_on, 0, sizeof often / sizeof *often);
    suite_add_tcase(suite, tests);
    int failed = suite_run(suite);
    be->close(be);
    folder_remove(folder);
    return failed != 0;
}
