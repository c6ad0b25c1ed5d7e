/* test_written.c: tasks whose answers the model writes (SQuAD, DROP): what is read of each kind of file, the prompt and the answer token by token, which row is
 * refused or left out, what a description may say, and what tokens are as text. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "tasks/task_impl.h"
#include "tests/folder.h"
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
    ck_assert_msg(zo_make_dirs(parent, &err) == ZO_OK && zo_write_file(path, text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

static void forget(const char *name)
{
    char path[512];
    unlink(zo_path_join(path, sizeof path, folder, name));
}

static zo_status open_task(zo_dataset **d, const char *task, int64_t context, int64_t demonstrations, zo_err *err)
{
    zo_dataset_spec spec = {.task = task, .form = ZO_FORM_PROMPT, .data_dir = folder, .tokenizer = bytes, .causal = true, .context = context,
                            .scheme = ZO_SPLIT_FIRST, .count = {[ZO_TRAIN] = -1, [ZO_DEV] = 0, [ZO_TEST] = -1}, .demonstrations = demonstrations};
    return zo_dataset_open(d, &spec, err);
}

static zo_dataset *open_or_die(const char *task, int64_t context)
{
    zo_dataset *d;
    zo_err err = {0};
    ck_assert_msg(open_task(&d, task, context, 0, &err) == ZO_OK, "%s", err.text);
    return d;
}

/* Tokens as text, a line feed as itself; good until the call after the next. */
static const char *text_of(const int32_t *id, int64_t n)
{
    static char text[2][4000];
    static int turn;
    turn = !turn;
    char *decoded = zo_tokenizer_decode(bytes, id, n);
    snprintf(text[turn], sizeof text[turn], "%s", decoded);
    zo_free(decoded);
    return text[turn];
}

static void check_prompt(const zo_dataset *d, zo_split split, int32_t index, const char *wanted)
{
    zo_batch *b = zo_dataset_prompts(d, split, &index, 1);
    ck_assert_int_eq(b->seqs, 1);
    ck_assert_int_eq(b->start[1], b->tokens);
    ck_assert_int_eq(b->position[b->tokens - 1], b->tokens - 1);
    ck_assert_str_eq(text_of(b->id, b->tokens), wanted);
    zo_batch_free(b);
}

/* What stands before the scored tokens of the one option, and these. */
static void check_answer(const zo_dataset *d, zo_split split, int32_t index, const char *prompt, const char *answer)
{
    zo_batch *b = zo_dataset_batch(d, split, &index, 1);
    ck_assert_int_eq(b->options, 1);
    ck_assert_int_eq(b->label[0], 0);
    ck_assert_str_eq(text_of(b->target, b->scores), answer);
    ck_assert_str_eq(text_of(b->id, b->row[b->at[0]] + 1), prompt);
    zo_batch_free(b);
}

static void check_credit(const zo_dataset *d, int32_t index, const char *answer, bool exact, double f1)
{
    zo_credit c = zo_dataset_credit(d, ZO_TEST, index, answer);
    ck_assert_msg(c.exact == exact, "%s", answer);
    ck_assert_double_eq_tol(zo_credit_f1(&c), f1, 1e-15);
}

#define QA(question, answers) "{\"id\": \"x\", \"question\": \"" question "\", \"answers\": [" answers "]}"
#define TEXT(text) "{\"answer_start\": 3, \"text\": \"" text "\"}"
#define TREE                                                                                                                              \
    "{\"version\": \"1.1\", \"data\": [{\"title\": \"Rome\", \"paragraphs\": [{\"context\": \" It burnt. \", \"qas\": ["                      \
    QA(" When? ", TEXT("in July") ", " TEXT("July 64")) ", " QA("Who?", TEXT("Nero")) "]}]},"                                             \
    "{\"paragraphs\": [{\"qas\": [" QA("What?", TEXT("a sea")) "], \"context\": \"Wide\"}], \"title\": \"Sea\"}]}"
#define FIRST "Title: Rome\nContext:  It burnt. \nQuestion: When?\nAnswer:"

static void check_rome(const zo_dataset *d, bool all)
{
    ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), all ? 3 : 1);
    ck_assert_int_eq(zo_dataset_head(d), ZO_HEAD_SPAN);
    ck_assert_int_eq(zo_dataset_answer_tokens(d), 50);
    check_prompt(d, ZO_TEST, 0, FIRST);
    check_answer(d, ZO_TEST, 0, FIRST, " in July\n");
    check_credit(d, 0, "the July, 64.", true, 1);
    check_credit(d, 0, "in July", true, 1);
    check_credit(d, 0, "64", false, 2.0 / 3);
    check_credit(d, 0, "", false, 0);
    check_credit(d, 0, "May", false, 0);
    if (all) {
        check_prompt(d, ZO_TEST, 1, "Title: Rome\nContext:  It burnt. \nQuestion: Who?\nAnswer:");
        check_answer(d, ZO_TEST, 2, "Title: Sea\nContext: Wide\nQuestion: What?\nAnswer:", " a sea\n");
    }
}

START_TEST(squad_of_each_file)
{
    put("squad/train-v1.1.json", TREE);
    put("squad/dev-v1.1.json", TREE);
    zo_dataset *d = open_or_die("squad", 512);
    check_rome(d, true);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 3);
    check_answer(d, ZO_TRAIN, 1, "Title: Rome\nContext:  It burnt. \nQuestion: Who?\nAnswer:", " Nero\n");
    zo_err err = {0};
    ck_assert_int_eq(zo_dataset_put_away(d, ZO_TEST, &err), ZO_OK); /* and back */
    zo_dataset_fetch(d, ZO_TEST);
    check_rome(d, true);
    const int32_t *end;
    ck_assert_int_eq(zo_dataset_answer_ends(d, &end), 1);
    ck_assert_str_eq(text_of(end, 1), "\n");
    zo_dataset_close(d);
    forget("squad/train-v1.1.json");
    forget("squad/dev-v1.1.json");

    put("squad/train.jsonl", "{\"title\": \"T\", \"context\": \"C\", \"question\": \"Q\", \"answers\": {\"text\": [\"x\"], \"answer_start\": [1]}}\n");
    put("squad/validation.jsonl", "{\"title\": \"Rome\", \"context\": \" It burnt. \", \"question\": \" When? \", \"answers\": {\"text\": [\"in July\", \"July 64\"]}}\n");
    d = open_or_die("squad", 512);
    check_rome(d, false);
    zo_dataset_close(d);
    forget("squad/train.jsonl");
    forget("squad/validation.jsonl");

    put("squad/xquad.en.json", TREE);
    zo_dataset_spec spec = {.task = "squad", .form = ZO_FORM_PROMPT, .data_dir = folder, .tokenizer = bytes, .causal = true, .context = 512,
                            .scheme = ZO_SPLIT_MEZO, .count = {[ZO_TRAIN] = 1, [ZO_DEV] = 1, [ZO_TEST] = 1}};
    ck_assert_msg(zo_dataset_open(&d, &spec, &err) == ZO_OK, "%s", err.text);
    ASSERT_HAS(zo_dataset_note(d), "XQuAD");
    zo_dataset_close(d);
    forget("squad/xquad.en.json");
}
END_TEST

#define DROP(question, number, day, month, spans) \
    "{\"question\": \"" question "\", \"answer\": {\"number\": \"" number "\", \"date\": {\"day\": \"" day "\", \"month\": \"" month "\", \"year\": \"\"}, \"spans\": [" spans "]}"

START_TEST(drop_of_each_file)
{
    static const char passages[] = "{\"p1\": {\"passage\": \"P\", \"qa_pairs\": [" DROP("How many? ", "3", "", "", "") "}, " DROP("When?", "", "5", "May", "")
        "}, " DROP("Who?", "", "", "", "\"A b\", \"C\"") "}, " DROP("None?", "", "", "", "") "}]}, \"p2\": {\"passage\": \"O\", \"qa_pairs\": []}}";
    put("drop/drop_dataset_train.json", passages);
    put("drop/drop_dataset_dev.json", "{\"p\": {\"passage\": \"P\", \"qa_pairs\": [" DROP("Who?", "9", "", "", "") ", \"validated_answers\": ["
        "{\"number\": \"\", \"date\": {\"day\": \"\", \"month\": \"\", \"year\": \"\"}, \"spans\": [\"two men\"]}, {\"number\": \"2\", \"date\": {}, \"spans\": []}]}]}}");
    zo_dataset *d = open_or_die("drop", 512);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 3); /* one has no answer */
    ASSERT_HAS(zo_dataset_note(d), "1");
    check_answer(d, ZO_TRAIN, 0, "Passage: P\nQuestion: How many?\nAnswer:", " 3\n");
    check_answer(d, ZO_TRAIN, 1, "Passage: P\nQuestion: When?\nAnswer:", " 5 May\n");
    check_answer(d, ZO_TRAIN, 2, "Passage: P\nQuestion: Who?\nAnswer:", " A b\n");
    check_prompt(d, ZO_TEST, 0, "Passage: P\nQuestion: Who?\nAnswer:");
    check_credit(d, 0, "2", true, 1);
    check_credit(d, 0, "the two men", true, 1);
    check_credit(d, 0, "9", false, 0); /* the file's own answer is not among the validated, which the hub's copy has alone */
    zo_dataset_close(d);
    forget("drop/drop_dataset_train.json");
    forget("drop/drop_dataset_dev.json");
    put("drop/drop_contrast_sets_test.json", "{\"p\": {\"passage\": \"P\", \"qa_pairs\": [" DROP("Q", "", "", "", "\"x y\"") "}]}}");
    zo_dataset_spec spec = {.task = "drop", .form = ZO_FORM_PROMPT, .data_dir = folder, .tokenizer = bytes, .causal = true, .context = 512,
                            .scheme = ZO_SPLIT_MEZO, .count = {[ZO_TEST] = 1}, .evaluate_only = true};
    zo_err err = {0};
    ck_assert_msg(zo_dataset_open(&d, &spec, &err) == ZO_OK, "%s", err.text);
    check_credit(d, 0, "x", false, 2.0 / 3);
    zo_dataset_close(d);
    forget("drop/drop_contrast_sets_test.json");
}
END_TEST

/* The prompt's left end goes, and 50 tokens of the context are the answer's, in training too; a demonstration stands before. */
START_TEST(cut_and_shown)
{
    put("squad/train.jsonl", "{\"title\": \"T\", \"context\": \"C\", \"question\": \"Q\", \"answers\": {\"text\": [\"x\", \"z\"]}}\n");
    put("squad/validation.jsonl", "{\"title\": \"Rome\", \"context\": \"burnt\", \"question\": \"Q\", \"answers\": {\"text\": [\"y\"]}}\n");
    zo_dataset *d = open_or_die("squad", 50 + 20);
    check_prompt(d, ZO_TEST, 0, "\nQuestion: Q\nAnswer:" + 0);
    check_answer(d, ZO_TEST, 0, "estion: Q\nAnswer:", " y\n");
    ck_assert_int_eq(zo_dataset_truncated_in(d, ZO_TEST), 1);
    zo_dataset_close(d);
    zo_err err = {0};
    ck_assert_int_eq(open_task(&d, "squad", 50, 0, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "of a \"context\" of 50 tokens 50 are the answer's");
    ck_assert_int_eq(open_task(&d, "squad", 52, 0, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "context 52 is too small");
    zo_dataset_spec spec = {.task = "squad", .form = ZO_FORM_PROMPT, .data_dir = folder, .tokenizer = bytes, .causal = true, .context = 512,
                            .scheme = ZO_SPLIT_MEZO, .count = {[ZO_TEST] = 1}, .demonstrations = 1, .evaluate_only = true};
    ck_assert_msg(zo_dataset_open(&d, &spec, &err) == ZO_OK, "%s", err.text);
    check_prompt(d, ZO_TEST, 0, "Title: T\nContext: C\nQuestion: Q\nAnswer: x\n\nTitle: Rome\nContext: burnt\nQuestion: Q\nAnswer:");
    check_answer(d, ZO_TEST, 0, "Title: T\nContext: C\nQuestion: Q\nAnswer: x\n\nTitle: Rome\nContext: burnt\nQuestion: Q\nAnswer:", " y\n");
    zo_dataset_close(d);
    forget("squad/train.jsonl");
    forget("squad/validation.jsonl");
}
END_TEST

START_TEST(rows_are_checked)
{
    static const struct { const char *answers, *says; } of[] = {
        {"{\"text\": []}", "no answer in \"answers.text\"; give one"},
        {"{\"text\": [\"\", \" \"]}", "no answer in \"answers.text\""},
        {"{\"start\": [3]}", "no answer in \"answers.text\""},
        {"{\"text\": [true]}", "\"answers.text\" is true or false where an answer was expected"},
        {"{\"text\": [{\"day\": 3}]}", "\"answers.text\" is an object that holds a number where texts were expected"},
        {"{\"text\": null}", "\"answers.text\" is null where an answer"},
        {"3", "no answer in \"answers.text\""},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char row[500];
        zo_dataset *d;
        zo_err err = {0};
        snprintf(row, sizeof row, "{\"title\": \"T\", \"context\": \"C\", \"question\": \"Q\", \"answers\": %s}\n", of[k].answers);
        put("squad/train.jsonl", row);
        put("squad/validation.jsonl", row);
        ck_assert_msg(open_task(&d, "squad", 512, 0, &err) == ZO_EINPUT, "%s", of[k].answers);
        ASSERT_HAS(err.text, ".jsonl:1");
        ASSERT_HAS(err.text, of[k].says);
    }
    forget("squad/train.jsonl");
    forget("squad/validation.jsonl");
    static const struct { const char *text, *says; } trees[] = {
        {"[]", "dev-v1.1.json:1: not one JSON object that holds lists of rows"},
        {"{\"data\": 3}", "dev-v1.1.json: no list \"data\" here"},
        {"{\"data\": [{\"title\": \"T\", \"paragraphs\": [{\"context\": \"C\", \"qas\": [{\"question\": \"Q\", \"answers\": []}]}]}]}",
         "data[0], paragraphs[0], qas[0]: no answer in \"answers.text\""},
        {"{\"data\": [], \"data\": []}", "\"data\" stands there twice"},
    };
    for (size_t k = 0; k < sizeof trees / sizeof *trees; k++) {
        zo_dataset *d;
        zo_err err = {0};
        put("squad/train-v1.1.json", TREE);
        put("squad/dev-v1.1.json", trees[k].text);
        ck_assert_msg(open_task(&d, "squad", 512, 0, &err) == ZO_EINPUT, "%s", trees[k].text);
        ASSERT_HAS(err.text, trees[k].says);
    }
    forget("squad/train-v1.1.json");
    forget("squad/dev-v1.1.json");
}
END_TEST

#define MINE(answers, files, more, prompt) \
    "{\"name\": \"mine\", \"texts\": [\"q\"], \"answers\": " answers ", \"files\": [{\"validation\": \"mine/t.jsonl\"" files "}]" more ", \"causal_prompt\": {\"template\": \"{0}\"" prompt "}}"

START_TEST(descriptions_are_checked)
{
    static const struct { const char *text, *says; } of[] = {
        {MINE("\"a\"", "", "", ""), "\"causal_prompt.answer\" is missing"},
        {MINE("\"a\"", "", "", ", \"answer\": \" x\""), "\"causal_prompt.answer\" is a text without one {o}"},
        {MINE("\"a\"", "", "", ", \"answer\": \"{o}{o}\""), "\"causal_prompt.answer\" is a text without one {o}"},
        {MINE("3", "", "", ", \"answer\": \"{o}\""), "\"answers\" is a number; expected where"},
        {MINE("[]", "", "", ", \"answer\": \"{o}\""), "\"answers\" has 0 entries"},
        {MINE("\"a\"", "", ", \"classes\": [\"0\", \"1\"]", ", \"answer\": \"{o}\""), "\"classes\" stands beside \"answers\""},
        {MINE("\"a\"", "", ", \"label\": \"l\"", ", \"answer\": \"{o}\""), "\"label\" stands beside \"answers\""},
        {MINE("\"a\"", "", ", \"head\": [0]", ", \"answer\": \"{o}\""), "\"head\" stands beside \"answers\""},
        {MINE("\"a\"", "", ", \"metric\": \"accuracy\"", ", \"answer\": \"{o}\""), "\"metric\" is \"accuracy\", which is of choices"},
        {MINE("\"a\"", "", "", ", \"answer\": \"{o}\", \"options\": [\"a\"]"), "\"causal_prompt.options\" stands there"},
        {MINE("\"a\"", "", "", ", \"answer\": \"{o}\", \"most_tokens\": 0"), "most_tokens"},
        {MINE("\"a\"", "", "", ", \"answer\": \"{o}\", \"strip\": [1]"), "\"causal_prompt.strip\" has another number"},
        {MINE("\"a\"", ", \"label\": \"l\"", "", ", \"answer\": \"{o}\""), "\"files[0]\" has \"label\" or \"classes\""},
        {MINE("\"a\"", ", \"format\": \"json-tree\"", "", ", \"answer\": \"{o}\""), "\"each\" does not say in which lists"},
        {MINE("\"a\"", ", \"format\": \"csv\"", "", ", \"answer\": \"{o}\""), "only jsonl and json have \"answers\""},
        {"{\"name\": \"mine\", \"texts\": [\"q\"], \"label\": \"l\", \"classes\": [\"0\", \"1\"], \"files\": [{\"validation\": \"t.jsonl\"}], "
         "\"causal_prompt\": {\"template\": \"{0}\", \"options\": [\"a\", \"b\"], \"answer\": \"{o}\"}}", "\"causal_prompt.answer\" stands there"},
        {"{\"name\": \"mine\", \"texts\": [\"q\"], \"label\": \"l\", \"classes\": [\"0\", \"1\"], \"files\": [{\"validation\": \"t.jsonl\", \"answers\": \"x\"}], "
         "\"causal_prompt\": {\"template\": \"{0}\", \"options\": [\"a\", \"b\"]}}", "stands there, and the task has none"},
    };
    static zo_task_file file;
    zo_err err = {0};
    static const char good[] = MINE("[\"a\", \"b\"]", ", \"answers\": \"c\"", "", ", \"answer\": \"{o}\", \"most_tokens\": 7, \"strip\": false");
    ck_assert_msg(zo_task_file_parse(&file, good, sizeof good - 1, "mine.json", &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(file.task.answer_tokens, 7);
    ck_assert_int_eq(file.task.info.headline, ZO_TOKEN_F1);
    ck_assert_str_eq(file.source[0].answers[0], "c");
    ck_assert(file.source[0].answers[1] == NULL && file.task.info.writes && file.task.texts == 0);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        ck_assert_msg(zo_task_file_parse(&file, of[k].text, strlen(of[k].text), "mine.json", &err) == ZO_EINPUT, "%s", of[k].text);
        ASSERT_HAS(err.text, of[k].says);
    }
}
END_TEST

START_TEST(metrics_and_chance)
{
    zo_task_info squad;
    double m[ZO_METRICS];
    ck_assert_int_eq(zo_task_info_of("squad", &squad, NULL), ZO_OK);
    ck_assert(squad.writes && squad.classes == 0 && squad.headline == ZO_TOKEN_F1 && !squad.has_head);
    ck_assert(zo_metric_fault(ZO_TOKEN_F1, &squad) == NULL && zo_metric_fault(ZO_EXACT_MATCH, &squad) == NULL);
    ck_assert(zo_metric_fault(ZO_ACCURACY, &squad) != NULL && zo_metric_fault(ZO_MACRO_F1, &squad) != NULL);
    put("squad/train.jsonl", "{\"title\": \"T\", \"context\": \"C\", \"question\": \"Q\", \"answers\": {\"text\": [\"x\"]}}\n");
    put("squad/validation.jsonl", "{\"title\": \"T\", \"context\": \"C\", \"question\": \"Q\", \"answers\": {\"text\": [\"x\"]}}\n");
    zo_dataset *d = open_or_die("squad", 512);
    zo_dataset_chance(d, ZO_TEST, m);
    ck_assert(m[ZO_TOKEN_F1] == 0 && m[ZO_EXACT_MATCH] == 0 && isnan(m[ZO_ACCURACY]));
    zo_dataset_close(d);
    forget("squad/train.jsonl");
    forget("squad/validation.jsonl");
}
END_TEST

/* Rows with other answers are other rows, and a task with other limits another task. */
START_TEST(fingerprints_know_answers)
{
    uint64_t print[2], task[2];
    zo_err err = {0};
    for (int k = 0; k < 2; k++) {
        char row[500];
        snprintf(row, sizeof row, "{\"q\": \"Q\", \"a\": [\"x\", \"%s\"]}\n", k ? "y" : "z");
        put("mine/t.jsonl", row);
        put("mine.json", k ? MINE("\"a\"", "", "", ", \"answer\": \"{o}\", \"most_tokens\": 7") : MINE("\"a\"", "", "", ", \"answer\": \"{o}\""));
        char path[512];
        zo_path_join(path, sizeof path, folder, "mine.json");
        zo_dataset_spec spec = {.task = path, .form = ZO_FORM_PROMPT, .data_dir = folder, .causal = true, .context = 512, .scheme = ZO_SPLIT_FIRST,
                                .count = {[ZO_TEST] = -1}, .evaluate_only = true};
        ck_assert_msg(zo_dataset_fingerprint(&spec, &print[k], &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_task_fingerprint(path, true, &task[k], &err) == ZO_OK, "%s", err.text);
    }
    ck_assert(print[0] != print[1] && task[0] != task[1]);
}
END_TEST

int main(void)
{
    static char text[8192];
    static const char *const special[] = {"<s>"};
    zo_err err = {0};
    snprintf(folder, sizeof folder, "%s/zo-written-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        return 1;
    }
    size_t n = folder_byte_tokenizer(text, special, 1, -1);
    if (zo_tokenizer_parse(&bytes, text, n, "bytes", &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    Suite *s = suite_create("written");
    TCase *c = tcase_create("written");
    tcase_add_test(c, squad_of_each_file);
    tcase_add_test(c, drop_of_each_file);
    tcase_add_test(c, cut_and_shown);
    tcase_add_test(c, rows_are_checked);
    tcase_add_test(c, descriptions_are_checked);
    tcase_add_test(c, metrics_and_chance);
    tcase_add_test(c, fingerprints_know_answers);
    suite_add_tcase(s, c);
    int failed = suite_run(s);
    zo_tokenizer_close(bytes);
    folder_remove(folder);
    return failed != 0;
}
