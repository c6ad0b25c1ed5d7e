/* test_prefix.c: the view of prefix tuning. Every estimator goes down on it. Folders that are written are read again, bit for bit; PEFT's own folders
 * (golden/make_prefix.py) are read and written where positions are rotary; what is wrong in a folder is one sentence. Logits and gradients with a
 * prefix are tests/models/test_models.c's, what is trained and what stays is test_tune.c's, attention itself tests/backends/test_attention.c's.
 *
 * With ZO_PREFIX_OUT=FOLDER the folders for PEFT stay there, for make_prefix.py --check. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/io.h"
#include "models/files/prefix.h"
#include "models/files/safetensors.h"
#include "models/prefix.h"
#include "tests/folder.h"
#include "tests/storage_runs.h"
#include "tests/suite.h"

static zo_backend *be;
static zo_err err;
static char scratch[64];

static void open_all(void)
{
    ck_assert_msg(zo_backend_open("cpu", 2, &be, &err) == ZO_OK, "%s", err.text);
    snprintf(scratch, sizeof scratch, "/tmp/zo_prefix_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static void close_all(void)
{
    be->close(be);
    folder_remove(scratch);
}

static const char *below(const char *name)
{
    static char path[4][200];
    static int i;
    return zo_path_join(path[i = (i + 1) % 4], sizeof path[0], scratch, name);
}

/* ---- estimators --------------------------------------------------------------------------------------------------------- */

/* NaN: what is trained has none of the layers that a set of the method is of. */
static double settled(const zo_estimator *e, const char *tune, int family, double lr, int steps)
{
    setting s = {.optimizer = e->name, .family = family, .tune = tune, .lr = lr, .steps = steps};
    while (e->allows != NULL && !e->allows(s.realisation)) {
        s.realisation++;
    }
    result r = run_of(be, &s);
    if (r.status == ZO_EUNSUPPORTED && strstr(storage_err.text, "nothing that is trained here belongs to the linear layers") != NULL) {
        zo_free(r.weights);
        zo_free(r.before);
        return NAN;
    }
    ck_assert_msg(r.status == ZO_OK, "%s", storage_err.text);
    zo_free(r.weights);
    zo_free(r.before);
    return r.settled;
}

/* On a prefix alone (a causal model), and on one beside a new classification head. */
START_TEST(every_estimator_goes_down)
{
    static const int family[] = {OPT, LLAMA, BERT};
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list), ran = 0;
    for (int i = 0; i < n; i++) {
        if (list[i]->step == NULL) {
            continue;
        }
        const char *tune = _i == 1 ? "prefix tokens 4 init random" : "prefix tokens 4 init activations";
        double before = settled(list[i], tune, family[_i], 0.0, 0), after = settled(list[i], tune, family[_i], list[i]->descends_lr, STEPS);
        if (isnan(before) && isnan(after)) {
            continue;
        }
        ck_assert_msg(after < before - 1e-3, "%s: the loss goes from %.6f to %.6f", list[i]->name, before, after);
        ran++;
    }
    ck_assert_int_ge(ran, 8);
}
END_TEST

/* ---- files -------------------------------------------------------------------------------------------------------------- */

/* On failure NULL. */
static zo_model *try_stored(const char *family, bool classes, const char *tune, zo_storage storage)
{
    char folder[128];
    zo_tune view;
    zo_model *model;
    snprintf(folder, sizeof folder, "tests/golden/models/%s", family);
    ck_assert_msg(zo_tune_parse(tune, "test", &view, &err) == ZO_OK, "%s", err.text);
    zo_model_spec spec = {.folder = folder, .head = classes ? ZO_HEAD_CLASS : ZO_HEAD_SPAN, .classes = classes ? CLASSES : 0, .seed = 5, .storage = storage,
                          .tune = &view};
    return zo_model_open(&model, &spec, be, &err) == ZO_OK ? model : NULL;
}

static zo_model *try_model(const char *family, bool classes, const char *tune)
{
    return try_stored(family, classes, tune, ZO_STORAGE_F32);
}

static zo_model *model_on(const char *family, bool classes, const char *tune)
{
    zo_model *model = try_model(family, classes, tune);
    ck_assert_msg(model != NULL, "%s", err.text);
    return model;
}

static const char *from(const char *tune, const char *folder)
{
    static char text[256];
    snprintf(text, sizeof text, "%s from %s", tune, folder);
    return text;
}

/* The largest difference between what two models train; both have it. */
static double apart(zo_model *a, zo_model *b)
{
    const zo_layout *layout = zo_model_layout(a);
    double most = 0.0;
    ck_assert(layout->n == zo_model_layout(b)->n && layout->trained_size == zo_model_layout(b)->trained_size);
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * (size_t)layout->trained_size * sizeof *x), *y = x + layout->trained_size;
    zo_store_read(be, zo_model_store(a), 0, layout->trained_size, x);
    zo_store_read(be, zo_model_store(b), 0, layout->trained_size, y);
    for (int64_t i = 0; i < layout->trained_size; i++) {
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
    }
    zo_free(x);
    return most;
}

/* A prefix that has moved, and its head, are read again bit for bit, in place of what they would begin as. PEFT's files are there where they are
 * right: positions that are rotary, no window, and no head. */
START_TEST(what_is_written_is_read_again)
{
    static const char tune[] = "prefix tokens 3 init activations";
    bool classes = _i >= FAMILIES;
    const char *family = families[_i % FAMILIES], *folder = below("saved");
    zo_model *model = model_on(family, classes, tune), *fresh = model_on(family, classes, tune);
    bool peft = zo_model_arch(model)->rope && zo_model_arch(model)->window == 0 && !classes; /* PEFT has the prefix within the window */
    zo_term term = {.dir = {.kind = ZO_DIR_DENSE, .seed = 9, .step = 1}, .coef = 0.5};
    be->apply(be, zo_model_store(model), NULL, 1.0, &term, 1, NULL);
    ck_assert_double_gt(apart(model, fresh), 0.5);
    ck_assert_msg(zo_model_save(model, folder, &err) == ZO_OK, "%s", err.text);
    zo_model *again = model_on(family, classes, from(tune, folder));
    ck_assert_double_eq(apart(model, again), 0.0);
    ck_assert(zo_path_exists(below("saved/adapter_config.json")) == peft);
    ck_assert(zo_path_exists(below("saved/adapter_model.safetensors")) == peft);
    ck_assert(!zo_path_exists(below("saved/model.safetensors")));
    zo_model_close(model);
    zo_model_close(fresh);
    zo_model_close(again);
}
END_TEST

/* A folder's print tells one prefix from another, and goes on from what was printed before. */
START_TEST(folders_have_prints)
{
    uint64_t print[4] = {1, 1, 1, 2};
    zo_model *model = model_on("llama", false, "prefix tokens 3");
    ck_assert_int_eq(zo_adapter_fingerprint(below("none"), &print[0], &err), ZO_OK);
    ck_assert_uint_eq(print[0], 1);
    for (int i = 1; i < 4; i++) {
        zo_term term = {.dir = {.kind = ZO_DIR_DENSE, .seed = 9, .step = 1}, .coef = i == 2 ? 1e-3 : 0.0};
        be->apply(be, zo_model_store(model), NULL, 1.0, &term, 1, NULL);
        ck_assert_msg(zo_model_save(model, below("printed"), &err) == ZO_OK, "%s", err.text);
        ck_assert_int_eq(zo_adapter_fingerprint(below("printed"), &print[i], &err), ZO_OK);
    }
    ck_assert(print[1] != print[0] && print[2] != print[1] && print[3] != print[2]);
    uint64_t peft = 1;
    unlink(below("printed/prefix.safetensors"));
    ck_assert_int_eq(zo_adapter_fingerprint(below("printed"), &peft, &err), ZO_OK);
    ck_assert(peft != 1 && peft != print[2]);
    zo_model_close(model);
}
END_TEST

static float *tensor(const char *path, const char *name, int64_t *n)
{
    zo_map map;
    zo_tensors tensors;
    ck_assert_msg(zo_map_open(&map, path, &err) == ZO_OK && zo_tensors_parse(&tensors, map.data, map.bytes, path, &err) == ZO_OK, "%s", err.text);
    const zo_tensor *t = zo_tensors_find(&tensors, name);
    ck_assert_msg(t != NULL, "%s has no %s", path, name);
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)t->count * sizeof *x);
    zo_tensor_floats(t, 0, t->count, x);
    *n = t->count;
    zo_tensors_close(&tensors);
    zo_map_close(&map);
    return x;
}

/* The golden prefix as PEFT wrote it, whose logits are those of the golden prefix (make_prefix.py): it is that prefix, and is written as PEFT wrote
 * it. */
START_TEST(peft_folders_are_read_and_written)
{
    static const char *const rotary[] = {"llama", "llama-tied", "gpt-neox", "gptj", "phi"};
    static const char *const keys[] = {"peft_type", "task_type", "num_virtual_tokens", "num_layers", "num_attention_heads", "token_dim", "prefix_projection",
                                       "num_transformer_submodules"};
    char golden[128], peft[140];
    const char *keep = getenv("ZO_PREFIX_OUT");
    snprintf(golden, sizeof golden, "tests/golden/prefix/%s", rotary[_i]);
    snprintf(peft, sizeof peft, "%s/peft", golden);
    zo_model *own = model_on(rotary[_i], false, from("prefix tokens 3", golden)), *theirs = model_on(rotary[_i], false, from("prefix tokens 3", peft));
    ck_assert_double_gt(apart(own, theirs), 0.0); /* there and back is a rounding */
    ck_assert_double_le(apart(own, theirs), 2e-6);
    char folder[4200];
    snprintf(folder, sizeof folder, "%s/%s", keep != NULL ? keep : scratch, rotary[_i]);
    ck_assert_msg(zo_model_save(own, folder, &err) == ZO_OK, "%s", err.text);
    char path[2][4300];
    int64_t n[2];
    snprintf(path[0], sizeof path[0], "%s/adapter_model.safetensors", folder);
    snprintf(path[1], sizeof path[1], "%s/adapter_model.safetensors", peft);
    float *made = tensor(path[0], "prompt_embeddings", &n[0]), *wanted = tensor(path[1], "prompt_embeddings", &n[1]);
    ck_assert_int_eq(n[0], n[1]);
    for (int64_t i = 0; i < n[0]; i++) {
        ck_assert_double_le(fabs((double)made[i] - (double)wanted[i]), 2e-6);
    }
    cJSON *json[2];
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/adapter_config.json", i ? peft : folder);
        ck_assert_msg(zo_json_read(path[i], &json[i], &err) == ZO_OK, "%s", err.text);
    }
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const cJSON *a = cJSON_GetObjectItemCaseSensitive(json[0], keys[k]), *b = cJSON_GetObjectItemCaseSensitive(json[1], keys[k]);
        ck_assert_msg(cJSON_Compare(a, b, true), "\"%s\" differs from PEFT's", keys[k]);
    }
    cJSON_Delete(json[0]);
    cJSON_Delete(json[1]);
    zo_free(made);
    zo_free(wanted);
    zo_model_close(own);
    zo_model_close(theirs);
}
END_TEST

static void write_text(const char *path, const char *text)
{
    ck_assert_msg(zo_write_file(path, text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

#define NUMBERS "\"num_virtual_tokens\": 3, \"num_layers\": 2, \"num_attention_heads\": 2, \"token_dim\": 16"

START_TEST(what_is_wrong_is_one_sentence)
{
    static const struct { const char *family, *tune, *config, *says; } of[] = {
        {"opt", "prefix tokens 41", NULL, "a prefix of 41 tokens begins as the activations of as many, and the model (opt) has 40 positions; ask for fewer tokens, or for \"init\": \"random\""},
        {"opt", "prefix from SCRATCH/none", NULL, "SCRATCH/none has neither prefix.safetensors nor adapter_config.json; expected a folder that a run on a prefix has saved, or PEFT's"},
        {"opt", "prefix tokens 4 from tests/golden/prefix/opt", NULL,
         "tests/golden/prefix/opt/prefix.safetensors: tensor \"layer.0.attn.prefix.k\" is BF16, the first of its 2 dimensions 3; expected F32, F16 or BF16 and 4 x 32, as "
         "\"tune\" and the model have it"},
        {"llama", "prefix tokens 3 from tests/golden/prefix/opt", NULL, "tests/golden/prefix/opt/prefix.safetensors: tensor \"layer.0.attn.prefix.k\" is BF16"},
        {"llama", "prefix tokens 3 from SCRATCH/peft", "{\"peft_type\": \"LORA\"}", "SCRATCH/peft/adapter_config.json: \"peft_type\" is not \"PREFIX_TUNING\""},
        {"opt", "prefix tokens 3 from SCRATCH/peft", "{\"peft_type\": \"PREFIX_TUNING\"}",
         "SCRATCH/peft/adapter_config.json: PEFT shifts the positions of the tokens by the prefix's length, which this model (opt), whose positions are learned, cannot undo"},
        {"mistral", "prefix tokens 3 from SCRATCH/peft", "{\"peft_type\": \"PREFIX_TUNING\"}",
         "SCRATCH/peft/adapter_config.json: PEFT counts the prefix's tokens in the sliding window of this model (mistral), and here every token sees them"},
        {"llama", "prefix tokens 3 from SCRATCH/peft", "{\"peft_type\": \"PREFIX_TUNING\", \"prefix_projection\": true}",
         "SCRATCH/peft/adapter_config.json: \"prefix_projection\" is true"},
        {"llama", "prefix tokens 4 from SCRATCH/peft", "{\"peft_type\": \"PREFIX_TUNING\", " NUMBERS "}",
         "SCRATCH/peft/adapter_config.json: \"num_virtual_tokens\" is not 4, which the model or \"tokens\" asks for"},
        {"llama-tied", "prefix tokens 3 from SCRATCH/peft", "{\"peft_type\": \"PREFIX_TUNING\", " NUMBERS "}", "SCRATCH/peft/adapter_config.json: \"num_attention_heads\" is not 1"},
        {"llama", "prefix tokens 3 from SCRATCH/peft", "{\"peft_type\": \"PREFIX_TUNING\", " NUMBERS "}", "SCRATCH/peft/adapter_model.safetensors"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char tune[256] = "", says[400] = "", path[200];
        const char *texts[] = {of[i].tune, of[i].says};
        char *const to[] = {tune, says};
        for (int k = 0; k < 2; k++) { /* SCRATCH stands for the folder of this run */
            const char *at = strstr(texts[k], "SCRATCH");
            int before = at != NULL ? (int)(at - texts[k]) : (int)strlen(texts[k]);
            snprintf(to[k], k == 0 ? sizeof tune : sizeof says, "%.*s%s%s", before, texts[k], at != NULL ? scratch : "", at != NULL ? at + 7 : "");
        }
        if (of[i].config != NULL) {
            ck_assert_int_eq(zo_make_dirs(below("peft"), &err), ZO_OK);
            snprintf(path, sizeof path, "%s/peft/adapter_config.json", scratch);
            write_text(path, of[i].config);
        }
        err = (zo_err){0};
        ck_assert_msg(try_model(of[i].family, false, tune) == NULL, "%s is taken", tune);
        ck_assert_msg(strncmp(err.text, says, strlen(says)) == 0, "\"%s\" is not \"%s\"", err.text, says);
        ck_assert(strchr(err.text, '\n') == NULL);
    }
    zo_model_close(model_on("opt", false, "prefix tokens 40")); /* as many as there are positions */
    /* numbers that f16 does not have */
    zo_model *large = model_on("llama", false, "prefix tokens 3 init random");
    zo_term term = {.dir = {.kind = ZO_DIR_DENSE, .seed = 9, .step = 1}, .coef = 1e5};
    be->apply(be, zo_model_store(large), NULL, 1.0, &term, 1, NULL);
    ck_assert_msg(zo_model_save(large, below("large"), &err) == ZO_OK, "%s", err.text);
    zo_model_close(large);
    for (int peft = 0; peft < 2; peft++) {
        for (int storage = 0; storage < ZO_STORAGES; storage++) {
            large = try_stored("llama", false, from("prefix tokens 3", below("large")), (zo_storage)storage);
            ck_assert((large == NULL) == (storage == ZO_STORAGE_F16));
            zo_model_close(large);
        }
        ck_assert_msg(strstr(err.text, "large: the prefix has a value that is not finite in f16, whose largest is 65504; use \"storage\": \"bf16\" or \"f32\"") != NULL, "%s", err.text);
        unlink(below("large/prefix.safetensors")); /* PEFT's stand beside it */
    }
    /* a run that trains a head beside the prefix, and one that does not */
    zo_model *model = model_on("opt", true, "prefix tokens 3");
    ck_assert_msg(zo_model_save(model, below("head"), &err) == ZO_OK, "%s", err.text);
    ck_assert_ptr_null(try_model("opt", false, from("prefix tokens 3", below("head"))));
    ck_assert_msg(strstr(err.text, "head/prefix.safetensors has 5 tensors, and this run trains 4 parameters; expected a file written by a run that trains the same") != NULL,
                  "%s", err.text);
    ck_assert_ptr_null(try_model("opt", true, "prefix tokens 3 from tests/golden/prefix/opt"));
    ck_assert_msg(strstr(err.text, "tensor \"class.out.weight\" is missing among its 4") != NULL, "%s", err.text);
    zo_model_close(model);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("prefix");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, open_all, close_all);
    tcase_add_loop_test(t, every_estimator_goes_down, 0, 3);
    tcase_add_loop_test(t, what_is_written_is_read_again, 0, 2 * FAMILIES);
    tcase_add_test(t, folders_have_prints);
    tcase_add_loop_test(t, peft_folders_are_read_and_written, 0, 5);
    tcase_add_test(t, what_is_wrong_is_one_sentence);
    Suite *s = suite_create("prefix");
    suite_add_tcase(s, t);
    return suite_run(s) != 0;
}
