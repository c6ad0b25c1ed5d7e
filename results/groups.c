/* groups.c: reading runs, telling settings apart, and choosing among them by dev. */
#include "results/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf.h"
#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- one run ------------------------------------------------------------------------------------------------------------ */

static const cJSON *value_of(const zo_grouped_run *run, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(run->flat, key);
    return v != NULL ? v : cJSON_GetObjectItemCaseSensitive(run->row, key);
}

static const char *column_text(const zo_grouped_run *run, const char *column)
{
    return zo_json_text(run->row, column);
}

const char *zo_run_text(const zo_grouped_run *run, const char *key)
{
    const cJSON *v = value_of(run, key);
    return cJSON_IsString(v) ? v->valuestring : "";
}

double zo_run_number(const zo_grouped_run *run, const char *column)
{
    return zo_json_number(run->row, column, NAN);
}

const char *const zo_mark_names[3] = {"diverged", "dead", "constant"};

bool zo_run_is_marked(const zo_grouped_run *run, const char *mark)
{
    const char *marks = column_text(run, "marks"), *status = column_text(run, "status");
    if (mark != NULL) {
        return zo_key_in_list(marks, mark) || strcmp(status, mark) == 0;
    }
    return marks[0] != '\0' || strcmp(status, "diverged") == 0 || strcmp(status, "dead") == 0;
}

static cJSON *flatten(const char *config)
{
    cJSON *json = cJSON_Parse(config);
    if (!cJSON_IsObject(json)) {
        cJSON_Delete(json);
        return cJSON_CreateObject();
    }
    cJSON *optimizer = cJSON_DetachItemFromObjectCaseSensitive(json, "optimizer");
    cJSON_DeleteItemFromObjectCaseSensitive(json, "seed");
    for (cJSON *o = optimizer != NULL ? optimizer->child : NULL; o != NULL; o = o->next) {
        char key[ZO_OPT_STRING_BYTES];
        bool is_name = strcmp(o->string, "name") == 0;
        snprintf(key, sizeof key, "%s%s", !is_name && cJSON_GetObjectItemCaseSensitive(json, o->string) != NULL ? "optimizer." : "",
                 is_name ? "optimizer" : o->string);
        cJSON_AddItemToObject(json, key, cJSON_Duplicate(o, true));
    }
    cJSON_Delete(optimizer);
    return json;
}

uint64_t zo_groups_setting(const zo_grouped_run *run, const char *but)
{
    double meaning = zo_run_number(run, "meaning");
    uint64_t hash = zo_fnv1a(ZO_FNV_START, &meaning, sizeof meaning);
    for (const cJSON *k = run->flat->child; k != NULL; k = k->next) {
        if (!zo_key_in_list(but, k->string)) {
            char *text = cJSON_PrintUnformatted(k);
            hash = zo_label_hash(zo_label_hash(hash, k->string), text);
            cJSON_free(text);
        }
    }
    return hash;
}

/* ---- split seeds that follow the seed ----------------------------------------------------------------------------------------- */

static const struct { const char *key, *column; } split_seeds[] = {
    {"train_split_seed", "train_split_seed"}, {"test_split_seed", "test_split_seed"}, {"data_seed" /* of meaning 1 */, "train_split_seed"}};

static uint64_t split_seed_hash(const zo_grouped_run *run, double seed)
{
    double meaning = zo_run_number(run, "meaning");
    uint64_t hash = zo_label_hash(zo_label_hash(ZO_FNV_START, column_text(run, "model")), column_text(run, "task"));
    hash = zo_label_hash(hash, column_text(run, "split"));
    return zo_fnv1a(zo_fnv1a(hash, &meaning, sizeof meaning), &seed, sizeof seed);
}

/* A config has the number for "seed", so whether a split seed follows the seed is read from the cells of its model, task and split: it equals the
 * seed, no cell of another seed has it, and this is so for two seeds at least. All cells of the database count, also those that a report leaves out.
 * In runs it becomes "seed" then, so that they group. Elsewhere it stays a number, and runs of two split seeds are never in one mean. */
static zo_status mark_following_split_seeds(zo_results *results, zo_groups *g, zo_err *err)
{
    for (size_t k = 0; k < COUNT(split_seeds); k++) {
        char sql[600];
        snprintf(sql, sizeof sql,
                 "SELECT model, task, split, meaning, seed FROM"
                 " (SELECT *, count(*) OVER (PARTITION BY model, task, split, meaning) AS followers FROM"
                 " (SELECT model, task, split, meaning, %s AS value, min(seed) AS seed, max(seed) AS last FROM cells GROUP BY 1, 2, 3, 4, 5)"
                 " WHERE value = seed AND value = last) WHERE followers > 1", split_seeds[k].column);
        cJSON *rows;
        zo_status status = zo_results_select(results, sql, &rows, err);
        if (status != ZO_OK) {
            return status;
        }
        zo_hashmap following = {0};
        bool is_new;
        for (const cJSON *row = rows->child; row != NULL; row = row->next) {
            const zo_grouped_run cell = {.row = row};
            *zo_hashmap_at(&following, split_seed_hash(&cell, zo_run_number(&cell, "seed")), &is_new) = 1;
        }
        for (int i = 0; i < g->n; i++) {
            zo_grouped_run *run = &g->run[i];
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(run->flat, split_seeds[k].key);
            double seed = zo_run_number(run, "seed");
            uint64_t hash = split_seed_hash(run, seed);
            if (cJSON_IsNumber(v) && v->valuedouble == seed && *zo_hashmap_at(&following, hash, &is_new) == 1) {
                cJSON_ReplaceItemInObjectCaseSensitive(run->flat, split_seeds[k].key, cJSON_CreateString("seed"));
            }
        }
        zo_hashmap_free(&following);
        cJSON_Delete(rows);
    }
    return ZO_OK;
}

static bool rows_follow_seed(const zo_grouped_run *run)
{
    return strcmp(zo_run_text(run, "train_split_seed"), "seed") == 0 || strcmp(zo_run_text(run, "test_split_seed"), "seed") == 0;
}

/* ---- what runs of one config were made from ------------------------------------------------------------------------------------ */

enum { PARTS = 5, PART_ROWS = 4 };
static const char *const part_name[PARTS] = {"model_fingerprint", "tokenizer_fingerprint", "task_fingerprint", "plugin_fingerprint",
                                             "rows_fingerprint"};

/* Runs of one family that were made from the same things, as far as that is known. */
typedef struct variant {
    const char *part[PARTS]; /* "" = not known; of PART_ROWS the first where rows follow the seed */
    int last;                /* its last run; `before` leads on to the others */
    int next;                /* variant of the family, -1 = none */
    int family;              /* as renumbered */
} variant;

static bool agree(const char *a, const char *b)
{
    return a[0] == '\0' || b[0] == '\0' || strcmp(a, b) == 0;
}

/* Rows that follow the seed differ from seed to seed; of one seed they are one thing. */
static bool fits(const zo_groups *g, const variant *v, const int *before, const zo_grouped_run *run)
{
    for (int p = 0; p < PARTS; p++) {
        if ((p != PART_ROWS || !rows_follow_seed(run)) && !agree(v->part[p], column_text(run, part_name[p]))) {
            return false;
        }
    }
    for (int i = v->last; i >= 0 && rows_follow_seed(run); i = before[i]) {
        if (zo_run_number(&g->run[i], "seed") == zo_run_number(run, "seed") &&
            !agree(column_text(&g->run[i], part_name[PART_ROWS]), column_text(run, part_name[PART_ROWS]))) {
            return false;
        }
    }
    return true;
}

/* Splits families whose runs were made from different things, and writes into `flat` what tells them apart. */
static void split_families(zo_groups *g, const char *best)
{
    zo_hashmap map = {0};
    int variants = 0, *before = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *before);
    int *head = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *head); /* (families) first variant */
    variant *of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *of);
    int *variant_of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *variant_of);
    for (int i = 0; i < g->n; i++) {
        zo_grouped_run *run = &g->run[i];
        int known = (int)map.n;
        run->family = (int)zo_hashmap_number(&map, zo_groups_setting(run, best));
        int *link = &head[run->family];
        *link = run->family == known ? -1 : *link;
        while (*link >= 0 && !fits(g, &of[*link], before, run)) {
            link = &of[*link].next;
        }
        if (*link < 0) {
            *link = variants;
            of[variants] = (variant){.last = -1, .next = -1, .family = variants};
            for (int p = 0; p < PARTS; p++) {
                of[variants].part[p] = "";
            }
            variants++;
        }
        variant *v = &of[*link];
        for (int p = 0; p < PARTS; p++) {
            v->part[p] = v->part[p][0] == '\0' ? column_text(run, part_name[p]) : v->part[p];
        }
        variant_of[i] = (int)(v - of);
        before[i] = v->last;
        v->last = i;
    }
    for (int i = 0; i < g->n; i++) {
        zo_grouped_run *run = &g->run[i];
        const variant *mine = &of[variant_of[i]];
        for (int p = 0; p < PARTS; p++) {
            bool differs = false;
            for (int v = head[run->family]; v >= 0; v = of[v].next) {
                differs = differs || strcmp(of[v].part[p], mine->part[p]) != 0;
            }
            if (differs) {
                char digits[9];
                snprintf(digits, sizeof digits, "%s", mine->part[p][0] != '\0' ? mine->part[p] : "unknown");
                cJSON_AddStringToObject(run->flat, part_name[p], digits);
            }
        }
    }
    for (int i = 0; i < g->n; i++) {
        g->run[i].family = of[variant_of[i]].family;
    }
    zo_hashmap_free(&map);
    zo_free(before);
    zo_free(head);
    zo_free(of);
    zo_free(variant_of);
}

/* ---- groups ------------------------------------------------------------------------------------------------------------- */

static void make_groups(zo_groups *g)
{
    zo_hashmap map = {0};
    for (int i = 0; i < g->n; i++) {
        uint64_t hash = zo_groups_setting(&g->run[i], NULL);
        g->run[i].group = (int)zo_hashmap_number(&map, zo_fnv1a(hash, &g->run[i].family, sizeof g->run[i].family));
    }
    g->groups = (int)map.n;
    zo_hashmap_free(&map);
    g->start = zo_realloc(g->start, ZO_HOST, ZO_TAG_OTHER, ((size_t)g->groups + 2) * sizeof *g->start);
    g->member = zo_realloc(g->member, ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *g->member);
    memset(g->start, 0, ((size_t)g->groups + 2) * sizeof *g->start);
    for (int i = 0; i < g->n; i++) {
        g->start[g->run[i].group + 2]++;
    }
    for (int k = 2; k <= g->groups + 1; k++) {
        g->start[k] += g->start[k - 1];
    }
    for (int i = 0; i < g->n; i++) { /* start[group + 1] is where its next member goes, and at last where it ends */
        g->member[g->start[g->run[i].group + 1]++] = i;
    }
}

const zo_grouped_run *zo_groups_first(const zo_groups *g, int group)
{
    return &g->run[g->member[g->start[group]]];
}

double zo_group_mean(const zo_groups *g, int group, const char *column, bool unmarked_only, double *std, int *count)
{
    double sum = 0, squares = 0;
    int n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int k = g->start[group]; k < g->start[group + 1]; k++) {
            const zo_grouped_run *run = &g->run[g->member[k]];
            double x = unmarked_only && zo_run_is_marked(run, NULL) ? NAN : zo_run_number(run, column);
            if (isfinite(x) && pass == 0) {
                sum += x;
                n++;
            } else if (isfinite(x)) {
                squares += (x - sum / n) * (x - sum / n);
            }
        }
    }
    if (std != NULL) {
        *std = n > 1 ? sqrt(squares / (n - 1)) : NAN;
    }
    if (count != NULL) {
        *count = n;
    }
    return n > 0 ? sum / n : NAN;
}

void zo_groups_free(zo_groups *g)
{
    for (int i = 0; i < g->n; i++) {
        cJSON_Delete(g->run[i].flat);
    }
    zo_free(g->run);
    zo_free(g->start);
    zo_free(g->member);
    cJSON_Delete(g->rows);
}

static uint64_t frame_of(const zo_grouped_run *run)
{
    return zo_label_hash(zo_label_hash(zo_label_hash(ZO_FNV_START, column_text(run, "model")), column_text(run, "task")), column_text(run, "form"));
}

/* Takes the trials out of g->run (zo_report_spec has what they are). */
static void leave_out_trials(zo_groups *g)
{
    zo_hashmap tested = {0};
    bool is_new;
    int n = 0;
    for (int i = 0; i < g->n; i++) {
        if (zo_run_number(&g->run[i], "test") != 0) {
            *zo_hashmap_at(&tested, frame_of(&g->run[i]), &is_new) = 1;
        }
    }
    for (int i = 0; i < g->n; i++) {
        const zo_grouped_run *run = &g->run[i];
        if (zo_run_number(run, "test") == 0 && zo_run_number(run, "dev") != 0 && *zo_hashmap_at(&tested, frame_of(run), &is_new) == 1) {
            cJSON_Delete(run->flat);
        } else {
            g->run[n++] = *run;
        }
    }
    g->trials = g->n - n;
    g->n = n;
    zo_hashmap_free(&tested);
}

zo_status zo_groups_read(zo_results *results, const zo_report_spec *spec, bool evaluated_only, int meaning, zo_groups *g, zo_err *err)
{
    memset(g, 0, sizeof *g);
    char sql[2000];
    int n = snprintf(sql, sizeof sql, "SELECT * FROM report WHERE (%d = 0 OR meaning = %d)%s%s%s%s ORDER BY run", meaning, meaning,
                     evaluated_only ? " AND (dev <> 0 OR test <> 0)" : "", spec->where != NULL ? " AND (" : "",
                     spec->where != NULL ? spec->where : "", spec->where != NULL ? ")" : "");
    if (n >= (int)sizeof sql) {
        return zo_fail(err, ZO_EINPUT, "--where is longer than %zu bytes", sizeof sql - 200);
    }
    zo_status status = zo_results_select(results, sql, &g->rows, err);
    if (status != ZO_OK) {
        return status;
    }
    g->run = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)cJSON_GetArraySize(g->rows) + 1) * sizeof *g->run);
    for (const cJSON *row = g->rows->child; row != NULL; row = row->next) {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(row, "config");
        cJSON *flat = flatten(cJSON_IsString(config) ? config->valuestring : "{}");
        if (spec->keys != NULL) {
            zo_opt_add_younger(spec->keys, flat);
        }
        g->run[g->n++] = (zo_grouped_run){.row = row, .flat = flat};
    }
    status = mark_following_split_seeds(results, g, err);
    if (status != ZO_OK) {
        zo_groups_free(g);
        return status;
    }
    if (spec->without_trials) {
        leave_out_trials(g);
    }
    split_families(g, spec->best);
    make_groups(g);
    return ZO_OK;
}

/* ---- choosing ------------------------------------------------------------------------------------------------------------ */

/* Does a run count for --best? It does not where it did not end. */
static bool counts(const zo_grouped_run *run)
{
    const char *status = column_text(run, "status");
    return strcmp(status, "failed") != 0 && strcmp(status, "killed") != 0;
}

bool zo_run_has_dev(const zo_grouped_run *run)
{
    double rows = zo_run_number(run, "dev_rows");
    return isfinite(rows) ? rows > 0 : zo_run_number(run, "dev") != 0;
}

/* By the lowest dev loss, where the cells' selection is. Rows of meaning 1 do not have it. */
static bool is_by_loss(const zo_grouped_run *run)
{
    return strcmp(column_text(run, "selection"), "dev-loss") == 0 && zo_run_number(run, "meaning") > 1;
}

/* How well a setting did on dev: settings are compared by how many of their runs have no dev loss, then by the mean, larger is better. */
typedef struct score { double missing, mean; } score;

static score dev_score(const zo_groups *g, int group)
{
    bool by_loss = is_by_loss(zo_groups_first(g, group));
    double sum = 0;
    int n = 0, missing = 0;
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        const zo_grouped_run *run = &g->run[g->member[k]];
        if (!counts(run)) {
            continue;
        }
        bool by_chance = strcmp(column_text(run, "selected"), "chance") == 0; /* a fault has left nothing else */
        double x = by_loss ? -zo_run_number(run, "dev_loss") : zo_run_number(run, by_chance ? "metric_value" : "dev_metric");
        n++;
        missing += by_loss && !isfinite(x);
        sum += isfinite(x) ? x : 0;
    }
    if (n == missing) {
        return (score){.missing = 1, .mean = 0};
    }
    return (score){.missing = (double)missing / n, .mean = sum / (n - missing)};
}

static bool has_seed(const zo_groups *g, int group, double seed)
{
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        const zo_grouped_run *run = &g->run[g->member[k]];
        if (counts(run) && zo_run_number(run, "seed") == seed) {
            return true;
        }
    }
    return false;
}

/* Every counting seed of group a is one of group b too. */
static bool seeds_within(const zo_groups *g, int a, int b)
{
    for (int k = g->start[a]; k < g->start[a + 1]; k++) {
        const zo_grouped_run *run = &g->run[g->member[k]];
        if (counts(run) && !has_seed(g, b, zo_run_number(run, "seed"))) {
            return false;
        }
    }
    return true;
}

static bool smaller_setting(const zo_grouped_run *a, const zo_grouped_run *b, const char *keys)
{
    for (const cJSON *k = a->flat->child; k != NULL; k = k->next) {
        const cJSON *y = cJSON_GetObjectItemCaseSensitive(b->flat, k->string);
        if (zo_key_in_list(keys, k->string) && cJSON_IsNumber(k) && cJSON_IsNumber(y) && k->valuedouble != y->valuedouble) {
            return k->valuedouble < y->valuedouble;
        }
    }
    return false;
}

static bool is_better(const zo_groups *g, int a, int b, const char *keys)
{
    score x = dev_score(g, a), y = dev_score(g, b);
    if (x.missing != y.missing) {
        return x.missing < y.missing;
    }
    return x.mean != y.mean ? x.mean > y.mean : smaller_setting(zo_groups_first(g, a), zo_groups_first(g, b), keys);
}

/* (n + 1; the caller frees it) by family: 1 + the best of its groups, 0 = none of them has dev examples. */
static int *best_of_families(const zo_groups *g, const char *keys)
{
    int *best = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *best);
    for (int group = 0; group < g->groups; group++) {
        const zo_grouped_run *first = zo_groups_first(g, group);
        int *b = &best[first->family];
        if (zo_run_has_dev(first) && (*b == 0 || is_better(g, group, *b - 1, keys))) {
            *b = group + 1;
        }
    }
    return best;
}

int *zo_groups_rank(const zo_groups *g, const char *keys)
{
    int *best = best_of_families(g, keys), *rank = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->groups + 1) * sizeof *rank);
    for (int group = 0; group < g->groups; group++) {
        const zo_grouped_run *first = zo_groups_first(g, group);
        int chosen = best[first->family] - 1;
        if (zo_run_has_dev(first) && chosen != group) {
            rank[group] = -1;
            rank[chosen]++;
        }
    }
    zo_free(best);
    return rank;
}

static zo_status check_keys(const zo_groups *g, const char *keys, zo_err *err)
{
    static const char *const never[] = {"metric", "selection", "dev"};
    for (size_t i = 0; i < COUNT(never); i++) {
        if (zo_key_in_list(keys, never[i])) {
            return zo_fail(err, ZO_EINPUT, "--best: \"%s\" says what is chosen by, so it cannot be chosen", never[i]);
        }
    }
    for (const char *at = keys; *at != '\0';) {
        char key[64];
        size_t m = strcspn(at, ",");
        snprintf(key, sizeof key, "%.*s", (int)m, at);
        bool known = false;
        for (int i = 0; i < g->n && !known; i++) {
            known = cJSON_GetObjectItemCaseSensitive(g->run[i].flat, key) != NULL;
        }
        if (!known && g->n > 0) {
            return zo_fail(err, ZO_EINPUT, "--best: no cell here has a key \"%s\"; expected a key of the config such as lr", key);
        }
        at += m + (at[m] == ',');
    }
    int *first = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *first); /* 1 + the first group of a family */
    const zo_grouped_run *bad = NULL;
    for (int group = 0; group < g->groups; group++) {
        const zo_grouped_run *run = zo_groups_first(g, group);
        if (!zo_run_has_dev(run) && zo_run_number(run, "test") != 0) { /* neither: a study of memory and time */
            bad = first[run->family] > 0 ? run : bad;
            first[run->family] = group + 1;
        }
    }
    zo_free(first);
    return bad == NULL ? ZO_OK
                       : zo_fail(err, ZO_EINPUT, "--best: %s on %s ran without dev examples, and test must not choose; run it with \"dev\" "
                                 "above 0, or leave it out with --where", zo_run_text(bad, "optimizer"), zo_run_text(bad, "task"));
}

/* A mean over other seeds is another mean: names the kept settings that were compared with one of other seeds. */
static void note_uneven(zo_groups *g, const char *keys)
{
    int *best = best_of_families(g, keys);
    bool *is_noted = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)g->groups + 1);
    for (int group = 0; group < g->groups; group++) {
        const zo_grouped_run *run = zo_groups_first(g, group);
        int chosen = best[run->family] - 1;
        if (zo_run_has_dev(run) && chosen != group && !is_noted[chosen] && !(seeds_within(g, group, chosen) && seeds_within(g, chosen, group))) {
            is_noted[chosen] = true;
            if (g->uneven_n++ == 0) {
                snprintf(g->uneven, sizeof g->uneven, "%.60s on %.60s", zo_run_text(run, "optimizer"), zo_run_text(run, "task"));
            }
        }
    }
    zo_free(best);
    zo_free(is_noted);
}

zo_status zo_groups_keep_best(zo_groups *g, const char *keys, zo_err *err)
{
    zo_status status = check_keys(g, keys, err);
    if (status != ZO_OK) {
        return status;
    }
    note_uneven(g, keys);
    int *rank = zo_groups_rank(g, keys), kept = 0;
    for (int i = 0; i < g->n; i++) {
        if (rank[g->run[i].group] < 0) {
            cJSON_Delete(g->run[i].flat);
        } else {
            g->run[kept++] = g->run[i];
        }
    }
    g->n = kept;
    zo_free(rank);
    make_groups(g);
    return ZO_OK;
}

char **zo_groups_labels(const zo_groups *g, const zo_opt *keys, const char *left)
{
    zo_setting *setting = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->groups + 1) * sizeof *setting);
    for (int i = 0; i < g->groups; i++) {
        const zo_grouped_run *run = zo_groups_first(g, i);
        uint64_t frame = zo_label_hash(ZO_FNV_START, zo_run_text(run, "optimizer"));
        setting[i] = (zo_setting){.value = run->flat, .name = zo_run_text(run, "optimizer"), .frame = frame, .scope = frame};
    }
    char **label = zo_labels_make(&(zo_label_spec){.keys = keys, .left = left}, setting, g->groups);
    zo_free(setting);
    return label;
}
