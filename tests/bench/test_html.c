/* test_html.c: `zo report --html`: one file that needs no other, well-formed, whose texts come from the database and drive nothing. */
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

static char *page; /* as it was read last */

static void read_page(const char *name)
{
    size_t n;
    zo_err err = {0};
    zo_free(page);
    ck_assert_msg(zo_read_file(below(name), 1 << 26, &page, &n, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(strlen(page), n);
}

#define HAS(part) ck_assert_msg(strstr(page, (part)) != NULL, "the page lacks \"%s\"", (part))
#define LACKS(part) ck_assert_msg(strstr(page, (part)) == NULL, "the page has \"%s\"", (part))

/* Every element that is opened is closed, in its order; the style's text and what stands in quotes are no elements. */
static void assert_well_formed(void)
{
    enum { DEEP = 64 };
    char open[DEEP][24];
    int deep = 0, elements = 0;
    for (const char *at = strchr(page, '<'); at != NULL; at = strchr(at, '<')) {
        char name[24] = "";
        bool closes = at[1] == '/', quoted = false;
        const char *word = at + 1 + closes, *end = word;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word, " >\n"), word);
        for (; *end != '\0' && (quoted || *end != '>'); end++) {
            quoted = quoted != (*end == '"');
        }
        ck_assert_msg(*end == '>', "unfinished: %.60s", at);
        at = end + 1;
        if (name[0] == '!' || strcmp(name, "meta") == 0 || strcmp(name, "br") == 0) {
            continue;
        }
        if (closes) {
            ck_assert_msg(deep > 0 && strcmp(open[deep - 1], name) == 0, "</%s> closes <%s>", name, deep > 0 ? open[deep - 1] : "nothing");
            deep--;
        } else {
            ck_assert_int_lt(deep, DEEP);
            strcpy(open[deep++], name);
            elements++;
            at = strcmp(name, "style") == 0 ? strstr(at, "</style>") : at;
        }
    }
    ck_assert_int_eq(deep, 0);
    ck_assert_int_gt(elements, 40);
}

static int methods; /* pictures in which the pointer finds MeZO's name */

/* The pictures, decoded: how many, each an SVG document. */
static int count_pictures(void)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", before[] = "data=\"data:image/svg+xml;base64,";
    int n = 0;
    for (const char *at = strstr(page, before); at != NULL; at = strstr(at, before)) {
        at += sizeof before - 1;
        size_t length = strcspn(at, "\"");
        ck_assert_int_eq(length % 4, 0);
        char *svg = zo_alloc(ZO_HOST, ZO_TAG_OTHER, length);
        size_t bytes = 0;
        for (size_t i = 0; i < length; i += 4) {
            unsigned four = 0;
            for (int k = 0; k < 4; k++) {
                const char *d = at[i + (size_t)k] == '=' ? digit : strchr(digit, at[i + (size_t)k]);
                ck_assert_ptr_nonnull(d);
                four = four << 6 | (unsigned)(d - digit);
            }
            for (int k = 0; k < 3 && at[i + (size_t)k + 1] != '='; k++) {
                svg[bytes++] = (char)(four >> (16 - 8 * k) & 255);
            }
        }
        svg[bytes] = '\0';
        ck_assert_msg(strstr(svg, "<svg") != NULL && strstr(svg, ":hover") != NULL && strstr(svg, "</svg>") != NULL, "%.80s", svg);
        ck_assert_msg(strstr(svg, "index s") == NULL && strstr(svg, "<title>gnuplot_plot") == NULL, "the pointer finds no name but a word of gnuplot's");
        methods += strstr(svg, "<title>MeZO</title>") != NULL;
        ck_assert(strstr(strstr(svg, "<svg"), "<style>") < strstr(svg, "</svg>"));
        zo_free(svg);
        n++;
    }
    return n;
}

START_TEST(a_page_is_whole)
{
    put("c.json", "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, \"context\": 16, "
                  "\"batch\": 4, \"steps\": 4, \"eval_every\": 2, \"threads\": 1, \"seed\": [0, 1, 2], \"optimizer\": [\"mezo\", \"fo-sgd\"]}");
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("z.db")) == 0, "%s", program_said);
    ck_assert_msg(COMMAND(zo_cmd_report, "report", "--db", below("z.db"), "--html", below("out.html")) == 0, "%s", program_said);
    ASSERT_SAID("out.html is written\n");
    read_page("out.html");
    assert_well_formed();
    HAS("<th>method</th>");
    HAS("<td>fo-sgd");
    HAS("Where and by what");
    HAS("seeds 0,1,2</summary>");
    LACKS("Running now"); /* nothing runs */
    LACKS("http-equiv");
    LACKS("http://");
    LACKS("https://");
    LACKS(" src=");
    LACKS("<script");
    LACKS("<link");
    if (system("gnuplot --version > /dev/null 2>&1") == 0) {
        ck_assert_int_gt(count_pictures(), 3);
        ck_assert_int_gt(methods, 3);
    }
    /* numbers of the page are those of the table on a terminal */
    ck_assert_int_eq(COMMAND(zo_cmd_report, "report", "--db", below("z.db")), 0);
    const char *score = strstr(program_said, "mezo");
    ck_assert_ptr_nonnull(score);
    char cell[60];
    ck_assert_int_eq(sscanf(strchr(score, '|') + 1, " %50[^|]", cell), 1);
    cell[strlen(cell) - 1] = '\0';
    char *end = cell + strlen(cell);
    while (end > cell && end[-1] == ' ') {
        *--end = '\0';
    }
    char wanted[80];
    snprintf(wanted, sizeof wanted, "<td>%s</td>", cell);
    HAS(wanted);
    /* against a method, and with a running try */
    change("z.db", "UPDATE tries SET status = 'running' WHERE run = 2");
    ck_assert_msg(COMMAND(zo_cmd_report, "report", "--db", below("z.db"), "--html", below("out.html"), "--against", "mezo") == 0, "%s", program_said);
    read_page("out.html");
    assert_well_formed();
    HAS("accuracy against mezo");
    HAS("Running now");
}
END_TEST

START_TEST(texts_drive_nothing)
{
    put("c.json", "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, \"context\": 16, "
                  "\"batch\": 4, \"steps\": 2, \"threads\": 1, \"optimizer\": \"mezo\"}");
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("x.db")) == 0, "%s", program_said);
    change("x.db", "UPDATE cells SET task = '<script>alert(\"1\")</script>', model = 'a&b', config = json_set(config, '$.model', '</pre><img src=x>');"
                   "UPDATE tries SET note = 'a' || char(27) || '[31mred', status = 'failed', message = '\"><b>', host = '<i>'");
    ck_assert_msg(COMMAND(zo_cmd_report, "report", "--db", below("x.db"), "--html", below("x.html")) == 0, "%s", program_said);
    read_page("x.html");
    assert_well_formed();
    LACKS("<script");
    LACKS("<img");
    LACKS("<b>");
    LACKS("<i>");
    LACKS("\x1b");
    HAS("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;");
    HAS("a&amp;b");
}
END_TEST

START_TEST(what_is_refused)
{
    ck_assert_int_eq(COMMAND(zo_cmd_report, "report", "--db", below("none.db"), "--html", below("n.html")), 2);
    ASSERT_SAID("there is no such database");
    ck_assert_int_ne(access(below("n.html"), F_OK), 0);
    ck_assert_int_eq(COMMAND(zo_cmd_report, "report", "--db", below("none.db"), "--html", below("n.html"), "--json"), 2);
    ASSERT_SAID("--html is a format of its own");
    ck_assert_int_eq(COMMAND(zo_cmd_report, "report", "--db", below("none.db"), "--every", "3"), 2);
    ASSERT_SAID("--every is for --html FILE");
}
END_TEST

/* Written again while it runs, until it is ended, and never half a page. */
START_TEST(a_live_page)
{
    put("c.json", "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 0, \"test\": 0, \"context\": 16, "
                  "\"batch\": 4, \"steps\": 2, \"threads\": 1, \"optimizer\": \"mezo\"}");
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("l.db")) == 0, "%s", program_said);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL); /* Check's would end the test too */
        freopen(below("live_said"), "w", stderr);
        char *argv[] = {"report", "--db", (char *)below("l.db"), "--html", (char *)below("l.html"), "--every", "1", NULL};
        _exit(zo_cmd_report(7, argv));
    }
    for (int i = 0; i < 600 && access(below("l.html"), F_OK) != 0; i++) {
        usleep(50000);
    }
    read_page("l.html");
    HAS("<meta http-equiv=\"refresh\" content=\"1\">");
    LACKS("marked by hand");
    change("l.db", "UPDATE tries SET status = 'failed', message = 'marked by hand'");
    bool seen = false;
    for (int i = 0; i < 600 && !seen; i++) {
        usleep(50000);
        read_page("l.html");
        assert_well_formed();
        seen = strstr(page, "marked by hand") != NULL;
    }
    kill(pid, SIGTERM);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(seen);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the cells' process too */
        return zo_output_end(argv[1], strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : 127);
    }
    program_begin("html");
    TCase *t = tcase_create("html");
    tcase_set_timeout(t, 180);
    tcase_add_test(t, a_page_is_whole);
    tcase_add_test(t, texts_drive_nothing);
    tcase_add_test(t, what_is_refused);
    tcase_add_test(t, a_live_page);
    Suite *suite = suite_create("html");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
