/* test_plugins.c: estimators in files of their own: each refusal, what a run of one is, the header and the exports, and the example of
 * examples/plugin_c. Plug-ins are compiled here, with cc and the header that `make install` installs; the program beside this test runs them. Oracles: a
 * method of the program, compiled as a plug-in, must give its own bits; nm; headers that are edited as another day would have them. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/shell.h"
#include "tests/suite.h"

/* A plug-in whose every part can be spoiled by a macro. */
static const char mine_c[] =
    "#include <zo/plugin.h>\n"
    "#include <stdio.h>\n"
    "#include <stdlib.h>\n"
    "#ifndef NAME\n#define NAME \"mine\"\n#endif\n"
    "#ifndef TITLE\n#define TITLE \"Mine\"\n#endif\n"
    "#ifndef LOSS_IS\n#define LOSS_IS \"L(w + eps z)\"\n#endif\n"
    "#ifndef LOSSES_AT\n#define LOSSES_AT \"w +- eps z\"\n#endif\n"
    "#ifndef OPTIONS\n#define OPTIONS options\n#endif\n"
    "#ifndef BYTES\n#define BYTES sizeof(state)\n#endif\n"
    "#ifndef NEEDS\n#define NEEDS needs\n#endif\n"
    "#ifndef STEP\n#define STEP step\n#endif\n"
    "#ifndef LR\n#define LR 1e-3\n#endif\n"
    "#ifndef EPS\n#define EPS 1e-3\n#endif\n"
    "#ifndef USUAL\n#define USUAL false\n#endif\n"
    "#ifndef KEY\n#define KEY \"scale\"\n#endif\n"
    "#ifndef INITIAL\n#define INITIAL 1.0\n#endif\n"
    "#ifndef CHOICES\n#define CHOICES \"gauss|rademacher\"\n#endif\n"
    "#ifndef CHOICE\n#define CHOICE 0\n#endif\n"
    "#ifndef TYPE\n#define TYPE ZO_OPT_REAL\n#endif\n"
    "#ifndef VARIANT\n#define VARIANT {\"draw\", \"rademacher\", \"signs\"}\n#endif\n"
    "#ifndef SIGN\n#define SIGN -1\n#endif\n"
    "#ifndef BAD\n#define BAD\n#endif\n"
    "typedef struct state { double scale; int64_t count; int draw; } state;\n"
    "static const zo_opt options[] = {{.key = \"count\", .type = ZO_OPT_INT, .offset = offsetof(state, count), .initial = 1, .least = 1, .most = 9},\n"
    "    {.key = KEY, .type = TYPE, .offset = offsetof(state, scale), .initial = INITIAL, .least = 0, .most = 2, .help = \"times lr\"},\n"
    "    {.key = \"draw\", .type = ZO_OPT_CHOICE, .offset = offsetof(state, draw), .initial = CHOICE, .choices = CHOICES}, {.key = NULL}};\n"
    "static const zo_variant variants[] = {VARIANT, {.key = NULL}};\n"
    "static void needs(const void *self, const zo_extent *extent, zo_needs *n)\n"
    "{\n    (void)self, (void)extent;\n    zo_spsa_needs(n, 1, 1, 0);\n    n->updates = 1;\n}\n"
    "static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)\n"
    "{\n    BAD;\n    state *s = self;\n"
    "    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};\n"
    "    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);\n"
    "    zo_term move = {.dir = probe.dir[0], .coef = SIGN * s->scale * c->lr * probe.projected};\n"
    "    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};\n"
    "    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;\n}\n"
    "#ifdef OLDER\nstatic zo_status start(void *self, zo_objective *o, zo_err *err)\n{\n    (void)self, (void)o, (void)err;\n    return ZO_OK;\n}\n"
    "static void stop(void *self)\n{\n    (void)self;\n    fclose(fopen(\"stopped\", \"w\"));\n}\n#endif\n"
    "const zo_estimator mine = {.name = NAME, .title = TITLE, .variants = variants, .loss_is = LOSS_IS, .losses_at = LOSSES_AT, .options = OPTIONS,\n"
    "    .state_bytes = BYTES, .lr = LR, .eps = EPS, .descends_lr = 0.01, .usual = USUAL, .allows = zo_allows_dense, .needs = NEEDS, .step = STEP,\n"
    "#ifdef MORE\nMORE\n#endif\n"
    "#ifdef OLDER\n    .start = start, .stop = stop,\n#endif\n};\n"
    "const void *const used[] = {options, variants, needs, step};\n"
    "#ifdef INFO\nconst zo_plugin_info zo_plugin = INFO;\n#elif !defined(NOTHING)\nZO_PLUGIN(mine);\n#endif\n";

static void compile(const char *file, const char *flags)
{
    MUST("cc -std=c11 -O1 -Wall -Wextra -Werror -fPIC -shared -I$BUILD/include %s mine.c -o %s", flags, file);
}

static int list_it(const char *file)
{
    return shell("$ZO list optimizers --json --plugin %s", file);
}

/* ---- what is refused ----------------------------------------------------------------------------------------------------------- */

static const struct { const char *flags, *sentence; } spoiled[] = {
    {"-DNAME='\"mezo\"'", "mine.so: its .name is \"mezo\", which a method of this program has; give it another"},
    {"-DNAME='\"Mine\"'", "mine.so: its .name is \"Mine\"; expected 1 to 40 small letters, digits, and - _ . behind the first"},
    {"-DNAME=NULL", "mine.so: its .name is \"\"; expected"},
    {"-DTITLE=NULL", "mine.so: its estimator mine has no .title, which a plug-in must have"},
    {"-DLOSS_IS=NULL", "has no .loss_is"},
    {"-DLOSSES_AT='\"\"'", "has no .losses_at"},
    {"-DOPTIONS=NULL", "has no .options"},
    {"-DBYTES=0", "has no .state_bytes"},
    {"-DNEEDS=NULL", "has no .needs"},
    {"-DSTEP=NULL", "has no .step"},
    {"-DLR=0", "has .lr 0 and .eps 0.001, which runs get that name none; expected numbers above 0"},
    {"-DEPS=-1", "has .lr 0.001 and .eps -1,"},
    {"-DUSUAL=true", "says .usual, and no plug-in is taken where a user names no method; leave it out"},
    {"-DBYTES=12", "mine.so: its option 1, \"count\", does not lie within .state_bytes"},
    {"-DBYTES=16", "mine.so: its option 3, \"draw\", does not lie within .state_bytes"},
    {"-DKEY='\"name\"'", "its option 2, \"name\", has a key that a config cannot have"},
    {"-DKEY='\"plugin\"'", "its option 2, \"plugin\", has a key that a config cannot have"},
    {"-DKEY='\"a b\"'", "its option 2, \"a b\", has a key that a config cannot have"},
    {"-DKEY='\"count\"'", "its option \"count\" stands there twice; keep one"},
    {"-DINITIAL=3", "its option 2, \"scale\", has a default outside of .least to .most"},
    {"-DINITIAL=NAN", "its option 2, \"scale\", has a default outside of .least to .most"},
    {"-DTYPE=9", "its option 2, \"scale\", has a type that is none of zo_opt_type"},
    {"-DTYPE=ZO_OPT_STRING", "its option 2, \"scale\", does not lie within .state_bytes"},
    {"-DTYPE=ZO_OPT_STRING -DBYTES=300", "its option 2, \"scale\", has no default in .text"},
    {"-DCHOICES=NULL", "its option 3, \"draw\", has no .choices"},
    {"-DCHOICE=2", "its option 3, \"draw\", has a default that is none of its choices"},
    {"'-DVARIANT={\"drow\", \"1\", \"x\"}'", "mine.so: its variant: there is no key \"drow\"; did you mean \"draw\"?"},
    {"'-DVARIANT={\"draw\", \"none\", \"x\"}'", "mine.so: its variant: \"draw\" is"},
    {"'-DVARIANT={\"draw\", \"gauss\", NULL}'", "its variant of \"draw\" has no .says"},
    {"'-DVARIANT={\"draw\", \"\", \"x\"}'", "its variant of \"draw\" has no .value"},
    {"'-DMORE=.plain_bytes = 999,'", "its estimator mine has .plain_bytes 999, more than its .state_bytes 24"},
    {"'-DMORE=.source = 9,'", "its estimator mine has a .source that is none of zo_text_source"},
    {"'-DMORE=.sources = (const zo_sourced[]){{\"drow\", \"x\", ZO_SOURCE_PAPER}, {NULL, NULL, ZO_SOURCE_NONE}},'", "mine.so: its source: there is no key \"drow\""},
    {"-DNOTHING", "mine.so: exports no zo_plugin; write ZO_PLUGIN(mine) of zo/plugin.h in one of its files"},
    {"'-DBAD=extern void zo_engine_free(void *); zo_engine_free(NULL)'", "mine.so: cannot be loaded as a plug-in: undefined symbol: zo_engine_free"},
    {"'-DINFO={sizeof(zo_plugin_info), 2, &mine, sizeof mine, ZO_PLUGIN_SEAM}'",
     "mine.so: was built with a zo/plugin.h of version 2, and this zo has version 1; build it again with the header of this zo"},
    {"'-DINFO={8, 1, &mine, sizeof mine, ZO_PLUGIN_SEAM}'", "mine.so: its zo_plugin has 8 bytes; expected 32 or more"},
    {"'-DINFO={sizeof(zo_plugin_info), 1, NULL, sizeof mine, ZO_PLUGIN_SEAM}'", "mine.so: its zo_plugin has no estimator or no seam; write ZO_PLUGIN(mine)"},
    {"'-DINFO={sizeof(zo_plugin_info), 1, &mine, sizeof mine, NULL}'", "mine.so: its zo_plugin has no estimator or no seam"},
    {"'-DINFO={sizeof(zo_plugin_info), 1, &mine, 0, ZO_PLUGIN_SEAM}'", "mine.so: its zo_plugin has no estimator or no seam"},
    {"'-DINFO={sizeof(zo_plugin_info), 1, &mine, sizeof mine + 8, ZO_PLUGIN_SEAM}'", "mine.so: its zo_estimator has "},
    {"'-DINFO={sizeof(zo_plugin_info), 1, &mine, sizeof mine, \"anything\"}'", "mine.so: its zo_plugin.seam is not that of a zo/plugin.h; leave it to ZO_PLUGIN(mine)"}};

START_TEST(what_is_no_plugin_is_refused)
{
    put("mine.c", mine_c);
    compile("mine.so", spoiled[_i].flags);
    ck_assert_int_eq(list_it("mine.so"), 2);
    ASSERT_HAS(said, spoiled[_i].sentence);
    ck_assert_msg(strncmp(said, "zo list: mine.so: ", 18) == 0 && strchr(said, '\n') == said + strlen(said) - 1, "no one sentence: %s", said);
    if (_i % 8 != 0) {
        return;
    }
    /* and in a config */
    put("c.json", "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"steps\": 2, \"optimizer\": \"./mine.so\"}");
    ck_assert_int_eq(shell("$ZO run c.json --db c.db"), 2);
    ASSERT_HAS(said, spoiled[_i].sentence);
    ASSERT_HAS(said, "zo run: c.json: ./mine.so: ");
    ck_assert_int_eq(shell("test -e c.db"), 1);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    ck_assert_int_eq(list_it("nowhere.so"), 2);
    ASSERT_HAS(said, "zo list: nowhere.so: ");
    put("text.so", "not a library, and long enough to be looked at as one: it has no ELF header at its beginning, which is what is said of it\n");
    ck_assert_int_eq(list_it("text.so"), 2);
    ASSERT_HAS(said, "zo list: text.so: cannot be loaded as a plug-in: ");
    ck_assert_int_eq(list_it("."), 2);
    put("mine.c", mine_c);
    compile("mine.so", "");
    static const char *const bytes[] = {"100", "3000", "9000"}; /* in the table of what is loaded; behind it; in what is loaded last */
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        MUST("test $(wc -c <mine.so) -gt %s && head -c %s mine.so >cut.so", bytes[i], bytes[i]);
        ck_assert_int_eq(list_it("cut.so"), 2);
        ASSERT_HAS(said, "zo list: cut.so: cannot be loaded as a plug-in: the file is cut off; build or copy it again\n");
    }
    static const struct { const char *optimizer, *sentence; } wrong[] = {
        {"{\"name\": \"./mine.so\", \"scal\": 1}", "c.json: optimizer mine: there is no key \"scal\"; did you mean \"scale\"?"},
        {"{\"name\": \"./mine.so\", \"scale\": 3}", "c.json: optimizer mine: \"scale\" is 3"},
        {"{\"name\": \"other\", \"plugin\": \"./mine.so\"}", "c.json: the optimizer of the plug-in ./mine.so is \"mine\", and \"name\" is \"other\"; they must be the same"},
        {"{\"name\": \"mine\", \"plugin\": 3}", "c.json: \"plugin\" is a number; expected the path of a shared object, such as \"./mine.so\""},
        {"\"mine\"", "c.json: there is no optimizer \"mine\""}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[600];
        snprintf(text, sizeof text, "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"steps\": 2, \"optimizer\": %s}",
                 wrong[i].optimizer);
        put("c.json", text);
        ck_assert_int_eq(shell("$ZO run c.json --db c.db"), 2);
        ASSERT_HAS(said, wrong[i].sentence);
    }
}
END_TEST

/* ---- what it is built with ------------------------------------------------------------------------------------------------------- */

/* A header of another day: what is different in it, by sed, and what is said of a plug-in that was built with it; "" = it runs. */
static const struct { const char *edit, *sentence; } days[] = {
    {"s/^    double lr, eps;  *.. defaults when/    int more;\\n&/", "whose zo_estimator has \"int more; double lr, eps;"},
    {"/^    uint64_t seed;  *.. of every direction/d", "whose zo_objective has \"int blocks;"},
    {"s/double loss;  *.. what the method/double projected_too, loss; \\/* what the method/", "whose zo_step_report has \"double projected_too, loss;"},
    {"s/^typedef struct zo_term { zo_dir dir; double coef; }/typedef struct zo_term { zo_dir dir; double coef, more; }/",
     "whose zo_term has \"double coef, more;\" where this zo has \"double coef;\"; build it again with the header of this zo"},
    {"s/ZO_DRAW_GAUSS,/ZO_DRAW_UNIFORM, ZO_DRAW_GAUSS,/", "whose zo_draw has \"ZO_DRAW_UNIFORM, ZO_DRAW_GAUSS,"},
    {"s/X(ZO_RULE_SGD,/X(ZO_RULE_NONE, zo_rule_sgd, \"none\") &/", "whose ZO_RULE_LIST has "},
    {"s/X(OTHER, \"other\")/X(OTHER, \"other\") X(MORE, \"more\")/", "whose ZO_TAG_LIST has "},
    {"s/^zo_dir zo_gauss(const zo_objective \\*o,/& int more,/", "whose zo_gauss() has "},
    {"s/^#define ZO_OPT_STRING_BYTES 256/#define ZO_OPT_STRING_BYTES 128/", "whose ZO_OPT_STRING_BYTES has \"128\" where this zo has \"256\""},
    {"s/^} zo_estimator;/    void (*more)(void);\\n&/", "whose zo_estimator has \"void (*more)(void);\" where this zo has \"\""}, /* younger */
    {"/^} zo_estimator;/ { drop = 1 }", ""}, /* older, in awk: the last slot, that is the line before this one, is not there yet */
    {"/^} zo_extent;/ { drop = 1 }", ""},
    {"s/ZO_EDIVERGED,/ZO_EDIVERGED/; /^    ZO_ETIME /d", ""},
    {"s/ZO_ACCUMULATE_LOG, ZO_ACCUMULATES }/ZO_ACCUMULATES }/", ""},
    {"s/^} zo_estimator;/& \\/* another comment *\\//", ""}};

START_TEST(headers_of_another_day)
{
    put("mine.c", mine_c);
    put("edit", days[_i].edit);
    put("last", "{ if (NR > 1 && !drop) { print before } drop = 0; before = $0 } END { print before }\n");
    MUST("mkdir -p day%d/zo && case $(cat edit) in *drop*) awk -f edit -f last $BUILD/include/zo/plugin.h ;; *) sed -f edit $BUILD/include/zo/plugin.h ;; esac >day%d/one.h "
         "&& ! cmp -s day%d/one.h $BUILD/include/zo/plugin.h", _i, _i, _i);
    /* its seam is made of it, as that of a tree of that day would be */
    MUST("sed '/^#define ZO_PLUGIN_SEAM/,/[^\\\\]$/d' day%d/one.h >day%d/bare.h && { awk -f $ROOT/make/seam.awk day%d/bare.h; cat day%d/bare.h; } >day%d/zo/plugin.h", _i, _i,
         _i, _i, _i);
    MUST("cc -std=c11 -O1 -fPIC -shared -Iday%d -DNAME='\"day%d\"' %s mine.c -o day.so", _i, _i, strstr(days[_i].sentence, "zo_gauss") != NULL ? "-w" : "-Wall -Werror");
    int code = list_it("day.so");
    if (days[_i].sentence[0] == '\0') {
        ck_assert_msg(code == 0, "%.2000s", said);
        put("c.json", "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 24, \"dev\": 8, \"test\": 0, \"context\": 48, "
            "\"batch\": 5, \"steps\": 2, \"optimizer\": \"./day.so\"}");
        MUST("$ZO run c.json --db day%d.db", _i);
    } else {
        ck_assert_int_eq(code, 2);
        ASSERT_HAS(said, "zo list: day.so: was built with another zo/plugin.h, ");
        ASSERT_HAS(said, days[_i].sentence);
    }
}
END_TEST

/* The header is one file that needs no other of ours; the program exports what it declares, and nothing else of its own. */
START_TEST(exports_are_what_the_header_declares)
{
    MUST("! grep -n '#include \"' $BUILD/include/zo/plugin.h");
    put("alone.c", "#include <zo/plugin.h>\n#include <zo/plugin.h>\n");
    MUST("cc -std=c11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror -fsyntax-only -I$BUILD/include alone.c");
    MUST("c++ -x c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -I$BUILD/include alone.c");
    if (shell("command -v nm") != 0) {
        printf("skipped: what the program exports; wants nm (binutils)\n");
        return;
    }
    /* by the compiler's own list of what the header declares */
    MUST("export CCACHE_DISABLE=1; cc -std=c11 -c -o alone.o -aux-info declared -I$BUILD/include alone.c; grep -F 'include/zo/plugin.h' declared | grep -v ' static ' | "
         "grep -oE '\\bzo_[a-z0-9_]+ \\(' | tr -d ' (' | sort -u >wanted; test $(wc -l <wanted) -ge 50");
    MUST("nm -D --defined-only $ZO | awk '$2 == \"T\" && $3 !~ /^_/ { print $3 }' | sort >exported; diff wanted exported");
}
END_TEST

/* In C++ too. */
START_TEST(a_plugin_may_be_cpp)
{
    put("mine.cpp",
        "#include <zo/plugin.h>\n"
        "struct state { double scale; };\n"
        "static const zo_opt options[] = {{.key = \"scale\", .type = ZO_OPT_REAL, .offset = 0, .initial = 1, .least = 0, .most = 2}, {.key = nullptr}};\n"
        "static void needs(const void *, const zo_extent *, zo_needs *n) { zo_spsa_needs(n, 1, 1, 0); n->updates = 1; }\n"
        "static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)\n"
        "{\n    zo_probe probe = {};\n    probe.dir[0] = zo_gauss(o, c->step, 0);\n    probe.ndirs = 1;\n"
        "    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);\n    if (status != ZO_OK) { return status; }\n"
        "    zo_term move = {probe.dir[0], -c->lr * probe.projected * static_cast<state *>(self)->scale};\n"
        "    r->loss = probe.plus;\n    r->projected = probe.projected;\n    return o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err);\n}\n"
        "static const zo_estimator mine = {.name = \"mine-cpp\", .title = \"Mine\", .loss_is = \"L\", .losses_at = \"w +- eps z\", .options = options,\n"
        "    .state_bytes = sizeof(state), .lr = 1e-3, .eps = 1e-3, .needs = needs, .step = step};\n"
        "ZO_PLUGIN(mine);\n");
    MUST("c++ -std=c++20 -Wall -Wextra -Werror -Wno-missing-field-initializers -fPIC -shared -I$BUILD/include mine.cpp -o cpp.so");
    put("c.json", "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 24, \"dev\": 8, \"test\": 0, \"context\": 48, "
        "\"batch\": 5, \"steps\": 3, \"optimizer\": [\"mezo\", {\"name\": \"./cpp.so\", \"lr\": 1e-6}]}");
    MUST("$ZO run c.json --db cpp.db");
    MUST("$ZO sql --db cpp.db \"SELECT count(*) n, count(DISTINCT loss) losses FROM steps\" --format csv");
    ASSERT_HAS(said, "6,3"); /* what MeZO does, it does */
}
END_TEST

/* ---- runs -------------------------------------------------------------------------------------------------------------------------- */

#define TINY "\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 24, \"dev\": 8, \"test\": 0, \"context\": 48, \"batch\": 5, "

/* A method of the program, built as a plug-in from its own file: the same bits, the same memory, the same peak predicted. */
START_TEST(a_method_as_a_plugin_has_its_own_bits)
{
    MUST("{ echo '#include <zo/plugin.h>'; sed -e '/#include \"/d' -e 's/\\.name = \"mezo-m\"/.name = \"mezo-again\"/' $ROOT/optimizers/mezo_m.c; "
         "echo 'ZO_PLUGIN(zo_estimator_mezo_m);'; } >again.c && cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I$BUILD/include again.c -o again.so");
    put("c.json", "{" TINY "\"steps\": 6, \"realisation\": [\"inplace\", \"streamed\"], \"seed\": [1, 2], \"lr\": 1e-2, \"optimizer\": "
        "[{\"name\": \"mezo-m\", \"beta\": 0.5}, {\"name\": \"./again.so\", \"beta\": 0.5}]}");
    MUST("$ZO run c.json --db again.db --dry-run --json");
    cJSON *cells = cJSON_Parse(said);
    ck_assert_int_eq(cJSON_GetArraySize(cells), 8);
    for (int i = 0; i < 8; i += 4) { /* realisation, optimizer, seed */
        for (int seed = 0; seed < 2; seed++) {
            double of[2];
            for (int k = 0; k < 2; k++) {
                of[k] = cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetArrayItem(cells, i + 2 * k + seed), "predicted_bytes"));
            }
            ck_assert_msg(of[0] > 0 && of[1] >= of[0] && of[1] < 1.001 * of[0], "%g and %g bytes", of[0], of[1]); /* it is in memory itself */
        }
    }
    cJSON_Delete(cells);
    MUST("$ZO run c.json --db again.db");
    MUST("$ZO sql --db again.db \"SELECT count(*) n, count(DISTINCT a.loss) losses, sum(a.loss != b.loss OR a.projected != b.projected) AS other, "
         "max(q.train_peak_bytes - p.train_peak_bytes) AS more FROM steps a JOIN runs p USING (run) JOIN runs q ON q.optimizer = 'mezo-again' AND p.optimizer = 'mezo-m' "
         "AND p.seed = q.seed AND p.realisation = q.realisation JOIN steps b ON b.run = q.run AND b.step = a.step\" --json");
    cJSON *row = cJSON_Parse(said);
    const cJSON *it = row->child;
    ck_assert_msg(cJSON_GetNumberValue(cJSON_GetObjectItem(it, "n")) == 24 && cJSON_GetNumberValue(cJSON_GetObjectItem(it, "losses")) >= 12 &&
                      cJSON_GetNumberValue(cJSON_GetObjectItem(it, "other")) == 0 && cJSON_GetNumberValue(cJSON_GetObjectItem(it, "more")) < 2000,
                  "%s", said);
    cJSON_Delete(row);
    MUST("$ZO sql --db again.db \"SELECT DISTINCT optimizer, length(plugin_fingerprint) length FROM runs ORDER BY 1\" --format csv");
    ASSERT_HAS(said, "mezo-again,16\nmezo-m,0\n");
}
END_TEST

/* What the file holds is a part of what a cell is. */
START_TEST(another_file_is_another_cell)
{
    put("mine.c", mine_c);
    put("c.json", "{" TINY "\"steps\": 3, \"lr\": 1e-3, \"optimizer\": [{\"name\": \"./mine.so\", \"scale\": [0.5, 1]}, \"mezo\"]}");
    compile("mine.so", "");
    MUST("$ZO run c.json --db own.db");
    MUST("$ZO run c.json --db own.db");
    ASSERT_HAS(said, "3 of 3 cells are done already");
    compile("mine.so", "-DSIGN=-2");
    MUST("$ZO run c.json --db own.db");
    ASSERT_HAS(said, "2 cells were done with another plug-in than there is now");
    ASSERT_HAS(said, "1 of 3 cells are done already");
    MUST("$ZO sql --db own.db \"SELECT count(*) n, count(DISTINCT plugin_fingerprint) prints, count(DISTINCT hash) hashes FROM runs WHERE optimizer = 'mine'\" --format csv");
    ASSERT_HAS(said, "4,2,2");
    MUST("$ZO report --db own.db");
    ASSERT_HAS(said, "mine scale 0.5 plugin_fingerprint ");
    compile("mine.so", "");
    MUST("$ZO run c.json --db own.db");
    ASSERT_HAS(said, "3 of 3 cells are done already");
    /* excluded by either name; and what it cannot do, by the pair that the message says */
    put("c.json", "{" TINY "\"steps\": 3, \"optimizer\": [\"./mine.so\", \"mezo\"], \"realisation\": [\"streamed\", \"sidepath\"]}");
    ck_assert_int_eq(shell("$ZO run c.json --db own.db"), 2);
    ASSERT_HAS(said, "mine cannot be realised as \"sidepath\"; take the pair out with \"exclude\": [{\"optimizer\": \"mine\", \"realisation\": \"sidepath\"}]");
    static const char *const names[] = {"mine", "./mine.so"};
    for (int i = 0; i < 2; i++) {
        char text[700];
        snprintf(text, sizeof text, "{" TINY "\"steps\": 3, \"optimizer\": [\"./mine.so\", \"mezo\"], \"realisation\": [\"streamed\", \"sidepath\"], \"exclude\": "
                 "[{\"optimizer\": [\"mezo\", \"%s\"], \"realisation\": \"sidepath\"}, {\"optimizer\": {\"name\": \"%s\", \"scale\": 1}}]}", names[i], names[1 - i]);
        put("c.json", text);
        MUST("$ZO run c.json --db own.db --dry-run");
        ASSERT_HAS(said, "1 cells, 1 to run, 0 equal to others, 3 excluded");
    }
}
END_TEST

/* What a step does wrong ends its row, and the other cells run. */
START_TEST(a_step_that_fails_ends_its_row)
{
    static const struct { const char *flags, *status, *message; } bad[] = {
        {"'-DBAD=if (c->step == 1) { return zo_fail(err, ZO_EUNSUPPORTED, \"no %d\", 7); }'", "unsupported", "no 7"},
        {"'-DBAD=if (c->step == 1) { return zo_fail(err, ZO_EINPUT, \"no %d\", 7); }'", "failed", "no 7"},
        {"'-DBAD=if (c->step == 1) { return ZO_EINPUT; }'", "failed",
         "mine failed in its step with status 1 and gave no reason; its file must say why, by zo_fail"},
        {"'-DBAD=if (c->step == 1) { abort(); }'", "failed", "its process was ended by signal 6"}};
    put("mine.c", mine_c);
    put("c.json", "{" TINY "\"steps\": 3, \"optimizer\": [{\"name\": \"./mine.so\"}, \"mezo\"]}");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        compile("mine.so", bad[i].flags);
        shell("rm -f bad.db; $ZO run c.json --db bad.db");
        MUST("$ZO sql --db bad.db \"SELECT optimizer, status, message FROM runs ORDER BY 1\" --format csv");
        ASSERT_HAS(said, "mezo,done,");
        ASSERT_HAS(said, bad[i].message);
        char row[100];
        snprintf(row, sizeof row, "mine,%s,", bad[i].status);
        ASSERT_HAS(said, row);
    }
}
END_TEST

/* Behind an older estimator something else stands in memory: what it lacks is empty all the same. */
START_TEST(an_older_plugin_is_read_as_far_as_it_goes)
{
    put("mine.c", mine_c);
    compile("mine.so", "-DOLDER '-DINFO={sizeof(zo_plugin_info), 1, &mine, offsetof(zo_estimator, stop), ZO_PLUGIN_SEAM}'");
    put("c.json", "{" TINY "\"steps\": 3, \"optimizer\": \"./mine.so\"}");
    MUST("$ZO run c.json --db older.db");
    ASSERT_HAS(said, ": done");
    MUST("! test -e stopped");
    compile("mine.so", "-DOLDER"); /* and the slot is one that is called */
    MUST("$ZO run c.json --db older.db && test -e stopped");
}
END_TEST

/* ---- the tests of conformance -------------------------------------------------------------------------------------------------------- */

START_TEST(conformance_goes_over_plugins)
{
    MUST("cp $ROOT/examples/plugin_c/mezo_gv.c . && make -s -f $ROOT/examples/plugin_c/Makefile PREFIX=$BUILD CC=cc CFLAGS=-Werror");
    MUST("cd $ROOT && CK_RUN_CASE=conformance ZO_PLUGIN=%s/mezo_gv.so $BUILD/tests/test_optimizers", folder);
    MUST("cd $ROOT && CK_RUN_CASE=conformance ZO_PLUGIN=%s/mezo_gv.so $BUILD/tests/test_engine", folder);
    put("mine.c", mine_c);
    compile("mine.so", "-DSIGN=+1");
    ck_assert_int_ne(shell("cd $ROOT && CK_RUN_CASE=conformance ZO_PLUGIN=%s/mezo_gv.so:%s/mine.so $BUILD/tests/test_optimizers", folder, folder), 0);
    ASSERT_HAS(said, "mine: the loss went from ");
}
END_TEST

/* ---- the example ------------------------------------------------------------------------------------------------------------------------ */

START_TEST(the_example_runs_beside_mezo)
{
    MUST("mkdir -p examples/plugin_c && cp $ROOT/examples/plugin_c/[Mmc]*[ecn] examples/plugin_c && make -s -C examples/plugin_c PREFIX=$BUILD CC=cc CFLAGS=-Werror");
    MUST("sed -e 's/synth-small/shape:roberta-tiny\", \"init\": \"random/; s/synth-sentiment/synth-lengths/; s/\"prompt\"/\"head\"/; s/\"work\": 1000/\"work\": 24/' "
         "-e 's/\\[0, 1, 2\\]/0/; s/\"\\(train\\|dev\\|test\\)\": 1*2*00*/\"\\1\": 40/g' examples/plugin_c/compare.json >c.json");
    MUST("$ZO run c.json --db example.db");
    MUST("$ZO sql --db example.db \"SELECT optimizer, json_extract(optimizer_options, '$.pool') pool, status, steps, forwards FROM runs WHERE lr = 1e-4 ORDER BY 1, 2\" "
         "--format csv");
    ASSERT_HAS(said, "mezo,,done,12,24\nmezo-gv,2,done,6,24\nmezo-gv,4,done,4,24\n");
    MUST("$ZO list optimizers --plugin examples/plugin_c/mezo_gv.so --json");
    cJSON *rows = cJSON_Parse(said), *last = cJSON_GetArrayItem(rows, cJSON_GetArraySize(rows) - 1);
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(last, "optimizer")), "mezo-gv");
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(last, "plugin")), "examples/plugin_c/mezo_gv.so");
    cJSON_Delete(rows);
    MUST("mkdir -p model && echo '{\"model_type\": \"bert\", \"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 64, "
         "\"vocab_size\": 90, \"max_position_embeddings\": 64, \"type_vocab_size\": 2}' >model/config.json");
    MUST("$ZO inspect model --plugin examples/plugin_c/mezo_gv.so --json");
    ASSERT_HAS(said, "\"optimizer\":\t\"mezo-gv\"");
    MUST("$ZO bench step shape:roberta-tiny --init random --task synth-lengths --steps 2 --context 48 --optimizer examples/plugin_c/mezo_gv.so");
    ASSERT_HAS(said, "mezo-gv");
}
END_TEST

int main(void)
{
    if (!shell_open("test_plugins")) {
        return 1;
    }
    unsetenv("MAKEFLAGS"); /* the example's make is nobody's child */
    unsetenv("MAKELEVEL");
    TCase *t = tcase_create("plugins");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, what_is_no_plugin_is_refused, 0, sizeof spoiled / sizeof *spoiled);
    tcase_add_test(t, what_is_no_file_is_refused);
    tcase_add_loop_test(t, headers_of_another_day, 0, sizeof days / sizeof *days);
    tcase_add_test(t, exports_are_what_the_header_declares);
    tcase_add_test(t, a_plugin_may_be_cpp);
    tcase_add_test(t, a_method_as_a_plugin_has_its_own_bits);
    tcase_add_test(t, another_file_is_another_cell);
    tcase_add_test(t, a_step_that_fails_ends_its_row);
    tcase_add_test(t, an_older_plugin_is_read_as_far_as_it_goes);
    tcase_add_test(t, conformance_goes_over_plugins);
    tcase_add_test(t, the_example_runs_beside_mezo);
    Suite *s = suite_create("plugins");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
