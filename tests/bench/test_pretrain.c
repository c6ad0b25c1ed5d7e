/* test_pretrain.c: the models that zo pretrains itself: what the progress says from the first step to the last, a loss that falls from that of
 * a guess, the same bytes each time, and nothing left of a pretraining that was interrupted. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/synth/cache.h"
#include "bench/synth/pretrain.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/model.h"
#include "tests/folder.h"
#include "tests/suite.h"

enum { STEPS = 400 }; /* of synth-tiny */

static char cache[64];

typedef struct heard { int calls; int64_t last; double first_loss, loss, seconds; int64_t stop_at; } heard;

static bool hear(void *context, const char *model, int64_t step, int64_t steps, double loss, double seconds)
{
    heard *h = context;
    ck_assert_str_eq(model, "synth-tiny");
    ck_assert_int_eq(steps, STEPS);
    ck_assert_int_gt(step, h->last);
    ck_assert(isfinite(loss) && seconds >= h->seconds);
    h->first_loss = h->calls++ == 0 ? loss : h->first_loss;
    h->loss = loss;
    h->last = step;
    h->seconds = seconds;
    return h->stop_at == 0 || step < h->stop_at;
}

static uint64_t weights_of(const char *folder)
{
    char path[4200], *bytes;
    size_t n;
    zo_err err = {0};
    ck_assert_msg(zo_read_file(zo_path_join(path, sizeof path, folder, "model.safetensors"), 1 << 26, &bytes, &n, &err) == ZO_OK, "%s", err.text);
    uint64_t hash = zo_fnv1a(ZO_FNV_START, bytes, n);
    zo_free(bytes);
    return hash;
}

START_TEST(interrupted)
{
    char folder[4096];
    zo_err err = {0};
    heard h = {.stop_at = 1};
    ck_assert(zo_model_is_unmade("synth-tiny"));
    ck_assert_int_eq(zo_model_folder("synth-tiny", NULL, hear, &h, folder, &err), ZO_ETIME);
    ck_assert_str_eq(err.text, "the pretraining of synth-tiny was interrupted");
    ck_assert_int_eq(h.calls, 1);
    ck_assert_int_eq(h.last, 1);
    ck_assert(zo_model_is_unmade("synth-tiny") && !zo_path_exists(folder));
    ck_assert_int_eq(zo_model_find("synth-tiny", NULL, folder, &err), ZO_EINPUT);
}
END_TEST

START_TEST(learns_and_is_the_same_each_time)
{
    char folder[4096];
    zo_err err = {0};
    uint64_t hash[2];
    for (int i = 0; i < 2; i++) {
        heard h = {0};
        char other[96];
        snprintf(other, sizeof other, "%s/%d", cache, i);
        setenv("ZO_CACHE", other, 1);
        ck_assert_msg(zo_model_folder("synth-tiny", NULL, hear, &h, folder, &err) == ZO_OK, "%s", err.text);
        ck_assert_int_eq(h.last, STEPS);
        printf("a loss of %.3f after the first step, %.3f at the end\n", h.first_loss, h.loss);
        ck_assert_msg(fabs(h.first_loss - log(400)) < 1.0, "%g", h.first_loss); /* of about 400 tokens, before it knows any */
        ck_assert_msg(h.loss < 0.6 * h.first_loss, "%g after %g", h.loss, h.first_loss);
        ck_assert(!zo_model_is_unmade("synth-tiny") && zo_cache_is_whole(folder));
        hash[i] = weights_of(folder);
    }
    ck_assert(hash[0] == hash[1]);
    setenv("ZO_CACHE", cache, 1);
}
END_TEST

int main(void)
{
    snprintf(cache, sizeof cache, "build/test_pretrain.XXXXXX");
    if (mkdtemp(cache) == NULL || setenv("ZO_CACHE", cache, 1) != 0) {
        perror(cache);
        return 1;
    }
    Suite *suite = suite_create("pretrain");
    TCase *tests = tcase_create("pretrain");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, interrupted);
    tcase_add_test(tests, learns_and_is_the_same_each_time);
    suite_add_tcase(suite, tests);
    int failed = suite_run(suite);
    folder_remove(cache);
    return failed != 0;
}
