/* test_help.c: the help of every command ends with examples. Each is typed as it stands, in a folder that has the files that examples name, and must
 * end well. Of those that want a network, a git tree or minutes the words alone are looked at: an option behind them that does not exist is what the
 * program must find wrong, for it reads words from left to right. */
#include "tests/shell.h"
#include "tests/suite.h"

/* Not run: where each begins. */
static const char *const words_alone[] = {"zo get ", "zo regress ", "zo demo ", "zo diff 0a1b2c "};

static const char config[] =
    "{\"model\": \"synth-tiny\", \"task\": \"synth-acceptability\", \"form\": \"prompt\", \"context\": 64, \"train\": 32, \"dev\": 8, \"test\": 8, \"batch\": 4, "
    "\"steps\": 20, \"eval_every\": 10, \"threads\": 1, \"seed\": [0, 1], \"optimizer\": [{\"name\": \"mezo\", \"lr\": [1e-4, 1e-3]}]}";

static bool run_too(const char *line)
{
    for (size_t i = 0; i < sizeof words_alone / sizeof *words_alone; i++) {
        if (strncmp(line, words_alone[i], strlen(words_alone[i])) == 0) {
            return false;
        }
    }
    return true;
}

/* One example, without the blanks before it. `zo help` looks at its first word alone. */
static void try_example(const char *line)
{
    if (run_too(line)) {
        ck_assert_msg(shell("%s </dev/null", line) == 0, "%s: %.3000s", line, said);
    }
    if (strncmp(line, "zo help", 7) != 0) {
        ck_assert_msg(shell("%s --no-such-option", line) == 2 && strstr(said, "there is no option --no-such-option") != NULL, "%s: %.3000s", line, said);
    }
}

/* The examples at the end of what `zo help COMMAND` says; returns how many. */
static int try_examples(const char *command)
{
    static char text[sizeof said];
    MUST("zo help %s", command);
    snprintf(text, sizeof text, "%s", said);
    char *at = strstr(text, "\nExample");
    ck_assert_msg(at != NULL, "zo help %s has no examples", command);
    ck_assert_msg(strstr(at + 1, "\nExample") == NULL, "zo help %s has examples in two places", command);
    int n = 0;
    for (char *line = strtok(strchr(at + 1, '\n'), "\n"); line != NULL; line = strtok(NULL, "\n"), n++) {
        char own[80];
        snprintf(own, sizeof own, "  zo %s ", command);
        ck_assert_msg(strncmp(line, own, strlen(own)) == 0, "zo help %s does not end with an example of it: %s", command, line);
        try_example(line + 2);
    }
    return n;
}

START_TEST(every_help_ends_with_examples_that_work)
{
    MUST("zo help | sed -n 's/^  zo \\([a-z]*\\) .*/\\1/p'");
    char *commands = strdup(said);
    int n = 0, examples = 0;
    for (char *rest = commands, *command; (command = strsep(&rest, "\n")) != NULL && *command != '\0'; n++) {
        int of = try_examples(command);
        ck_assert_msg(of == 1 || of == 2, "zo help %s has %d examples; expected one or two", command, of);
        examples += of;
        MUST("zo help %s >by-help && zo %s --help | cmp - by-help", command, command);
    }
    free(commands);
    ck_assert_int_ge(n, 25);
    ck_assert_int_gt(examples, n);
}
END_TEST

/* NO_COLOR: nothing is coloured, so there is nothing to turn off; on a terminal too, where `script` makes one. */
START_TEST(nothing_is_coloured)
{
    if (shell("command -v script") != 0) {
        printf("skipped: colours on a terminal; wants script(1)\n");
        return;
    }
    MUST("script -qec 'zo run sst2.json --db coloured.db; zo report --db coloured.db; zo run nothing.json; zo help run' terminal </dev/null");
    MUST("grep -q 'there is no file\\|cannot be\\|No such' terminal && ! grep -q \"$(printf '\\033\\[[0-9;]*m')\" terminal");
}
END_TEST

int main(void)
{
    if (!shell_open("help")) {
        return 1;
    }
    /* The folder of the examples: the program in PATH, two databases, and a model that a run of it has left. */
    char path[8000];
    snprintf(path, sizeof path, "%s/%s/bin:%s", getenv("ROOT"), folder, getenv("PATH"));
    setenv("PATH", path, 1);
    setenv("ZO_MODELS", "models", 1);
    ZO_CHECK(shell("mkdir -p bin models data/glue/SST-2") == 0, "%s", said);
    put("sst2.json", config);
    put("lines.txt", "a fine film\nno film at all\n");
    put("data/glue/SST-2/train.tsv", "sentence\tlabel\na fine film \t1\nno film at all \t0\nfine \t1\nno \t0\n");
    put("data/glue/SST-2/dev.tsv", "sentence\tlabel\nfilm \t1\nat all \t0\n");
    int ready = shell("ln -s $ZO bin/zo && ln -s $ROOT/paper_configs paper_configs && zo run sst2.json --samples && "
                      "for of in grid monday tuesday results/regress; do cp results/zo.db $of.db || exit 1; done && zo export 1 models/minilm-l6");
    if (ready != 0) {
        fprintf(stderr, "%s\n", said);
        return 1;
    }
    TCase *t = tcase_create("help");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, every_help_ends_with_examples_that_work);
    tcase_add_test(t, nothing_is_coloured);
    Suite *s = suite_create("help");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
