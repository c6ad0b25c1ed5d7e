/* test_samples.c: outcomes of single examples, `zo run --samples` and `zo samples`: they sum to the run's figures, a choice is the first largest of its
 * scores, and each says which row of which file it is. Calibration on prompts where the answer is known. Then SmolLM2-135M's choices by the MeZO authors'
 * protocol, zero-shot, calibrated and behind demonstrations, against transformers (tests/golden/mezo_zero_shot.py): the same but for near ties. That
 * needs $ZO_TEST_MODELS/smollm2-135m and $ZO_TEST_DATA, and says so where they are absent; a few rows of two cases, and with ZO_TEST_LONG=1 all
 * (many minutes). */
#include <cjson/cJSON.h>
#include <math.h>

#include "core/mem.h"
#include "tests/shell.h"
#include "tests/suite.h"

#define GOLDEN "tests/golden/zero_shot_more_smollm2.json.gz"
#define NEAR_TIE 2e-3 /* of the two best scores: sums of f32 products in another order */

static const char *models, *data;
static bool is_long; /* all rows of all cases; else a few of some */

/* Rows of a query as an array; the caller deletes it. */
static cJSON *query(const char *db, const char *sql)
{
    MUST("$ZO sql --db %s --json \"%s\"", db, sql);
    cJSON *rows = cJSON_Parse(said);
    ck_assert_msg(cJSON_IsArray(rows), "%s", said);
    return rows;
}

static double number_in(const cJSON *row, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(row, key);
    ck_assert_msg(cJSON_IsNumber(item), "no number %s", key);
    return item->valuedouble;
}

static int first_largest(const cJSON *scores)
{
    int best = 0, at = 0;
    double most = -INFINITY;
    for (const cJSON *s = scores->child; s != NULL; s = s->next, at++) {
        best = s->valuedouble > most ? at : best;
        most = s->valuedouble > most ? s->valuedouble : most;
    }
    return best;
}

/* ---- what samples are --------------------------------------------------------------------------------------------------------- */

static void make_data(void)
{
    ZO_CHECK(shell("mkdir -p data/superglue/COPA data/superglue/ReCoRD") == 0, "%s", said);
    put("data/superglue/COPA/val.jsonl", "{\"premise\": \"It rained.\", \"choice1\": \"We were wet.\", \"choice2\": \"We were dry.\", \"question\": \"effect\", \"label\": 0}\n"
        "{\"premise\": \"It fell.\", \"choice1\": \"He slept.\", \"choice2\": \"It broke.\", \"question\": \"cause\", \"label\": 1}\n"
        "{\"premise\": \"I ran.\", \"choice1\": \"I was late.\", \"choice2\": \"I sat.\", \"question\": \"cause\", \"label\": 0}\n");
    put("data/superglue/ReCoRD/val.jsonl", "{\"passage\": \"Ann met Bob.\", \"query\": \"@placeholder ran.\", \"entities\": [\"Ann\", \"Bob\"], \"answers\": [\"Bob\"]}\n"
        "{\"passage\": \"Ann met Bob and Cy.\", \"query\": \"So @placeholder sat.\", \"entities\": [\"Ann\", \"Bob\", \"Cy\"], \"answers\": [\"Bob\", \"Cy\"]}\n");
    put("data/more.tsv", "t\ty\na\t0\n");
    put("data/own.tsv", "t\ty\nthe film was\t0\nThe Film\t1\nnot it\t1\n");
    put("own.json", "{\"name\": \"own\", \"texts\": [\"t\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"more.tsv\", \"validation\": \"own.tsv\"}], "
        "\"causal_prompt\": {\"own\": true, \"template\": \"It was \", \"content_free\": \" It was \", \"options\": [\"so very good\", \"bad\"]}}");
    put("other.json", "{\"name\": \"other\", \"texts\": [\"t\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"more.tsv\", \"validation\": \"own.tsv\"}], "
        "\"causal_prompt\": {\"own\": true, \"template\": \"{0}. It was \", \"content_free\": \"It was \", \"options\": [\"so very good\", \"bad\"]}}");
}

#define CAUSAL "\"model\": \"shape:llama-tiny\", \"init\": \"random\", \"form\": \"prompt\", \"context\": 64, \"train\": 0, \"dev\": 0, \"test\": \"all\", \"split\": \"first\", " \
               "\"batch\": 2, \"threads\": 1, "

START_TEST(samples_sum_to_the_run)
{
    static const char *const config[] = {
        "{" CAUSAL "\"task\": \"copa\", \"optimizer\": \"zero-shot\"}", "{" CAUSAL "\"task\": \"record\", \"optimizer\": \"zero-shot\"}",
        "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"form\": \"prompt\", \"context\": 48, \"batch\": 8, \"train\": 16, "
        "\"dev\": 9, \"test\": 11, \"steps\": 2, \"eval_every\": 1, \"threads\": 1, \"optimizer\": \"mezo\"}",
        "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-entailment\", \"form\": \"head\", \"context\": 48, \"batch\": 8, \"train\": 16, "
        "\"dev\": 9, \"test\": 11, \"steps\": 1, \"threads\": 1, \"optimizer\": \"mezo\"}"};
    static const char *const origin[] = {"superglue/COPA/val.jsonl#%d", "superglue/ReCoRD/val.jsonl#%d", "synth-sentiment#", "synth-entailment#"};
    put("c.json", config[_i]);
    MUST("rm -f s.db && $ZO run c.json --db s.db --data data --samples");
    cJSON *looks = query("s.db", "SELECT step, split, examples, accuracy, loss FROM evaluations WHERE run = 1");
    ck_assert_int_ge(cJSON_GetArraySize(looks), 1);
    for (const cJSON *look = looks->child; look != NULL; look = look->next) {
        char sql[300], from[100];
        const char *split = cJSON_GetObjectItem(look, "split")->valuestring;
        snprintf(sql, sizeof sql, "SELECT row, label, choice, correct, loss, scores, source, text FROM samples WHERE run = 1 AND step = %g AND split = '%s' ORDER BY row",
                 number_in(look, "step"), split);
        cJSON *rows = query("s.db", sql);
        double right = 0, loss = 0;
        int n = 0;
        for (const cJSON *row = rows->child; row != NULL; row = row->next, n++) {
            cJSON *scores = cJSON_Parse(cJSON_GetObjectItem(row, "scores")->valuestring);
            int label = (int)number_in(row, "label"), choice = (int)number_in(row, "choice");
            double sum = 0, score = cJSON_GetArrayItem(scores, label)->valuedouble;
            ck_assert_int_eq(first_largest(scores), choice);
            ck_assert_int_eq((int)number_in(row, "row"), n);
            ck_assert(_i == 1 || (number_in(row, "correct") != 0) == (label == choice));
            ck_assert(_i != 1 || n == 0 || (number_in(row, "correct") != 0) == (choice > 0)); /* two of the second row's are right */
            ck_assert_double_eq_tol(number_in(row, "loss"), -score, 1e-6); /* of words and classes, and of the right option alone */
            for (const cJSON *s = scores->child; s != NULL; s = s->next) {
                sum += exp(s->valuedouble);
            }
            ck_assert(_i < 2 || fabs(sum - 1) < 1e-6);
            snprintf(from, sizeof from, origin[_i], n + 1);
            ASSERT_HAS(cJSON_GetObjectItem(row, "source")->valuestring, from);
            ck_assert(cJSON_GetObjectItem(row, "text")->valuestring[0] != '\0');
            right += number_in(row, "correct");
            loss += number_in(row, "loss");
            cJSON_Delete(scores);
        }
        ck_assert_int_eq(n, (int)number_in(look, "examples"));
        ck_assert_double_eq_tol(right / n, number_in(look, "accuracy"), 1e-12);
        ck_assert_double_eq_tol(loss / n, number_in(look, "loss"), 1e-6);
        cJSON_Delete(rows);
    }
    cJSON_Delete(looks);
    MUST("$ZO samples 1 --db s.db --rows test --json");
    cJSON *printed = cJSON_Parse(said);
    cJSON *all = query("s.db", "SELECT 1 FROM samples JOIN tries USING (run) WHERE split = 'test' AND step = best_step");
    ck_assert_int_eq(cJSON_GetArraySize(printed), cJSON_GetArraySize(all));
    cJSON_Delete(printed);
    cJSON_Delete(all);
    MUST("$ZO samples 1 --db s.db --wrong --json");
    printed = cJSON_Parse(said);
    for (const cJSON *row = printed->child; row != NULL; row = row->next) {
        ck_assert(number_in(row, "correct") == 0);
    }
    cJSON_Delete(printed);
}
END_TEST

/* The evaluation itself is the same, bit for bit, whether or not samples are kept. */
START_TEST(samples_change_nothing)
{
    put("c.json", "{" CAUSAL "\"task\": \"record\", \"optimizer\": \"zero-shot\"}");
    MUST("rm -f a.db b.db && $ZO run c.json --db a.db --data data && $ZO run c.json --db b.db --data data --samples");
    static const char columns[] = "SELECT examples, accuracy, exact_match, token_f1, loss, hex(correct) AS bits FROM evaluations";
    cJSON *a = query("a.db", columns), *b = query("b.db", columns);
    ck_assert(cJSON_Compare(a, b, true));
    cJSON_Delete(a);
    cJSON_Delete(b);
    ck_assert_int_eq(shell("$ZO samples 1 --db a.db"), 2);
    ASSERT_HAS(said, "run 1 kept no samples; `zo run` with its config, --redo and --samples keeps them");
    ck_assert_int_eq(shell("$ZO samples 1 --db b.db --step 5"), 2);
    ASSERT_HAS(said, "kept no samples of that evaluation");
    ck_assert_int_eq(shell("$ZO samples 9 --db b.db"), 2);
    ck_assert_int_eq(shell("$ZO samples 1 --db b.db --rows train"), 2);
    ASSERT_HAS(said, "expected dev or test");
    ck_assert_int_eq(shell("$ZO samples 1 --db b.db --step x1"), 2);
    ASSERT_HAS(said, "a number from 0 on");
    MUST("$ZO run c.json --db a.db --data data --samples");
    ASSERT_HAS(said, "1 cells were done without --samples");
    MUST("$ZO run c.json --db b.db --data data --samples");
    ck_assert(strstr(said, "without --samples") == NULL);
}
END_TEST

/* ---- calibration -------------------------------------------------------------------------------------------------------------- */

/* A prompt that is the one without content leaves nothing. A prompt with a text leaves the difference of two runs' sums. */
START_TEST(calibration_is_a_difference)
{
    put("c.json", "{" CAUSAL "\"task\": [\"./own.json\", \"./other.json\"], \"calibration\": [\"none\", \"sfc\"], \"optimizer\": \"zero-shot\"}");
    MUST("rm -f s.db && $ZO run c.json --db s.db --data data --samples");
    cJSON *rows = query("s.db", "SELECT r.task, json_extract(r.config, '$.calibration') AS c, s.row, s.scores, s.choice FROM samples s JOIN runs r USING (run) "
                        "ORDER BY r.task, c, s.row");
    ck_assert_int_eq(cJSON_GetArraySize(rows), 12); /* other: none, sfc; own: none, sfc */
    double score[4][3][2];
    for (int i = 0; i < 12; i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i);
        cJSON *list = cJSON_Parse(cJSON_GetObjectItem(row, "scores")->valuestring);
        for (int o = 0; o < 2; o++) {
            score[i / 3][i % 3][o] = cJSON_GetArrayItem(list, o)->valuedouble;
        }
        cJSON_Delete(list);
    }
    cJSON_Delete(rows);
    MUST("$ZO show ./own.json shape:llama-tiny --form prompt --data data --json --split first --rows dev --n 1 --context 64");
    double tokens[2]; /* of each option, from the program's own account */
    cJSON *account = cJSON_Parse(said);
    const cJSON *options = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(account, "examples"), 0), "options");
    ck_assert_msg(cJSON_GetArraySize(options) == 2, "%s", said);
    for (int o = 0; o < 2; o++) {
        tokens[o] = cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetArrayItem(options, o), "scored"));
        ck_assert(tokens[o] > 0);
    }
    cJSON_Delete(account);
    for (int i = 0; i < 3; i++) {
        for (int o = 0; o < 2; o++) {
            ck_assert_double_eq(score[3][i][o], 0); /* own, sfc */
            ck_assert_double_eq_tol(score[1][i][o], tokens[o] * (score[0][i][o] - score[2][i][o]), 1e-4);
        }
    }
}
END_TEST

START_TEST(settings_are_checked)
{
    put("c.json", "{" CAUSAL "\"task\": \"copa\", \"calibration\": \"sfc\", \"steps\": 1, \"optimizer\": \"mezo\"}");
    ck_assert_int_eq(shell("$ZO run c.json --db x.db --data data"), 2);
    ASSERT_HAS(said, "mezo trains, and \"calibration\" is for a model as it is");
    put("c.json", "{" CAUSAL "\"task\": \"copa\", \"calibration\": \"icl_sfc\", \"optimizer\": \"zero-shot\"}");
    ck_assert_int_eq(shell("$ZO run c.json --db x.db --data data"), 2);
    ASSERT_HAS(said, "\"icl_sfc\" keeps demonstrations, and \"demonstrations\" is 0");
    put("c.json", "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"form\": \"prompt\", \"context\": 48, \"calibration\": \"sfc\", "
        "\"optimizer\": \"zero-shot\"}");
    ck_assert_int_ne(shell("$ZO run c.json --db x.db"), 0);
    ASSERT_HAS(said, "\"calibration\" is of options that causal models rank");
}
END_TEST

/* ---- the authors' protocol -------------------------------------------------------------------------------------------------------- */

static const struct { const char *name, *task, *more; bool quick; } cases[] = {
    {"copa~sfc", "copa", "\"calibration\": \"sfc\"", true},
    {"cb~sfc", "cb", "\"calibration\": \"sfc\"", true},
    {"sst2:200~sfc", "sst2", "\"test\": 200, \"calibration\": \"sfc\"", false},
    {"cb+4", "cb", "\"demonstrations\": 4, \"demonstration_sets\": \"one\"", false},
    {"cb+4~icl_sfc", "cb", "\"demonstrations\": 4, \"demonstration_sets\": \"one\", \"calibration\": \"icl_sfc\"", false},
    {"rte:40+4", "rte", "\"test\": 40, \"demonstrations\": 4, \"demonstration_sets\": \"one\"", false},
    {"wsc", "wsc", "\"test\": \"all\"", false},
    {"boolq:40", "boolq", "\"test\": 40", false},
    {"multirc:40", "multirc", "\"test\": 40", false},
    {"record", "record", "\"dev\": \"all\", \"split\": \"drawn\"", false},
    {"record~sfc", "record", "\"dev\": \"all\", \"split\": \"drawn\", \"calibration\": \"sfc\"", false},
};

/* The golden file's number of a row of samples. FewGLUE's training rows stand before the others. */
static int golden_row(const cJSON *row)
{
    const char *source = cJSON_GetObjectItem(row, "source")->valuestring;
    return atoi(strchr(source, '#') + 1) - 1 + (strstr(source, "fewglue/ReCoRD/dev32") != NULL ? 32 : 0);
}

START_TEST(chooses_as_the_protocol)
{
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(zo_read_file(GOLDEN, 1 << 24, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    cJSON *whole = cJSON_Parse(text);
    zo_free(text);
    const cJSON *golden = cJSON_GetObjectItem(cJSON_GetObjectItem(whole, "tasks"), cases[_i].name);
    ck_assert_ptr_nonnull(golden);
    char config[1000];
    snprintf(config, sizeof config, "{\"model\": \"%.500s/smollm2-135m\", \"task\": \"%s\", \"form\": \"prompt\", \"context\": 2048, \"train\": 0, \"batch\": 8, "
             "\"optimizer\": \"zero-shot\", %s%s%s}", models, cases[_i].task, strstr(cases[_i].more, "split") == NULL ? "\"split\": \"first\", \"dev\": 0, " : "",
             !is_long ? "\"test\": 16, " : strstr(cases[_i].more, "\"test\"") == NULL ? "\"test\": \"all\", " : "", cases[_i].more);
    put("c.json", config);
    MUST("rm -f s.db && $ZO run c.json --db s.db --data %s --samples", data);
    cJSON *rows = query("s.db", "SELECT choice, correct, scores, source FROM samples");
    int n = 0, right = 0, golden_right = 0, other = 0;
    double worst = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next, n++) {
        int at = golden_row(row), choice = (int)number_in(row, "choice"), wanted = cJSON_GetArrayItem(cJSON_GetObjectItem(golden, "choices"), at)->valueint;
        const cJSON *theirs = cJSON_GetArrayItem(cJSON_GetObjectItem(golden, "scores"), at), *label = cJSON_GetArrayItem(cJSON_GetObjectItem(golden, "labels"), at);
        cJSON *ours = cJSON_Parse(cJSON_GetObjectItem(row, "scores")->valuestring);
        ck_assert_int_eq(cJSON_GetArraySize(ours), cJSON_GetArraySize(theirs));
        for (int o = 0; o < cJSON_GetArraySize(ours); o++) {
            worst = fmax(worst, fabs(cJSON_GetArrayItem(ours, o)->valuedouble - cJSON_GetArrayItem(theirs, o)->valuedouble));
        }
        bool is_right = cJSON_IsNumber(label) && label->valueint == wanted;
        for (const cJSON *l = cJSON_IsArray(label) ? label->child : NULL; l != NULL; l = l->next) {
            is_right = is_right || l->valueint == wanted;
        }
        double margin = cJSON_GetArrayItem(theirs, wanted)->valuedouble - cJSON_GetArrayItem(theirs, choice)->valuedouble;
        ck_assert_msg(margin < NEAR_TIE, "%s: row %d: option %d, the protocol takes %d by %g", cases[_i].name, at, choice, wanted, margin);
        right += (int)number_in(row, "correct");
        golden_right += is_right;
        other += choice != wanted;
        cJSON_Delete(ours);
    }
    printf("measured: SmolLM2-135M on %s: %d of %d right, the protocol's %d; %d other choices; scores differ by at most %.1e\n", cases[_i].name, right, n,
           golden_right, other, worst);
    ck_assert_int_eq(n, is_long ? cJSON_GetArraySize(cJSON_GetObjectItem(golden, "labels")) : 16);
    ck_assert_int_le(abs(right - golden_right), 1);
    ck_assert_double_le(worst, NEAR_TIE);
    cJSON_Delete(rows);
    cJSON_Delete(whole);
}
END_TEST

int main(void)
{
    static char found[2][3000];
    char path[4096];
    is_long = getenv("ZO_TEST_LONG") != NULL;
    models = getenv("ZO_TEST_MODELS") != NULL ? getenv("ZO_TEST_MODELS") : "../shared/models";
    data = getenv("ZO_TEST_DATA") != NULL ? getenv("ZO_TEST_DATA") : "../shared/data";
    zo_path_join(path, sizeof path, models, "smollm2-135m/model.safetensors");
    bool real = zo_path_exists(path) && zo_path_is_dir(data) && realpath(models, found[0]) != NULL && realpath(data, found[1]) != NULL;
    if (!shell_open("test_samples")) {
        return 1;
    }
    Suite *suite = suite_create("samples");
    TCase *t = tcase_create("samples");
    tcase_set_timeout(t, 3600);
    make_data();
    tcase_add_loop_test(t, samples_sum_to_the_run, 0, 4);
    tcase_add_test(t, samples_change_nothing);
    tcase_add_test(t, calibration_is_a_difference);
    tcase_add_test(t, settings_are_checked);
    int n = 0;
    while (real && n < (int)(sizeof cases / sizeof *cases) && (cases[n].quick || is_long)) {
        n++;
    }
    if (real) {
        models = found[0];
        data = found[1];
        tcase_add_loop_test(t, chooses_as_the_protocol, 0, n);
    } else {
        printf("skipped: the authors' protocol, since %s or the data is not there\n", path);
    }
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(folder);
    return failed != 0;
}
