/* cmd_regress.c: `zo regress`: a suite run by two programs in turn, and whether one of them is worse. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/regress_print.h"
#include "bench/matrix/budget.h"
#include "bench/matrix/program.h"
#include "core/clock.h"
#include "core/conf.h"
#include "core/mem.h"
#include "core/output.h"
#include "core/text.h"

static const char USAGE[] = "zo regress --baseline REF SUITE.json [--program FILE] [--pairs N] [--budget TIME] [--effect PERCENT] [--memory PERCENT] [--points N] [--level P] "
                            "[--other-bits] [--disturbed] [--db FILE] [--data DIR] [--models DIR] [--junit FILE] [--github] [--format md|csv|json|latex | --json]";

enum { A = ZO_PAIR_A, B = ZO_PAIR_B, SIDES = ZO_PAIR_SIDES, PAIRS_MOST = 1000 };
#define FIRST_SHARE 0.6 /* of the time limit, after which the first set of runs gets no further passes */
#define PATIENCE 3      /* times as many pairs as are wanted, where runs are disturbed */

/* One comparison. */
typedef struct regress {
    const zo_grid *grid;
    zo_setup_dirs dirs;
    zo_regress_rule rule;
    zo_program program[SIDES];
    int64_t pairs;      /* wanted of each setting */
    double start, most; /* seconds; INFINITY = no limit */
    double *seconds;    /* (grid->n) of the longest pair of each cell so far */
    int64_t made;       /* pairs of runs */
    int64_t *tried;     /* (grid->n) pairs of each cell, of which the order follows: A B, B A, A B ... */
} regress;

static double spent(const regress *r)
{
    return zo_now() - r->start;
}

/* Both programs run a cell, one of them first. Where a signal ends the second program alone, its run has no row, and the pair has no partner: that is a finding. */
static zo_status make_pair(regress *r, int64_t cell, int first, zo_err *err)
{
    zo_status status = ZO_OK;
    for (int i = 0; i < SIDES && status == ZO_OK; i++) {
        int side = i == 0 ? first : 1 - first, killed;
        status = zo_program_run(&r->program[side], &r->grid->cell[cell], &r->dirs, &killed, err);
        if (side == B && killed != 0) {
            fprintf(stderr, "zo regress: %s\n", err->text);
            status = zo_program_touch(&r->program[B], err);
        }
    }
    return status;
}

/* A pair of every cell of `todo` that there is time for; *left = those without. */
static zo_status make_pass(regress *r, const bool *todo, double most, const char *what, int64_t *left, zo_err *err)
{
    zo_status status = ZO_OK;
    *left = 0;
    for (int64_t i = 0; i < r->grid->n && status == ZO_OK; i++) {
        if (!todo[i]) {
            continue;
        }
        if (spent(r) + r->seconds[i] > most) {
            ++*left;
            continue;
        }
        double began = zo_now();
        int first = (i + r->tried[i]++) % 2 == 0 ? A : B;
        r->made++;
        if (isatty(STDERR_FILENO)) {
            fprintf(stderr, "\r\033[K%s, cell %lld of %lld, %.0f s", what, (long long)i + 1, (long long)r->grid->n, spent(r));
        }
        status = make_pair(r, i, first, err);
        r->seconds[i] = fmax(r->seconds[i], zo_now() - began);
    }
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    return status;
}

/* The verdicts on runs after these. */
static zo_status judge(const regress *r, const int64_t after[SIDES], cJSON **rows, zo_err *err)
{
    zo_pair_side side[SIDES];
    zo_status status = ZO_OK;
    int opened = 0;
    for (int k = A; k < SIDES && status == ZO_OK; k++) {
        side[k] = (zo_pair_side){.every = true, .after = after[k], .name = r->program[k].db};
        status = zo_results_open_read(&side[k].results, r->program[k].db, err);
        opened += status == ZO_OK;
    }
    status = status == ZO_OK ? zo_regress_judge(side, &r->rule, zo_cell_keys(), rows, err) : status;
    for (int k = A; k < opened; k++) {
        zo_results_close(side[k].results);
    }
    return status;
}

/* Marks in `todo` the cells of a row; how many of the row's are in the grid. */
static int mark_cells(const regress *r, const cJSON *row, bool *todo)
{
    const cJSON *cells = cJSON_GetObjectItemCaseSensitive(row, "cells");
    int found = 0;
    for (const cJSON *hash = cells->child; hash != NULL; hash = hash->next) {
        for (int64_t i = 0; i < r->grid->n; i++) {
            bool one = strcmp(r->grid->cell[i].hash, hash->valuestring) == 0;
            todo[i] = todo[i] || one;
            found += one;
        }
    }
    return found;
}

/* Every cell of the grid must stand in some row, and every row's in the grid: what is missing would be judged by nobody. ran: the cells that there was time for. */
static zo_status check_cells(const regress *r, const cJSON *rows, const bool *ran, zo_err *err)
{
    bool *judged = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)r->grid->n * sizeof *judged);
    zo_status status = ZO_OK;
    memset(judged, 0, (size_t)r->grid->n * sizeof *judged);
    for (const cJSON *row = rows->child; row != NULL && status == ZO_OK; row = row->next) {
        if (mark_cells(r, row, judged) != cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(row, "cells"))) {
            status = zo_fail(err, ZO_EINPUT, "%.300s, or what it is compared with, names the cells of %.100s otherwise than this program, so they cannot be compared; take programs of the same schema", r->program[A].name,
                             zo_json_text(row, "method"));
        }
    }
    for (int64_t i = 0; i < r->grid->n && status == ZO_OK; i++) {
        if (ran[i] && !judged[i]) {
            status = zo_fail(err, ZO_EINPUT, "cell %lld of %lld was run, and neither %.300s nor %.300s has a row of it that has ended", (long long)i + 1, (long long)r->grid->n,
                             r->program[A].db, r->program[B].db);
        }
    }
    zo_free(judged);
    return status;
}

/* Runs cells of `todo` until each setting has its pairs, or the time `most` is up. *rows: the verdicts; the caller deletes them. */
static zo_status make_set(regress *r, bool *todo, double most, const int64_t after[SIDES], const char *what, cJSON **rows, int64_t *unrun, zo_err *err)
{
    bool any = true;
    zo_status status = ZO_OK;
    int64_t left = 0;
    *rows = NULL;
    for (int64_t pass = 0; any && status == ZO_OK && pass < PATIENCE * r->pairs; pass++) {
        char text[80];
        snprintf(text, sizeof text, "%s, pass %lld", what, (long long)pass + 1);
        int64_t before = r->made;
        status = make_pass(r, todo, most, text, &left, err);
        *unrun = pass == 0 ? left : *unrun;
        if (status != ZO_OK || r->made == before) {
            break;
        }
        cJSON_Delete(*rows);
        *rows = NULL;
        status = judge(r, after, rows, err);
        status = status == ZO_OK && pass == 0 && left == 0 ? check_cells(r, *rows, todo, err) : status;
        memset(todo, 0, (size_t)r->grid->n * sizeof *todo);
        any = false;
        for (const cJSON *row = *rows != NULL ? (*rows)->child : NULL; row != NULL; row = row->next) {
            double counted = zo_json_number(row, "pairs", 0), made = counted + zo_json_number(row, "disturbed", 0);
            if (strcmp(zo_json_text(row, "figure"), "cpu") == 0 && counted < (double)r->pairs && made < PATIENCE * (double)r->pairs) {
                mark_cells(r, row, todo);
                any = true;
            }
        }
    }
    if (status != ZO_OK) {
        cJSON_Delete(*rows);
        *rows = NULL;
    }
    return status;
}

/* The second runs of what is suspected to be worse, or better, but of cells that have had theirs (`had`). *again: the verdicts on all second runs so far. */
static zo_status confirm_runs(regress *r, const cJSON *rows, const char *verdict, bool *todo, bool *had, const int64_t after[SIDES], cJSON **again, zo_err *err)
{
    bool any = false;
    int64_t unrun;
    cJSON *found = NULL;
    memset(todo, 0, (size_t)r->grid->n * sizeof *todo);
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        if (zo_regress_is_suspected(row) && strcmp(zo_json_text(row, "verdict"), verdict) == 0) {
            mark_cells(r, row, todo);
        }
    }
    for (int64_t i = 0; i < r->grid->n; i++) {
        todo[i] = todo[i] && !had[i];
        had[i] = had[i] || todo[i];
        any = any || todo[i];
    }
    zo_status status = any ? make_set(r, todo, r->most, after, "second runs", &found, &unrun, err) : ZO_OK;
    if (found != NULL) {
        cJSON_Delete(*again);
        *again = found;
    }
    return status;
}

/* All runs and all verdicts. */
static zo_status compare(regress *r, cJSON **rows, zo_err *err)
{
    bool *todo = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)r->grid->n * sizeof *todo), *second = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)r->grid->n * sizeof *second);
    int64_t after[SIDES] = {r->program[A].before, r->program[B].before}, unrun = 0;
    cJSON *again = NULL;
    for (int64_t i = 0; i < r->grid->n; i++) {
        todo[i] = true;
        second[i] = false;
    }
    zo_status status = make_set(r, todo, FIRST_SHARE * r->most, after, "first runs", rows, &unrun, err);
    if (status == ZO_OK && unrun > 0) {
        status = zo_fail(err, ZO_EINPUT, "the time limit left no time for %lld of %lld cells; give --budget more, or a smaller suite", (long long)unrun, (long long)r->grid->n);
    }
    for (int k = A; k < SIDES && status == ZO_OK; k++) {
        status = zo_program_last(&r->program[k], &after[k], err);
    }
    status = status == ZO_OK ? confirm_runs(r, *rows, "worse", todo, second, after, &again, err) : status;
    status = status == ZO_OK ? confirm_runs(r, *rows, "better", todo, second, after, &again, err) : status;
    if (status == ZO_OK) {
        zo_regress_confirm(*rows, again, &r->rule);
    } else {
        cJSON_Delete(*rows);
        *rows = NULL;
    }
    cJSON_Delete(again);
    zo_free(second);
    zo_free(todo);
    return status;
}

/* What the last run of a side was made by; the caller deletes it. */
static cJSON *made_by(const zo_program *p)
{
    zo_results *results;
    cJSON *rows = NULL;
    zo_err err = {0};
    if (zo_results_open_read(&results, p->db, &err) == ZO_OK) {
        if (zo_results_select(results, "SELECT revision, binary, compiler, flags, host, device FROM tries ORDER BY run DESC LIMIT 1", &rows, &err) != ZO_OK) {
            rows = NULL;
        }
        zo_results_close(results);
    }
    cJSON *row = rows != NULL ? cJSON_DetachItemFromArray(rows, 0) : NULL;
    cJSON_Delete(rows);
    row = row != NULL ? row : cJSON_CreateObject();
    cJSON_AddStringToObject(row, "program", p->name);
    cJSON_AddStringToObject(row, "db", p->db);
    cJSON_AddNumberToObject(row, "after", (double)p->before);
    return row;
}

static void print_json(const regress *r, const char *suite, cJSON *rows, cJSON *const by[SIDES], zo_regress_verdict verdict)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "suite", suite);
    cJSON_AddStringToObject(o, "verdict", zo_regress_word(verdict));
    cJSON_AddNumberToObject(o, "seconds", spent(r));
    cJSON_AddItemReferenceToObject(o, "baseline", by[A]);
    cJSON_AddItemReferenceToObject(o, "program", by[B]);
    cJSON_AddItemReferenceToObject(o, "rows", rows);
    zo_output_json(o, true);
    cJSON_Delete(o);
}

/* "5 %" as 0.05. */
static zo_status read_number(const char *name, const char *text, double least, double most, double scale, double *out, zo_err *err)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end != '\0' || !(x >= least && x <= most)) {
        return zo_fail(err, ZO_EINPUT, "%s is \"%.40s\"; expected a number from %g to %g", name, text, least, most);
    }
    *out = scale * x;
    return ZO_OK;
}

static int fail(const zo_err *err)
{
    fprintf(stderr, "zo regress: %s\n", err->text);
    return 2;
}

/* Prints everything; the exit code. */
static int say(const regress *r, cJSON *rows, zo_table_format as, const char *junit, bool github)
{
    cJSON *by[SIDES] = {made_by(&r->program[A]), made_by(&r->program[B])};
    char name[SIDES][500];
    const char *note[3];
    zo_err err = {0};
    zo_regress_verdict verdict = zo_regress_overall(rows, &r->rule);
    for (int k = A; k < SIDES; k++) {
        snprintf(name[k], sizeof name[k], "%.200s (revision %.64s)", r->program[k].name, zo_json_text(by[k], "revision"));
    }
    zo_regress_heard heard = {.suite = r->grid->name, .name = {name[A], name[B]}, .note = note, .seconds = spent(r)};
    if (strcmp(zo_json_text(by[A], "flags"), zo_json_text(by[B], "flags")) != 0 || strcmp(zo_json_text(by[A], "compiler"), zo_json_text(by[B], "compiler")) != 0) {
        note[heard.notes++] = "The two were built with other flags or by another compiler: what differs may be that.";
    }
    if (zo_json_text(by[A], "binary")[0] != '\0' && strcmp(zo_json_text(by[A], "binary"), zo_json_text(by[B], "binary")) == 0) {
        note[heard.notes++] = "Both are one program, byte for byte.";
    }
    if (r->rule.disturbed) {
        note[heard.notes++] = "Runs that other work disturbed count too (--disturbed).";
    }
    if (as == ZO_TABLE_JSON) {
        print_json(r, r->grid->name, rows, by, verdict);
    } else if (as == ZO_TABLE_CSV) {
        zo_table_print(stdout, rows, as, zo_terminal_columns(STDOUT_FILENO));
    } else {
        zo_regress_print(rows, &r->rule, &heard, &(zo_page){.out = stdout, .as = as, .terminal = zo_terminal_columns(STDOUT_FILENO)});
    }
    if (github) {
        zo_regress_github(rows, &r->rule, stderr);
    }
    zo_status status = junit != NULL ? zo_regress_junit(rows, &r->rule, &heard, junit, &err) : ZO_OK;
    cJSON_Delete(by[A]);
    cJSON_Delete(by[B]);
    return status != ZO_OK ? fail(&err) : (int)verdict;
}

int zo_cmd_regress(int argc, char **argv)
{
    regress r = {.rule = {.effect = 0.05, .memory = 0.05, .points = 0.01, .level = 0.05}, .pairs = 8, .start = zo_now(), .most = INFINITY};
    const char *db = "results/regress.db", *baseline = NULL, *program = NULL, *budget = NULL, *effect = "5", *memory = "5", *points = "1", *level = "0.05", *junit = NULL,
               *format = "md", *suite;
    bool json = false, github = false;
    const zo_arg table[] = {{"--baseline", ZO_ARG_TEXT, &baseline}, {"--program", ZO_ARG_TEXT, &program}, {"--pairs", ZO_ARG_INT, &r.pairs}, {"--budget", ZO_ARG_TEXT, &budget},
                            {"--effect", ZO_ARG_TEXT, &effect}, {"--memory", ZO_ARG_TEXT, &memory}, {"--points", ZO_ARG_TEXT, &points}, {"--level", ZO_ARG_TEXT, &level},
                            {"--other-bits", ZO_ARG_FLAG, &r.rule.other_bits}, {"--disturbed", ZO_ARG_FLAG, &r.rule.disturbed}, {"--db", ZO_ARG_TEXT, &db},
                            {"--data", ZO_ARG_TEXT, &r.dirs.data}, {"--models", ZO_ARG_TEXT, &r.dirs.models}, {"--junit", ZO_ARG_TEXT, &junit},
                            {"--github", ZO_ARG_FLAG, &github}, {"--format", ZO_ARG_TEXT, &format}, {"--json", ZO_ARG_FLAG, &json}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_grid grid = {0};
    zo_table_format as = ZO_TABLE_MD;
    char other[4096], held[4096];
    if (zo_args_read(argc, argv, table, &suite, 1, 1, NULL, USAGE, &err) || zo_table_format_of(json ? "json" : format, &as, &err) ||
        read_number("--effect", effect, 0.1, 1000, 0.01, &r.rule.effect, &err) || read_number("--memory", memory, 0, 1000, 0.01, &r.rule.memory, &err) ||
        read_number("--points", points, 0, 100, 0.01, &r.rule.points, &err) || read_number("--level", level, 1e-9, 0.5, 1, &r.rule.level, &err) ||
        (budget != NULL && zo_budget_parse("--budget", budget, &r.most, &err)) ||
        ((r.pairs < ZO_REGRESS_LEAST || r.pairs > PAIRS_MOST) &&
         zo_fail(&err, ZO_EINPUT, "--pairs is %lld; expected %d to %d", (long long)r.pairs, ZO_REGRESS_LEAST, PAIRS_MOST)) ||
        (baseline == NULL && zo_fail(&err, ZO_EINPUT, "--baseline is missing: the path of another zo program, or a git revision; usage: %s", USAGE)) ||
        zo_grid_read(&grid, suite, NULL, &err)) {
        zo_grid_free(&grid);
        return fail(&err);
    }
    snprintf(other, sizeof other, "%.4000s.baseline", db);
    snprintf(held, sizeof held, "%.4000s.lock", db);
    r.grid = &grid;
    cJSON *rows = NULL;
    int lock = -1;
    zo_status status = zo_program_lock(held, &lock, &err);
    status = status == ZO_OK && junit != NULL ? zo_regress_junit_error(grid.name, "the comparison has not ended", junit, &err) : status;
    status = status == ZO_OK ? zo_program_open(&r.program[A], baseline, other, &err) : status;
    status = status == ZO_OK ? zo_program_open(&r.program[B], program, db, &err) : status;
    r.start = zo_now(); /* building is not in the limit */
    r.seconds = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)grid.n * sizeof *r.seconds);
    r.tried = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)grid.n * sizeof *r.tried);
    status = status == ZO_OK ? compare(&r, &rows, &err) : status;
    int code = status == ZO_OK ? say(&r, rows, as, junit, github) : fail(&err);
    if (status != ZO_OK && junit != NULL && lock >= 0) {
        zo_regress_junit_error(grid.name, err.text, junit, NULL);
    }
    cJSON_Delete(rows);
    zo_free(r.seconds);
    zo_free(r.tried);
    zo_grid_free(&grid);
    if (lock >= 0) {
        close(lock);
    }
    return code;
}
