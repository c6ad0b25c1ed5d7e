/* test_python.c: estimators in Python (python/zo): their bits, their memory, what is said when they fail, zo.run, and the package. Oracles: methods of
 * the program, written again in Python, must give the program's own bits. Skipped where there is no python3, or no libzo of this revision (make python). */
#include <cjson/cJSON.h>

#include "tests/shell.h"
#include "tests/suite.h"

#define TINY "\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 24, \"dev\": 8, \"test\": 0, \"context\": 48, \"batch\": 5, "

#define HEAD "import zo\nclass Mine(zo.Estimator):\n    name, title, loss_is, losses_at = 'mine', 'Mine', 'L(w + eps z)', 'w +- eps z'\n"
#define PROBE                                                                                                           \
    "        z = o.direction(c.step, 0, zo.GAUSS)\n"                                                                    \
    "        plus, minus = o.losses([[(c.eps, z)], [(-c.eps, z)]])\n"                                                   \
    "        pg = (plus - minus) / (2 * c.eps)\n"

/* A method of the program, and the same in Python. */
static const struct { const char *name, *optimizer, *python; } twins[] = {
    {"mezo", "{\"name\": \"mezo\"}", HEAD "    def step(self, o, c):\n" PROBE "        o.combine(zo.WEIGHTS, [(-c.lr * pg, z)])\n        return zo.report(plus, pg)\n"},
    {"mezo-m", "{\"name\": \"mezo-m\", \"beta\": 0.5}",
     HEAD "    options, sets = {'beta': zo.real(0.5, 0, 1, 'decay')}, {'m': zo.SUM}\n    def step(self, o, c):\n" PROBE
          "        o.combine(self.m, [(pg, z)], self.beta)\n        o.combine(zo.WEIGHTS, [(-c.lr, self.m)])\n        return zo.report(plus, pg)\n"},
    {"mezo-adam", "{\"name\": \"mezo-adam\", \"beta1\": 0.5, \"beta2\": 0.75}", /* its corrections have few bits: no rounding is in the way */
     HEAD "    numbers, sets = {'t': 0}, {'m': zo.MOMENT, 'v': zo.MOMENT}\n    def step(self, o, c):\n" PROBE
          "        self.t += 1\n        o.rule('adamw', [(pg, z)], m=self.m, v=self.v, lr=c.lr, beta1=0.5, beta2=0.75, eps=1e-8, correct1=1 - 0.5 ** self.t, "
          "correct2=1 - 0.75 ** self.t)\n        return zo.report(plus, pg)\n"}};

START_TEST(a_method_in_python_has_its_own_bits)
{
    put("mine.py", twins[_i].python);
    char text[900];
    snprintf(text, sizeof text, "{" TINY "\"steps\": 6, \"realisation\": [\"inplace\", \"streamed\"], \"seed\": [1, 2], \"lr\": 1e-2, \"optimizer\": [%s, \"./mine.py\"]}",
             twins[_i].optimizer);
    put("c.json", text);
    MUST("rm -f own.db; $ZO run c.json --db own.db --dry-run --json");
    cJSON *cells = cJSON_Parse(said);
    ck_assert_int_eq(cJSON_GetArraySize(cells), 8);
    for (int i = 0; i < 8; i++) {
        double of = cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetArrayItem(cells, i), "predicted_bytes"));
        double twin = cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetArrayItem(cells, i ^ 2), "predicted_bytes")); /* realisation, optimizer, seed */
        ck_assert_msg(of > 0 && of < 1.005 * twin && of > 0.995 * twin, "%g and %g bytes", of, twin);
    }
    cJSON_Delete(cells);
    MUST("$ZO run c.json --db own.db");
    MUST("$ZO sql --db own.db \"SELECT count(*) n, count(DISTINCT a.loss) losses, sum(a.loss != b.loss OR a.projected != b.projected) AS other, "
         "max(abs(q.train_peak_bytes - p.train_peak_bytes)) AS more, max(length(q.plugin_fingerprint)) AS print FROM steps a JOIN runs p USING (run) JOIN runs q ON "
         "q.optimizer = 'mine' AND p.optimizer = '%s' AND p.seed = q.seed AND p.realisation = q.realisation JOIN steps b ON b.run = q.run AND b.step = a.step\" --json",
         twins[_i].name);
    cJSON *row = cJSON_Parse(said);
    const cJSON *it = row->child;
    ck_assert_msg(cJSON_GetNumberValue(cJSON_GetObjectItem(it, "n")) == 24 && cJSON_GetNumberValue(cJSON_GetObjectItem(it, "losses")) >= 12 &&
                      cJSON_GetNumberValue(cJSON_GetObjectItem(it, "other")) == 0 && cJSON_GetNumberValue(cJSON_GetObjectItem(it, "more")) < 4000 &&
                      cJSON_GetNumberValue(cJSON_GetObjectItem(it, "print")) == 16,
                  "%s", said);
    cJSON_Delete(row);
    MUST("$ZO run c.json --db own.db");
    ASSERT_HAS(said, "8 of 8 cells are done already");
}
END_TEST

/* What goes wrong in a step ends its row, with the traceback's last line; the other cells run. */
START_TEST(a_traceback_ends_the_row)
{
    static const struct { const char *step, *status, *message; } bad[] = {
        {"        if c.step == 1: raise ValueError('no 7')\n", "failed", "mine: ValueError: no 7 (mine.py, line 8)"},
        {"        1 / 0\n", "failed", "mine: ZeroDivisionError: division by zero (mine.py, line 8)"},
        {"        self.seen.append(c.step)\n", "failed", "mine: AttributeError: mine: seen was changed by a step and is no part of its state"},
        {"        globals()['count'] = c.step\n", "failed", "mine: AttributeError: mine: count was changed by a step and is no part of its state"},
        {"        self.more = 1\n", "failed", "mine: AttributeError: mine: more is no number of its state; say it in `numbers`, or open a set"},
        {"        o.combine(zo.WEIGHTS, [(float('inf'), z)]); o.losses([[(c.eps, z)]])\n", "diverged", "step 1: the loss at probe 1 of 1 is "},
        {"        o.dot(77, 77)\n", "failed", "signal"},
        {"        raise SystemExit(0)\n", "failed", "mine: SystemExit: 0"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[1500];
        snprintf(text, sizeof text, HEAD "    def step(self, o, c):\n" PROBE "%s        return zo.report(plus, pg)\n    seen = []\n", bad[i].step);
        put("mine.py", text);
        put("c.json", "{" TINY "\"steps\": 3, \"optimizer\": [\"./mine.py\", \"mezo\"]}");
        int code = shell("rm -f bad.db; $ZO run c.json --db bad.db");
        ck_assert_msg(code == (strcmp(bad[i].status, "failed") == 0), "%s: exit code %d: %s", bad[i].step, code, said);
        MUST("$ZO sql --db bad.db \"SELECT optimizer, status, message FROM runs ORDER BY 1\" --format csv");
        ASSERT_HAS(said, "mezo,done,");
        ASSERT_HAS(said, bad[i].message);
        char row[100];
        snprintf(row, sizeof row, "mine,%s,", bad[i].status);
        ASSERT_HAS(said, row);
    }
}
END_TEST

START_TEST(what_is_no_estimator_is_refused)
{
    static const struct { const char *text, *sentence; } wrong[] = {
        {"import zo\n", "mine.py: mine.py: has 0 subclasses of zo.Estimator; expected one"},
        {"x = (\n", "mine.py: SyntaxError: '(' was never closed"},
        {"import no_such_thing\n", "mine.py: ModuleNotFoundError: No module named 'no_such_thing'"},
        {"import zo\nclass Mine(zo.Estimator):\n    name = 'mezo'\n", "mine.py: its .name is \"mezo\", which a method of this program has"},
        {"import zo\nclass Mine(zo.Estimator):\n    name = 'mine'\n", "mine.py: its estimator mine has no .title"},
        {HEAD "    lr = 0\n", "mine.py: its estimator mine has .lr 0"},
        {HEAD "    options = {'a': zo.real(3, 0, 1)}\n", "mine.py: its option 1, \"a\", has a default outside of .least to .most"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put("mine.py", wrong[i].text);
        ck_assert_int_eq(shell("$ZO list optimizers --plugin mine.py"), 2);
        ASSERT_HAS(said, wrong[i].sentence);
    }
    put("mine.py", twins[0].python);
    ck_assert_int_eq(shell("ZO_PYTHON=/nowhere/python $ZO list optimizers --plugin mine.py"), 2);
    ASSERT_HAS(said, "mine.py: wants Python, and /nowhere/python cannot be started (No such file or directory); install python3, or name it in $ZO_PYTHON");
    ck_assert_int_eq(shell("PYTHONPATH= $ZO list optimizers --plugin mine.py"), 2);
    ASSERT_HAS(said, "mine.py: zo-py did not describe it: ");
    put("c.json", "{" TINY "\"steps\": 3, \"optimizer\": {\"name\": \"./mine.py\", \"bta\": 1}}");
    ck_assert_int_eq(shell("$ZO run c.json --db no.db"), 2);
    ASSERT_HAS(said, "c.json: optimizer mine: there is no key \"bta\"");
    put("c.json", "{" TINY "\"steps\": 3, \"optimizer\": \"./mine.py\", \"realisation\": \"sidepath\"}");
    ck_assert_int_eq(shell("$ZO run c.json --db no.db"), 2);
    ASSERT_HAS(said, "mine cannot be realised as \"sidepath\"");
    ck_assert_int_eq(shell("$ZO bench step shape:roberta-tiny --init random --task synth-lengths --context 48 --optimizer ./mine.py"), 1);
    ASSERT_HAS(said, "an estimator in Python runs in a process of Python");
}
END_TEST

/* zo.run, zo.rows, zo.frame; what fails raises. */
START_TEST(runs_from_python)
{
    put("mine.py", twins[0].python);
    put("go.py", "import zo\n"
        "config = {'model': 'shape:roberta-tiny', 'init': 'random', 'task': 'synth-lengths', 'train': 24, 'dev': 8, 'test': 0, 'context': 48, 'batch': 5,\n"
        "          'steps': 3, 'optimizer': ['./mine.py', 'mezo']}\n"
        "cells = zo.run(config, db='go.db')\n"
        "print([(c['optimizer'], c['status']) for c in cells])\n"
        "rows = zo.rows('go.db', 'SELECT optimizer, steps FROM runs ORDER BY 1')\n"
        "print(rows)\n"
        "try:\n    zo.run({**config, 'optimizer': 'mezoo'}, db='go.db')\n"
        "except zo.Error as error:\n    print('raised', error)\n"
        "try:\n    frame = zo.frame('go.db', 'SELECT optimizer, steps FROM runs ORDER BY 1')\n    print('frame', frame.shape, frame['steps'].sum())\n"
        "except zo.Error as error:\n    print('no frame:', error)\n");
    MUST("ZO_PROGRAM=$ZO python3 go.py");
    ASSERT_HAS(said, "[('mine', 'done'), ('mezo', 'done')]");
    ASSERT_HAS(said, "[{'optimizer': 'mezo', 'steps': 3}, {'optimizer': 'mine', 'steps': 3}]");
    ASSERT_HAS(said, "raised zo run: ");
    ASSERT_HAS(said, "did you mean \"mezo\"?");
    if (strstr(said, "no frame: zo.frame wants pandas") != NULL) {
        printf("skipped: zo.frame; wants pandas\n");
    } else {
        ASSERT_HAS(said, "frame (2, 2) 6");
    }
}
END_TEST

START_TEST(the_example_runs_and_its_cost_is_measured)
{
    MUST("mkdir -p examples/plugin_python && cp $ROOT/examples/plugin_python/[ce]*[ny] examples/plugin_python");
    MUST("sed -e 's/synth-small/shape:roberta-tiny\", \"init\": \"random/; s/synth-sentiment/synth-lengths/; s/\"prompt\"/\"head\"/; s/\"work\": 1000/\"work\": 24/' "
         "-e 's/\\[0, 1, 2\\]/0/; s/\"\\(train\\|dev\\|test\\)\": 1*2*00*/\"\\1\": 40/g' examples/plugin_python/compare.json >c.json");
    MUST("$ZO run c.json --db example.db");
    MUST("$ZO sql --db example.db \"SELECT optimizer, status, steps, forwards FROM runs WHERE lr = 1e-4 ORDER BY 1\" --format csv");
    ASSERT_HAS(said, "es-z,done,3,24\nmezo,done,12,24\n");
    MUST("$ZO list optimizers --json --plugin examples/plugin_python/es_z.py");
    cJSON *rows = cJSON_Parse(said), *last = cJSON_GetArrayItem(rows, cJSON_GetArraySize(rows) - 1);
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(last, "optimizer")), "es-z");
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(last, "options")), 2);
    cJSON_Delete(rows);
    MUST("python3 -m zo overhead shape:roberta-tiny examples/plugin_python/es_z.py --init random --task synth-lengths --context 48 --steps 5");
    const char *measured = strstr(said, "Python itself takes ");
    ck_assert_msg(measured != NULL && strtod(measured + 20, NULL) > 0, "%s", said);
    printf("measured: %s", measured);
}
END_TEST

/* The package that pip installs is the package of the tree. */
START_TEST(pip_installs_it)
{
    if (shell("python3 -m pip --version") != 0) {
        printf("skipped: pip install ./python; wants pip\n");
        return;
    }
    MUST("cp -r $ROOT/python source && python3 -m pip install -q --no-index --no-deps --disable-pip-version-check --root-user-action ignore --target installed ./source");
    put("mine.py", twins[0].python);
    MUST("cd installed && PYTHONPATH= python3 -m zo describe ../mine.py");
    ASSERT_HAS(said, "\"name\": \"mine\"");
}
END_TEST

int main(void)
{
    if (!shell_open("test_python")) {
        return 1;
    }
    char path[3000];
    snprintf(path, sizeof path, "%s/python", getenv("ROOT"));
    setenv("PYTHONPATH", path, 1);
    const char *wants = NULL;
    put("mine.py", twins[0].python);
    if (shell("python3 --version") != 0) {
        wants = "python3";
    } else if (shell("test -e $ROOT/python/zo/libzo.so") != 0) {
        wants = "the library, which `make python` builds";
    } else if (shell("$ZO list optimizers --plugin mine.py") != 0 && strstr(said, "is of revision") != NULL) {
        wants = "the library of this revision, which `make python` builds";
    }
    int failed = 0;
    if (wants != NULL) {
        printf("skipped: estimators in Python; they want %s\n", wants);
    } else {
        TCase *t = tcase_create("python");
        tcase_set_timeout(t, 300);
        tcase_add_loop_test(t, a_method_in_python_has_its_own_bits, 0, sizeof twins / sizeof *twins);
        tcase_add_test(t, a_traceback_ends_the_row);
        tcase_add_test(t, what_is_no_estimator_is_refused);
        tcase_add_test(t, runs_from_python);
        tcase_add_test(t, the_example_runs_and_its_cost_is_measured);
        tcase_add_test(t, pip_installs_it);
        Suite *s = suite_create("python");
        suite_add_tcase(s, t);
        failed = suite_run(s);
    }
    folder_remove(folder);
    return failed != 0;
}
