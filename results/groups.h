/* groups.h: the finished runs of a database in groups of seeds, for reports. A "setting" is a cell's canonical config without its seed (split seeds
 * that follow the seed count as "seed"), with its meaning and what it was made from: runs of one config with another model, tokenizer, data or task
 * are another setting. Nothing is ever averaged but the runs of one group. */
#ifndef ZO_RESULTS_GROUPS_H
#define ZO_RESULTS_GROUPS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "results/labels.h"
#include "results/report.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_grouped_run {
    const cJSON *row; /* of the view `report`; borrowed from `rows` */
    cJSON *flat;      /* key -> value: the config without seed, the optimizer's own keys beside the others, `optimizer` its name; and where runs of one
                         config were made from different things, the fingerprints that differ, 8 digits */
    int family;       /* setting but for the keys of --best */
    int group;
} zo_grouped_run;

typedef struct zo_groups {
    cJSON *rows;         /* as selected */
    zo_grouped_run *run; /* (n) in the order of the database */
    int n, groups;
    int trials;          /* runs that spec->without_trials left out */
    int *start, *member; /* (groups + 1), (n): the runs of group g are member[start[g] .. start[g + 1]) */
    char uneven[200];    /* of --best: a method whose settings ran on different seeds; "" = none */
    int uneven_n;        /* how many such */
} zo_groups;

/* Reads the runs that spec->where leaves (evaluated_only: those with dev or test examples; meaning: of this one alone, 0 = of all) and groups them.
 * What it gives is freed by zo_groups_free; nothing is to be freed after an error. */
zo_status zo_groups_read(zo_results *results, const zo_report_spec *spec, bool evaluated_only, int meaning, zo_groups *groups, zo_err *err);
void zo_groups_free(zo_groups *groups);

/* Hash of a run's settings, its meaning among them, without the keys in `but`. */
uint64_t zo_groups_setting(const zo_grouped_run *run, const char *but);

/* Of settings that differ only in the keys of spec->best keeps the one that zo_report_spec says. ZO_EINPUT where there is nothing to choose by. */
zo_status zo_groups_keep_best(zo_groups *groups, const char *keys, zo_err *err);
/* (groups; the caller frees it): for each setting how many others of its family are worse, -1 where it is one of the worse. Runs without dev examples
 * have no worse and no better. */
int *zo_groups_rank(const zo_groups *groups, const char *keys);

/* The first run of a group. */
const zo_grouped_run *zo_groups_first(const zo_groups *groups, int group);
double zo_run_number(const zo_grouped_run *run, const char *column);      /* NaN where there is none */
const char *zo_run_text(const zo_grouped_run *run, const char *key);      /* of the config, else of the row; "" where there is none */
/* Were there dev examples, by which --best chooses? */
bool zo_run_has_dev(const zo_grouped_run *run);
extern const char *const zo_mark_names[3]; /* diverged, dead, constant */
/* Does it carry this mark? A status of this name counts as one (rows from before there were marks). mark NULL: any. */
bool zo_run_is_marked(const zo_grouped_run *run, const char *mark);

/* Mean of a column over the runs of a group that have it (unmarked_only: and no mark); NaN for none. *std = sample standard deviation, NaN for n < 2;
 * std and count may be NULL. */
double zo_group_mean(const zo_groups *groups, int group, const char *column, bool unmarked_only, double *std, int *count);

/* (groups; zo_labels_free): the method of each group, with what tells it from the other groups of its optimizer but the keys in `left`. */
char **zo_groups_labels(const zo_groups *groups, const zo_opt *keys, const char *left);

#ifdef __cplusplus
}
#endif
#endif
