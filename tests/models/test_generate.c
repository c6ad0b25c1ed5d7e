/* Greedy generation against transformers' generate() (golden/generated.json, made by golden/make_generated.py), token for token: several prompts of
 * different lengths at once, each alone, with kept keys and values and without; beside a prefix; its memory by the ledger. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "models/files/hub.h"
#include "tests/generated.h"
#include "tests/suite.h"

static zo_backend *be;
static zo_err err;
static cJSON *golden;

static void begin(void)
{
    golden = read_generated();
    ck_assert_msg(zo_backend_open("cpu", 0, &be, &err) == ZO_OK, "%s", err.text);
}

static void end(void)
{
    be->close(be);
    cJSON_Delete(golden);
}

/* prefix: rows of keys and values that the model has besides, drawn anew */
static zo_model *open_model(const cJSON *entry, int prefix)
{
    char folder[128];
    zo_arch arch;
    zo_model *model;
    arch = generated_arch(entry, folder);
    arch.prefix = prefix;
    zo_model_spec spec = {.folder = folder, .arch = &arch, .head = ZO_HEAD_SPAN, .seed = 3};
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    for (int t = 0; t < zo_model_layout(model)->n; t++) {
        if (zo_model_layout(model)->param[t].added) {
            be->init_normal(be, zo_model_store(model), t, 8, 0.5f);
        }
    }
    zo_model_reserve(model, ROOM, PROMPTS, PROMPTS, 1, ZO_FORWARD_ONLY, NULL);
    return model;
}

START_TEST(writes_what_transformers_writes)
{
    const cJSON *entry = cJSON_GetArrayItem(golden, _i);
    const char *name = cJSON_GetObjectItem(entry, "model")->valuestring;
    texts prompts = texts_of(cJSON_GetObjectItem(entry, "prompts")), none = {.n = 1}, ends = ends_of(entry);
    zo_model *model = open_model(entry, 0);
    ck_assert_int_eq(prompts.n, PROMPTS);
    for (int ended = 0; ended < 2; ended++) {
        texts wanted = texts_of(cJSON_GetObjectItem(entry, ended ? "ended" : "free"));
        for (int without = 0; without < 2; without++) {
            texts got = write_on(model, &prompts, 0, PROMPTS, ended ? &ends : &none, without);
            check_same(name, &got, &wanted, 0);
        }
        for (int s = 0; s < PROMPTS; s++) {
            texts got = write_on(model, &prompts, s, 1, ended ? &ends : &none, false);
            check_same(name, &got, &wanted, s);
        }
    }
    zo_model_close(model);
}
END_TEST

START_TEST(a_prefix_is_seen_with_and_without_kept_keys)
{
    const cJSON *entry = cJSON_GetArrayItem(golden, _i);
    texts prompts = texts_of(cJSON_GetObjectItem(entry, "prompts")), none = {.n = 1}, bare = texts_of(cJSON_GetObjectItem(entry, "free"));
    zo_model *model = open_model(entry, 3);
    texts wanted = write_on(model, &prompts, 0, PROMPTS, &none, true), got = write_on(model, &prompts, 0, PROMPTS, &none, false);
    check_same("with a prefix", &got, &wanted, 0);
    ck_assert_msg(memcmp(&got, &bare, sizeof got) != 0, "a prefix changes no token: is it read?");
    zo_model_close(model);
}
END_TEST

/* Nothing of a generation stays, its keys and values have the size that is said of them, and no pass allocates besides. */
START_TEST(the_ledger_has_its_keys_and_values)
{
    const cJSON *entry = cJSON_GetArrayItem(golden, 0);
    texts prompts = texts_of(cJSON_GetObjectItem(entry, "prompts")), none = {.n = 1};
    zo_model *model = open_model(entry, 0);
    const zo_arch *a = zo_model_arch(model);
    write_on(model, &prompts, 0, PROMPTS, &none, false); /* what threads need they have then */
    zo_peak before = zo_mem_live(ZO_HOST);
    zo_mem_reset_peaks();
    write_on(model, &prompts, 0, PROMPTS, &none, false);
    zo_peak after = zo_mem_live(ZO_HOST), most = zo_mem_peak_overall(ZO_HOST);
    ck_assert_int_eq((int64_t)after.total_bytes, (int64_t)before.total_bytes);
    ck_assert_int_eq((int64_t)most.tag_bytes[ZO_TAG_KV_CACHE], (int64_t)2 * a->layers * ROOM * a->kv_heads * a->head_dim * 4);
    ck_assert_int_eq(zo_model_cache_bytes(a, ROOM), (int64_t)most.tag_bytes[ZO_TAG_KV_CACHE]);
    ck_assert_int_eq((int64_t)most.tag_bytes[ZO_TAG_ACTIVATIONS], (int64_t)before.tag_bytes[ZO_TAG_ACTIVATIONS]);
    ck_assert_int_eq((int64_t)most.tag_bytes[ZO_TAG_WORKSPACE], (int64_t)before.tag_bytes[ZO_TAG_WORKSPACE]);
    zo_model_close(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generate");
    TCase *tests = tcase_create("generate");
    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, writes_what_transformers_writes, 0, MODELS);
    tcase_add_loop_test(tests, a_prefix_is_seen_with_and_without_kept_keys, 0, MODELS);
    tcase_add_test(tests, the_ledger_has_its_keys_and_values);
    suite_add_tcase(suite, tests);
    return suite_run(suite) == 0 ? 0 : 1;
}
