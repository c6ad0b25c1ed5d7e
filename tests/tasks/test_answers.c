/* test_answers.c: answers in words against the right ones (SQuAD's comparison, by hand), and ReCoRD: what its rows become, how they are scored,
 * which of them are refused. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "tasks/answers.h"
#include "tasks/task.h"
#include "tests/folder.h"
#include "tests/fuzz.h"
#include "tests/suite.h"

static char folder[64];
static zo_tokenizer *bytes;

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

static void put(const char *name, const char *text)
{
    char path[512], parent[512];
    zo_err err = {0};
    zo_path_join(path, sizeof path, folder, name);
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    ck_assert_msg(zo_make_dirs(parent, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_write_file(path, text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

static void forget(const char *name)
{
    char path[512];
    unlink(zo_path_join(path, sizeof path, folder, name));
}

/* ---- answers ---------------------------------------------------------------------------------------------------------------- */

START_TEST(answers_are_compared_as_squads)
{
    static const struct { const char *text, *normal; } of[] = {
        {"The  Eiffel-Tower!", "eiffeltower"}, {"a cat and an ox", "cat and ox"}, {"", ""}, {"The", ""}, {"another", "another"},
        {"\xC3\x89t\xC3\xA9\xC2\xA0 the\xE2\x80\x93sea", "\xC3\xA9t\xC3\xA9 \xE2\x80\x93sea"}, /* a dash that is not ASCII parts words and stays */
        {"U.S. (the)", "us"}, {"the_end", "theend"}, {"\xC3\xA0 a\xCC\x81", "\xC3\xA0 \xCC\x81"}, /* an accent alone is no letter to \\w */
        {"a1 1a", "a1 1a"}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char *normal = zo_answer_normal(of[k].text);
        ck_assert_str_eq(normal, of[k].normal);
        zo_free(normal);
    }
}
END_TEST

START_TEST(credit_by_hand)
{
    static const struct { const char *answer, *gold[3]; bool exact; int shared, words; } of[] = {
        {"the Blue house", {"blue house"}, true, 2, 4},
        {"blue blue house", {"blue house house"}, false, 2, 6}, /* a word counts as often as both have it */
        {"New York", {"York", "New York City", "new york."}, true, 2, 4},
        {"New York", {"York", "New York City"}, false, 2, 5}, /* 4/5 is more than 2/3 */
        {"x", {"y"}, false, 0, 0},
        {"the", {"a"}, true, 0, 0}, /* the same nothing, which shares no word */
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        int n = 0;
        while (n < 3 && of[k].gold[n]) {
            n++;
        }
        zo_credit c = zo_answer_credit(of[k].answer, of[k].gold, n);
        ck_assert_msg(c.exact == of[k].exact && c.shared == of[k].shared, "%s: %d, %d of %d", of[k].answer, c.exact, c.shared, c.words);
        ck_assert_double_eq_tol(zo_credit_f1(&c), of[k].shared ? 2.0 * of[k].shared / of[k].words : 0, 1e-15);
    }
}
END_TEST

START_TEST(any_bytes_are_compared)
{
    uint64_t state = 11;
    for (int trial = 0; trial < 3000; trial++) {
        char text[40];
        int n = (int)(fuzz_next(&state) % 39);
        for (int k = 0; k < n; k++) {
            text[k] = (char)(1 + fuzz_next(&state) % 255);
        }
        text[n] = '\0';
        for (int k = 0; k < n; k++) { /* of texts that are UTF-8, as all rows' are */
            text[k] = (unsigned char)text[k] >= 0x80 && trial % 2 ? 'a' : (unsigned char)text[k] >= 0x80 ? '\t' : text[k];
        }
        const char *gold[] = {text};
        zo_credit c = zo_answer_credit(text, gold, 1);
        ck_assert(c.exact && 2 * c.shared == c.words - (c.shared == 0 ? c.words : 0));
        char *once = zo_answer_normal(text), *twice = zo_answer_normal(once);
        ck_assert_uint_ge(strlen(once), strlen(twice)); /* "tha.e" and its like: punctuation that goes may leave an article */
        zo_free(once);
        zo_free(twice);
    }
}
END_TEST

/* ---- ReCoRD ------------------------------------------------------------------------------------------------------------------ */

/* "Ann met Ann and Bob.\n@highlight\nZoé left", whose characters 0-2, 8-10, 16-18 and 32-34 are entities. */
#define PASSAGE "\"Ann met Ann and Bob.\\n@highlight\\nZo\\u00e9 left\""
#define NESTED(answers)                                                                                                                          \
    "{\"idx\": 0, \"passage\": {\"text\": " PASSAGE ", \"entities\": [{\"start\": 32, \"end\": 34}, {\"start\": 0, \"end\": 2}, {\"start\": 16, "  \
    "\"end\": 18}, {\"start\": 8, \"end\": 10}]}, \"qas\": [{\"query\": \"@placeholder saw @placeholder.\", \"answers\": [" answers "]}]}\n"
#define FLAT(entities, answers)                                                                                                                    \
    "{\"passage\": " PASSAGE ", \"query\": \"@placeholder saw @placeholder.\", \"entities\": " entities ", \"answers\": " answers ", \"idx\": {\"query\": 1}}\n"

static zo_status open_record(zo_dataset **d, int64_t train, zo_err *err)
{
    zo_dataset_spec s = {.task = "record", .form = ZO_FORM_PROMPT, .data_dir = folder, .tokenizer = bytes, .causal = true, .context = 512,
                         .scheme = ZO_SPLIT_FIRST, .count = {train, 0, -1}};
    return zo_dataset_open(d, &s, err);
}

static zo_dataset *open_or_die(int64_t train)
{
    zo_dataset *d;
    zo_err err = {0};
    ck_assert_msg(open_record(&d, train, &err) == ZO_OK, "%s", err.text);
    return d;
}

/* The tokens of an option: prompt, "|", what is scored. é is two bytes that no token has, so names here are ASCII where text is compared. */
static const char *option_text(const zo_batch *b, int32_t o)
{
    static char out[2000];
    int32_t token[1000], n = 0, from = b->option_start[o], to = b->option_start[o + 1], last = b->row[b->at[to - 1]], seq = 0;
    while (b->start[seq + 1] <= last) {
        seq++;
    }
    for (int32_t t = b->parent[seq] >= 0 ? b->start[b->parent[seq]] : 0; b->parent[seq] >= 0 && t < b->start[b->parent[seq] + 1]; t++) {
        token[n++] = b->id[t];
    }
    for (int32_t t = b->start[seq]; t <= last; t++) {
        token[n++] = b->id[t];
    }
    token[n++] = b->target[to - 1];
    char *at = out;
    for (int32_t t = 0; t < n; t++) {
        at += sprintf(at, "%s%c", t == n - (to - from) ? "|" : "", token[t] == 1 ? ' ' : token[t] == 2 ? '\n' : (char)(token[t] - 3 + '!'));
    }
    return out;
}

START_TEST(record_rows)
{
    static const struct { const char *file, *text; } of[] = {
        {"superglue/ReCoRD/val.jsonl", NESTED("{\"start\": 16, \"end\": 18, \"text\": \"Bob\"}, {\"text\": \"Bob\"}")},
        {"record/validation.jsonl", FLAT("[\"Zo\\u00e9\", \"Bob\", \"Ann\", \"Ann\"]", "[\"Bob\"]")},
        {"superglue/ReCoRD/val.jsonl", FLAT("[\"Ann\", \"Bob\", \"Zo\\u00e9\"]", "[\"Bob\"]")}, /* flat rows where the nested ones are usual */
        {"fewglue/ReCoRD/dev32.jsonl", NESTED("{\"text\": \"Bob\"}")}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        put(of[k].file, of[k].text);
        zo_dataset *d = open_or_die(0);
        ck_assert_int_eq(zo_dataset_head(d), ZO_HEAD_SPAN);
        ck_assert_int_eq(zo_dataset_classes(d), 0);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 1);
        ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, 0), 1);
        int32_t index = 0;
        zo_batch *b = zo_dataset_batch(d, ZO_TEST, &index, 1);
        ck_assert_int_eq(b->options, 3);
        ck_assert_int_eq(b->paper_sequences, 3);
        zo_batch_free(b);
        ck_assert((strstr(zo_dataset_note(d), "FewGLUE") != NULL) == (k == 3));
        zo_dataset_close(d);
        forget(of[k].file);
    }
    put("superglue/ReCoRD/val.jsonl", "{\"passage\": \"It fell.\\n@highlight\\nIt broke\\n@highlight\\nAll saw\", \"query\": \"@placeholder saw @placeholder \", "
        "\"entities\": [\"It\", \"An\"], \"answers\": [\"It\"]}\n");
    put("superglue/ReCoRD/train.jsonl", "{\"passage\": \"It fell.\", \"query\": \"The @placeholder\", \"entities\": [\"egg\", \"Egg\", \"dog\"], \"answers\": [\"egg\", \"dog\"]}\n");
    zo_dataset *d = open_or_die(-1);
    int32_t index = 0;
    zo_batch *b = zo_dataset_batch(d, ZO_TEST, &index, 1);
    ck_assert_int_eq(b->label[0], 1);
    ck_assert_str_eq(option_text(b, 0), "It fell.\n- It broke\n- All saw\n-| An saw An");
    ck_assert_str_eq(option_text(b, 1), "It fell.\n- It broke\n- All saw\n-| It saw It");
    zo_batch_free(b);
    b = zo_dataset_batch(d, ZO_TRAIN, &index, 1); /* the first right one alone: Egg, dog, egg */
    ck_assert_int_eq(b->options, 1);
    ck_assert_int_eq(b->label[0], 0);
    ck_assert_str_eq(option_text(b, 0), "It fell.\n-| The dog");
    zo_batch_free(b);
    zo_dataset_close(d);
}
END_TEST

/* Two rows: entities Egg, dog, egg of which dog and egg are right; and An apple pie, Apples, The Apple of which An apple pie is. */
START_TEST(record_is_scored_by_its_answers)
{
    put("superglue/ReCoRD/val.jsonl", FLAT("[\"egg\", \"Egg\", \"dog\"]", "[\"egg\", \"dog\"]") FLAT("[\"An apple pie\", \"Apples\", \"The Apple\"]", "[\"An apple pie\"]"));
    static const struct { int32_t choice[2]; double accuracy, exact, f1; } of[] = {
        {{0, 2}, 0, 0.5, (1 + 2.0 / 3) / 2}, /* "Egg" is none of the right ones, and is the same answer; apple of apple pie */
        {{1, 0}, 1, 1, 1},
        {{2, 1}, 0.5, 0.5, 0.5}};
    zo_dataset *d = open_or_die(0);
    double m[ZO_METRICS];
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_dataset_metrics(d, ZO_TEST, of[k].choice, NULL, m);
        ck_assert_double_eq_tol(m[ZO_ACCURACY], of[k].accuracy, 1e-15);
        ck_assert_double_eq_tol(m[ZO_EXACT_MATCH], of[k].exact, 1e-15);
        ck_assert_double_eq_tol(m[ZO_TOKEN_F1], of[k].f1, 1e-15);
        ck_assert(isnan(m[ZO_F1]) && isnan(m[ZO_MACRO_F1]) && isnan(m[ZO_MATTHEWS]) && isnan(m[ZO_PEARSON]));
        ck_assert_int_eq(zo_dataset_right(d, ZO_TEST, 0, of[k].choice[0]) + zo_dataset_right(d, ZO_TEST, 1, of[k].choice[1]), (int)(2 * of[k].accuracy));
    }
    zo_dataset_chance(d, ZO_TEST, m);
    ck_assert_double_eq_tol(m[ZO_ACCURACY], (2.0 / 3 + 1.0 / 3) / 2, 1e-15);
    ck_assert_double_eq_tol(m[ZO_EXACT_MATCH], (1 + 1.0 / 3) / 2, 1e-15);
    ck_assert_double_eq_tol(m[ZO_TOKEN_F1], (1 + (1 + 0 + 2.0 / 3) / 3) / 2, 1e-15);
    zo_err err = {0};
    zo_dataset_put_away(d, ZO_TEST, &err); /* and the same after it was away */
    zo_dataset_fetch(d, ZO_TEST);
    zo_dataset_metrics(d, ZO_TEST, of[0].choice, NULL, m);
    ck_assert_double_eq_tol(m[ZO_TOKEN_F1], of[0].f1, 1e-15);
    zo_dataset_close(d);
}
END_TEST

START_TEST(record_rows_are_checked)
{
    static const struct { const char *row, *says; } of[] = {
        {FLAT("[\"a\"]", "[\"b\"]"), "the answer \"b\" is none of the row's candidates"},
        {FLAT("[]", "[\"b\"]"), "no list \"passage.entities\" here, or an empty one"},
        {FLAT("[\"a\"]", "[]"), "no list \"answers\" here, or an empty one"},
        {FLAT("\"a\"", "[\"a\"]"), "no list \"passage.entities\""},
        {FLAT("[\"a\", 3]", "[\"a\"]"), "\"passage.entities\" holds a number where a text"},
        {FLAT("[\"a\", \" \"]", "[\"a\"]"), "the text \"passage.entities\" is empty"},
        {FLAT("[{\"start\": 0, \"end\": 200}]", "[\"a\"]"), "the span 0 to 200, which is not in the text"},
        {FLAT("[{\"start\": -1, \"end\": 2}]", "[\"a\"]"), "the span -1 to 2"},
        {FLAT("[{\"start\": 2, \"end\": 1}]", "[\"a\"]"), "the span 2 to 1"},
        {FLAT("[{\"start\": 0.5, \"end\": 1}]", "[\"a\"]"), "the span 0.5 to 1"},
        {FLAT("[{\"start\": 0}]", "[\"a\"]"), "holds an object where a text"},
        {"{\"passage\": \"p\", \"query\": \"who\", \"entities\": [\"a\"], \"answers\": [\"a\"]}\n", "the query has no @placeholder"},
        {"{\"passage\": \"p\", \"entities\": [\"a\"], \"answers\": [\"a\"]}\n", "no text \"query\" here"},
        {"{\"passage\": {\"text\": \"p\"}, \"qas\": 3}\n", "no list \"qas\" here"},
    };
    put("superglue/ReCoRD/val.jsonl", FLAT("[\"a\"]", "[\"a\"]"));
    zo_dataset_close(open_or_die(0)); /* the tokenizer keeps what it has seen */
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_dataset *d;
        zo_err err = {0};
        uint64_t before = zo_mem_live(ZO_HOST).total_bytes;
        put("superglue/ReCoRD/val.jsonl", of[k].row);
        ck_assert_msg(open_record(&d, 0, &err) == ZO_EINPUT, "%s", of[k].row);
        ASSERT_HAS(err.text, "val.jsonl:1");
        ASSERT_HAS(err.text, of[k].says);
        ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, before);
    }
    char many[4096], *at = many;
    at += sprintf(at, "{\"passage\": \"p\", \"query\": \"@placeholder\", \"answers\": [\"c1\"], \"entities\": [\"c0\"");
    for (int k = 1; k < 129; k++) {
        at += sprintf(at, ", \"c%d\"", k);
    }
    sprintf(at, "]}\n");
    put("superglue/ReCoRD/val.jsonl", many);
    zo_dataset *d;
    zo_err err = {0};
    ck_assert_int_eq(open_record(&d, 0, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "has 129 different texts, and at most 128 are ranked");
}
END_TEST

START_TEST(metrics_fit_tasks)
{
    zo_task_info record, sst2;
    ck_assert(zo_task_info_of("record", &record, NULL) == ZO_OK && zo_task_info_of("sst2", &sst2, NULL) == ZO_OK);
    ck_assert(zo_metric_fault(ZO_TOKEN_F1, &record) == NULL && zo_metric_fault(ZO_ACCURACY, &record) == NULL && zo_metric_fault(ZO_ACCURACY, &sst2) == NULL);
    ck_assert(zo_metric_fault(ZO_MACRO_F1, &sst2) == NULL && zo_metric_fault(ZO_MACRO_F1, &record) != NULL && zo_metric_fault(ZO_EXACT_MATCH, &sst2) != NULL);
    ck_assert(zo_metric_fault(ZO_PEARSON, &record) != NULL && zo_metric_fault(ZO_SPEARMAN, &sst2) != NULL);
}
END_TEST

/* ---- scores ------------------------------------------------------------------------------------------------------------------- */

/* Pearson's r and Spearman's of these by hand: x 1 2 3 4 5 with y 2 1 4 3 5: sums of products 8 of 10; y has ranks 2 1 4 3 5 too. With a tie: 1 2 2 4 has
 * ranks 1 2.5 2.5 4, whose squares about 2.5 sum to 4.5; with 10 20 30 40 (5) the products sum to 4.5. */
START_TEST(correlations_by_hand)
{
    const double x[] = {1, 2, 3, 4, 5}, y[] = {2, 1, 4, 3, 5}, tied[] = {1, 2, 2, 4}, even[] = {10, 20, 30, 40}, same[] = {0.1, 0.1, 0.1, 0.1};
    double cube[5], down[5];
    for (int i = 0; i < 5; i++) {
        cube[i] = x[i] * x[i] * x[i];
        down[i] = -cube[i];
    }
    ck_assert_double_eq_tol(zo_pearson(x, y, 5), 0.8, 1e-15);
    ck_assert_double_eq_tol(zo_spearman(x, y, 5), 0.8, 1e-15);
    ck_assert_double_eq_tol(zo_spearman(tied, even, 4), 4.5 / sqrt(4.5 * 5), 1e-15);
    ck_assert_double_eq_tol(zo_spearman(x, cube, 5), 1, 1e-15);
    ck_assert_double_eq_tol(zo_spearman(x, down, 5), -1, 1e-15);
    ck_assert_double_eq_tol(zo_pearson(x, cube, 5), 304.0 / sqrt(10.0 * 10390), 1e-12); /* of x - 3 with 1 8 27 64 125, whose squares about 45 sum to 10390 */
    ck_assert(isnan(zo_pearson(same, even, 4)) && isnan(zo_spearman(even, same, 4)) && isnan(zo_pearson(x, y, 1)) && isnan(zo_pearson(x, y, 0)));
    const double none[] = {1, NAN, 3, 4, 5};
    ck_assert(isnan(zo_pearson(none, y, 5)) && isnan(zo_spearman(none, y, 5)));
}
END_TEST

#define SCORES "{\"name\": \"s\", \"texts\": [\"a\"], \"label\": \"y\", \"files\": [{\"validation\": \"s.tsv\"}], "
#define MASK "\"mask_prompt\": {\"template\": \"*cls**sent_0**mask*.*sep+*\", \"words\": [\"terrible\", \"great\"]}"

static zo_status open_scores(zo_dataset **d, const char *description, const char *rows, zo_err *err)
{
    char path[512], language[128];
    put("s.json", description);
    put("s.tsv", rows);
    snprintf(language, sizeof language, "%s/language", folder);
    zo_tokenizer *words;
    ck_assert(zo_synth_write_tokenizer(language, err) == ZO_OK && zo_tokenizer_open(&words, language, err) == ZO_OK);
    zo_dataset_spec s = {.task = zo_path_join(path, sizeof path, folder, "s.json"), .form = ZO_FORM_PROMPT, .data_dir = folder, .tokenizer = words, .context = 64,
                         .scheme = ZO_SPLIT_FIRST, .count = {0, 0, -1}};
    zo_status status = zo_dataset_open(d, &s, err);
    zo_tokenizer_close(words);
    return status;
}

START_TEST(scores_of_rows)
{
    zo_dataset *d;
    zo_err err = {0};
    ck_assert_msg(open_scores(&d, SCORES "\"scores\": [1, 5], " MASK "}", "a\ty\nthe film\t1\nthe plot\t5.0\nit\t2.50\nwas\t3\n", &err) == ZO_OK, "%s", err.text);
    static const struct { float share; int label; } is[] = {{0, 0}, {1, 1}, {0.375F, 0}, {0.5F, 1}};
    const int32_t index[] = {0, 1, 2, 3}, choice[] = {0, 0, 0, 1};
    zo_batch *b = zo_dataset_batch(d, ZO_TEST, index, 4);
    ck_assert(zo_dataset_scores(d) && zo_dataset_classes(d) == 2 && zo_dataset_head(d) == ZO_HEAD_WORDS);
    for (int i = 0; i < 4; i++) {
        ck_assert(b->share[i] == is[i].share && b->label[i] == is[i].label && zo_dataset_share(d, ZO_TEST, i) == is[i].share);
    }
    zo_batch_free(b);
    double m[ZO_METRICS], share[] = {0.25, 1, 0.5, 0.5}; /* gold 0 1 0.375 0.5: means 0.5625 and 0.46875 */
    zo_dataset_metrics(d, ZO_TEST, choice, share, m);
    ck_assert_double_eq_tol(m[ZO_ACCURACY], 0.75, 1e-15);
    ck_assert_double_eq_tol(m[ZO_PEARSON], 0.3828125 / sqrt(0.296875 * 0.51171875), 1e-12);
    ck_assert_double_eq_tol(m[ZO_SPEARMAN], 4.5 / sqrt(4.5 * 5), 1e-12);
    ck_assert(isnan(m[ZO_F1]) && isnan(m[ZO_MACRO_F1]) && isnan(m[ZO_MATTHEWS]) && isnan(m[ZO_TOKEN_F1]));
    zo_dataset_chance(d, ZO_TEST, m);
    ck_assert(m[ZO_PEARSON] == 0 && m[ZO_SPEARMAN] == 0 && m[ZO_ACCURACY] == 0.5 && isnan(m[ZO_F1]));
    zo_dataset_close(d);
    static const char *const bad[] = {"0.9", "5.1", "nan", "inf", "x", "", "3,5", "0x3", "1e400", "4 "};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        char rows[100];
        snprintf(rows, sizeof rows, "a\ty\nthe film\t%s\n", bad[k]);
        ck_assert_msg(open_scores(&d, SCORES "\"scores\": [1, 5], " MASK "}", rows, &err) == ZO_EINPUT, "%s", bad[k]);
        ASSERT_HAS(err.text, "s.tsv:2: the score \"");
        ASSERT_HAS(err.text, "is no number from 1 to 5");
    }
}
END_TEST

START_TEST(descriptions_of_scores)
{
    static const struct { const char *text, *says; } of[] = {
        {SCORES "\"scores\": [5, 1], " MASK "}", "\"scores\" is [5, 1]; expected the smaller first"},
        {SCORES "\"scores\": [1], " MASK "}", "is not two numbers"},
        {SCORES "\"scores\": [1, \"5\"], " MASK "}", "is not two numbers"},
        {SCORES "\"scores\": [1, 5], \"classes\": [0, 1], " MASK "}", "\"scores\" stands with \"classes\""},
        {SCORES "\"scores\": [1, 5], \"head\": [0], " MASK "}", "\"scores\" stands with \"head\""},
        {SCORES "\"scores\": [1, 5], \"metric\": \"f1\", " MASK "}", "\"metric\" is \"f1\", which is of classes, and each row has a score"},
        {SCORES "\"classes\": [1, 5], \"metric\": \"pearson\", " MASK "}", "\"metric\" is \"pearson\", which is of scores"},
        {SCORES "\"scores\": [1, 5], \"mask_prompt\": {\"template\": \"*cls**sent_0**mask*.*sep+*\", \"words\": [\"a\", \"b\", \"c\"]}}", "has 3 entries"},
        {SCORES "\"scores\": [1, 5]}", "there is no form"},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_dataset *d;
        zo_err err = {0};
        ck_assert_int_eq(open_scores(&d, of[k].text, "a\ty\n", &err), ZO_EINPUT);
        ASSERT_HAS(err.text, of[k].says);
    }
}
END_TEST

int main(void)
{
    static char text[8192];
    static const char *const special[] = {"<s>"};
    zo_err err = {0};
    snprintf(folder, sizeof folder, "%s/zo-answers-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        return 1;
    }
    size_t n = folder_byte_tokenizer(text, special, 1, -1);
    if (zo_tokenizer_parse(&bytes, text, n, "bytes", &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    Suite *s = suite_create("answers");
    TCase *c = tcase_create("answers");
    tcase_add_test(c, answers_are_compared_as_squads);
    tcase_add_test(c, credit_by_hand);
    tcase_add_test(c, any_bytes_are_compared);
    tcase_add_test(c, record_rows);
    tcase_add_test(c, record_is_scored_by_its_answers);
    tcase_add_test(c, record_rows_are_checked);
    tcase_add_test(c, metrics_fit_tasks);
    tcase_add_test(c, correlations_by_hand);
    tcase_add_test(c, scores_of_rows);
    tcase_add_test(c, descriptions_of_scores);
    suite_add_tcase(s, c);
    int failed = suite_run(s);
    zo_tokenizer_close(bytes);
    folder_remove(folder);
    return failed != 0;
}
