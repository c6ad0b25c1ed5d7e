/* test_tail.c: `zo tail` beside a run that works, and `zo show RUN` of one that has ended: what they say is what the database has. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/conf.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

#define COMMON "\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 16, \"dev\": 4, \"test\": 4, \"context\": 16, " \
               "\"batch\": 4, \"threads\": 1"

/* Starts a command in a process of its own, what it prints to a file. */
static pid_t begin(int (*entry)(int, char **), const char *const word[], const char *file)
{
    int argc = 0;
    while (word[argc] != NULL) {
        argc++;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        program_redirect(file, file);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        int end = entry(argc, (char **)word);
        fflush(NULL);
        _exit(end);
    }
    return pid;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

/* `zo tail --json` once; the caller deletes it. */
static cJSON *look(const char *db)
{
    ck_assert_msg(COMMAND(zo_cmd_tail, "tail", "--db", below(db), "--json") == 0, "%s", program_said);
    cJSON *o = cJSON_Parse(program_said);
    ck_assert_msg(o != NULL, "%s", program_said);
    return o;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        n++;
    }
    return n;
}

/* Two short cells and one that does not end by itself. */
START_TEST(beside_a_run)
{
    put("c.json", "{" COMMON ", \"optimizer\": [{\"name\": \"mezo\", \"steps\": 3}, {\"name\": \"lozo\", \"steps\": 4}, {\"name\": \"fo-sgd\", \"steps\": 10000000}], \"eval_every\": 2}");
    const char *const run[] = {"run", below("c.json"), "--db", below("t.db"), "--checkpoint", "0", NULL};
    pid_t writer = begin(zo_cmd_run, run, "run.said");
    while (access(below("t.db"), F_OK) != 0) {
        nap();
    }
    cJSON *o = NULL;
    const cJSON *running = NULL;
    for (bool steps = false; !steps; nap()) { /* rows of steps come two seconds after their steps, those of evaluations at once */
        cJSON_Delete(o);
        if (COMMAND(zo_cmd_tail, "tail", "--db", below("t.db"), "--json") != 0) { /* the file has no tables yet */
            o = NULL;
            continue;
        }
        o = cJSON_Parse(program_said);
        running = cJSON_GetObjectItemCaseSensitive(o, "running")->child;
        steps = running != NULL && zo_json_number(running, "step", 0) > 0 && zo_json_number(running, "steps_budget", 0) > 1000 &&
                isfinite(zo_json_number(running, "loss", NAN)) && isfinite(zo_json_number(running, "dev", NAN));
    }
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "working")));
    double step = zo_json_number(running, "step", NAN), spent = zo_json_number(running, "train_seconds", NAN) + zo_json_number(running, "eval_seconds", NAN);
    ck_assert_double_eq_tol(zo_json_number(running, "fraction", NAN), step / 1e7, 1e-12);
    ck_assert_double_eq_tol(zo_json_number(running, "seconds_left", NAN) / (spent * (1e7 - step) / step), 1, 1e-9);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(o, "ended")), 2);
    cJSON_Delete(o);
    /* one line a cell that runs or has ended; no escapes */
    ck_assert_int_eq(COMMAND(zo_cmd_tail, "tail", "--db", below("t.db"), "--once"), 0);
    ASSERT_SAID("run 1 shape:opt-tiny synth-lengths mezo");
    ASSERT_SAID("run 2 shape:opt-tiny synth-lengths lozo");
    ASSERT_SAID("/10000000 | loss ");
    ASSERT_SAID(" | best dev ");
    ASSERT_SAID(" left\n");
    ASSERT_SAID("cells: 2 done, 1 running\n");
    ck_assert_ptr_eq(strchr(program_said, '\033'), NULL);
    ck_assert_int_eq(COMMAND(zo_cmd_tail, "tail", "3", "--db", below("t.db"), "--once"), 0);
    ck_assert_ptr_eq(strstr(program_said, "lozo"), NULL);
    ASSERT_SAID("fo-sgd");
    /* followed until the run ends: the try that was running is said once, and what had ended before as asked */
    const char *const follow[] = {"tail", "--db", below("t.db"), "--last", "1", NULL};
    pid_t reader = begin(zo_cmd_tail, follow, "tail.said");
    nap();
    for (char text[4000] = ""; strstr(text, "fo-sgd") == NULL; nap()) {
        program_read("tail.said", text, sizeof text);
    }
    int status;
    ck_assert_int_eq(waitpid(reader, &status, WNOHANG), 0); /* it goes on as long as the run */
    time_t asked = time(NULL);
    kill(writer, SIGTERM);
    ck_assert_int_eq(waitpid(writer, &status, 0), writer);
    ck_assert_int_lt(time(NULL) - asked, 30); /* without checkpoints there is nothing to wait for */
    ck_assert_int_eq(waitpid(reader, &status, 0), reader);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    program_read("tail.said", program_said, sizeof program_said);
    ck_assert_int_eq(count(program_said, "run 1 "), 0);
    ck_assert_int_eq(count(program_said, "run 2 "), 1);
    ck_assert_int_eq(count(program_said, "run 3 "), 1);
    ASSERT_SAID(": killed: interrupted by signal 15\n");
    ASSERT_SAID("cells: 2 done, 1 killed; no zo run is at work\n");
    ck_assert_ptr_eq(strchr(program_said, '\033'), NULL);
    /* behind its end it says so and ends; a second run is not kept from starting by looks */
    ck_assert_int_eq(COMMAND(zo_cmd_tail, "tail", "--db", below("t.db")), 0);
    ASSERT_SAID("no zo run is at work");
    o = look("t.db");
    ck_assert(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(o, "working")));
    cJSON_Delete(o);
}
END_TEST

START_TEST(what_tail_refuses)
{
    ck_assert_int_eq(COMMAND(zo_cmd_tail, "tail", "--db", below("none.db")), 2);
    ASSERT_SAID("there is no such database");
    ck_assert_int_eq(COMMAND(zo_cmd_tail, "tail", "99", "--db", below("t.db")), 2);
    ASSERT_SAID("there is no run 99");
    ck_assert_int_eq(COMMAND(zo_cmd_tail, "tail", "x' OR 1", "--db", below("t.db")), 2);
    ASSERT_SAID("names no run");
}
END_TEST

START_TEST(a_run_is_shown)
{
    put("s.json", "{" COMMON ", \"steps\": 6, \"eval_every\": 3, \"metric\": \"macro_f1\", \"optimizer\": \"mezo\"}");
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("s.json"), "--db", below("s.db")) == 0, "%s", program_said);
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("s.json"), "--db", below("s.db"), "--again") == 0, "%s", program_said);
    ck_assert_int_eq(COMMAND(zo_cmd_show, "show", "1", "--db", below("s.db"), "--json"), 0);
    cJSON *o = cJSON_Parse(program_said);
    ck_assert_msg(o != NULL, "%s", program_said);
    char hash[40];
    snprintf(hash, sizeof hash, "%s", zo_json_text(o, "hash"));
    ck_assert_str_eq(zo_json_text(o, "status"), "done");
    ck_assert_double_eq(zo_json_number(cJSON_GetObjectItemCaseSensitive(o, "config"), "steps", NAN), 6);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(o, "tries")), 2);
    double peak = 0;
    for (const cJSON *row = cJSON_GetObjectItemCaseSensitive(o, "memory")->child; row != NULL; row = row->next) {
        peak += zo_json_number(row, "train", 0);
    }
    ck_assert_double_eq(peak, zo_json_number(o, "train_peak_bytes", NAN));
    double parts = 0;
    for (const cJSON *row = cJSON_GetObjectItemCaseSensitive(o, "parts")->child; row != NULL; row = row->next) {
        parts += zo_json_number(row, "seconds", 0);
    }
    ck_assert_double_eq_tol(parts, zo_json_number(o, "train_seconds", NAN), 0.02 * parts + 1e-4);
    const cJSON *evaluations = cJSON_GetObjectItemCaseSensitive(o, "evaluations");
    double best = NAN;
    for (const cJSON *row = evaluations->child; row != NULL; row = row->next) {
        best = zo_json_number(row, "best", 0) == 1 && strcmp(zo_json_text(row, "split"), "test") == 0 ? zo_json_number(row, "metric", NAN) : best;
    }
    ck_assert_double_eq(best, zo_json_number(o, "metric_value", NAN)); /* macro-F1, and not accuracy */
    cJSON_Delete(o);
    ck_assert_int_eq(COMMAND(zo_cmd_show, "show", hash, "--db", below("s.db")), 0); /* the try that counts */
    ASSERT_SAID("# Run 2: shape:opt-tiny synth-lengths mezo");
    static const char *const titles[] = {"## Outcome", "## Work", "## Time", "## Memory", "## Environment", "## Evaluations", "## Bytes by tag", "## Where the time",
                                         "## Tries of this cell", "## Config", "| revision ", "\"optimizer\""};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) {
        ASSERT_SAID(titles[i]);
    }
    ck_assert_int_eq(COMMAND(zo_cmd_show, "show", "99", "--db", below("s.db")), 2);
    ASSERT_SAID("there is no run 99");
    ck_assert_int_eq(COMMAND(zo_cmd_show, "show", "sst2"), 2);
    ASSERT_SAID("zo show TASK MODEL");
    ck_assert_int_eq(COMMAND(zo_cmd_show, "show", "sst2", "shape:opt-tiny", "--db", below("s.db")), 2);
    ASSERT_SAID("--db is for a run");
}
END_TEST

/* Runs that began before the first one of a revision are left out. */
START_TEST(since_a_revision)
{
    put("h.json", "{" COMMON ", \"steps\": 2, \"seed\": [0, 1, 2, 3], \"optimizer\": \"mezo\"}");
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("h.json"), "--db", below("h.db")) == 0, "%s", program_said);
    change("h.db", "UPDATE tries SET revision = substr('ddccbbaa', 2 * run - 1, 2) || '1', began = '2026-01-0' || run || 'T00:00:00Z', disturbed = 0");
    static const struct { const char *revision; int runs; } of[] = {{"dd", 4}, {"cc1", 3}, {"b", 2}, {"aa", 1}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        ck_assert_msg(COMMAND(zo_cmd_history, "history", "steps", "--db", below("h.db"), "--since", of[i].revision, "--json") == 0, "%s", program_said);
        cJSON *rows = cJSON_Parse(program_said);
        ck_assert_int_eq(cJSON_GetArraySize(rows), of[i].runs);
        cJSON_Delete(rows);
        ck_assert_msg(COMMAND(zo_cmd_report, "report", "--db", below("h.db"), "--since", of[i].revision, "--where", "seed <> 3 OR seed = 3", "--json") == 0, "%s", program_said);
        rows = cJSON_Parse(program_said);
        ck_assert_int_eq(cJSON_GetArraySize(rows), of[i].runs);
        cJSON_Delete(rows);
    }
    ck_assert_int_eq(COMMAND(zo_cmd_report, "report", "--db", below("h.db"), "--since", "ee"), 2);
    ASSERT_SAID("no run is of a revision that begins with \"ee\"");
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "steps", "--db", below("h.db"), "--since", ""), 2);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the cells' process too */
        return zo_output_end(argv[1], strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : 127);
    }
    program_begin("tail");
    TCase *t = tcase_create("tail");
    tcase_set_timeout(t, 240);
    tcase_add_test(t, beside_a_run);
    tcase_add_test(t, what_tail_refuses);
    tcase_add_test(t, a_run_is_shown);
    tcase_add_test(t, since_a_revision);
    Suite *suite = suite_create("tail");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
