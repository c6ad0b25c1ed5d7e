/* cmd_list.c: `zo list models|tasks|optimizers|oracles|plots|configs`: what there is. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/synth/pretrain.h"
#include "bench/synth/shapes.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "models/files/hub.h"
#include "optimizers/needs.h"
#include "optimizers/oracles.h"
#include "optimizers/plugins.h"
#include "optimizers/unknown.h"
#include "plots/plot.h"
#include "results/report.h"
#include "tasks/task.h"

typedef struct request { const char *models, *plugin; bool json; cJSON *rows; } request;

/* The options of a table whose structure has so many bytes. */
static void list_options(cJSON *row, const zo_opt *table, size_t bytes)
{
    cJSON *list = cJSON_AddArrayToObject(row, "options");
    if (table == NULL) {
        return;
    }
    void *initial = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
    zo_opt_defaults(table, initial);
    cJSON *defaults = zo_opt_write(table, initial);
    zo_free(initial);
    for (const zo_opt *o = table; o->key != NULL; o++) {
        cJSON *option = cJSON_CreateObject();
        cJSON_AddStringToObject(option, "key", o->key);
        if (o->type == ZO_OPT_CHOICE) {
            cJSON_AddStringToObject(option, "choices", o->choices);
        }
        cJSON_AddItemToObject(option, "default", cJSON_DetachItemFromObjectCaseSensitive(defaults, o->key));
        cJSON_AddStringToObject(option, "help", o->help != NULL ? o->help : "");
        cJSON_AddItemToArray(list, option);
    }
    cJSON_Delete(defaults);
}

/* What it keeps beside the weights with these options (NULL = the defaults), in words. */
static void list_kept(cJSON *row, const zo_estimator *e, const cJSON *options)
{
    static const zo_layout none;
    zo_extent extent = {.layout = &none};
    zo_needs needs;
    zo_err err = {0};
    char text[200];
    ZO_CHECK(zo_needs_of(e, options, &extent, &needs, &err) == ZO_OK, "%s", err.text);
    cJSON_AddStringToObject(row, "keeps", zo_needs_text(&needs, text, sizeof text));
}

/* What tests hold it against with these options (NULL = any). */
static void list_oracle(cJSON *row, const zo_estimator *e, const cJSON *options)
{
    char text[400];
    cJSON_AddStringToObject(row, "oracle", zo_oracles_of(e->name, options, text, sizeof text));
}

static void list_variants(cJSON *row, const zo_estimator *e)
{
    cJSON *list = cJSON_AddArrayToObject(row, "variants");
    for (const zo_variant *v = e->variants; v != NULL && v->key != NULL; v++) {
        cJSON *one = cJSON_CreateObject(), *options = zo_variant_options(v);
        cJSON_AddItemToObject(one, "options", options);
        cJSON_AddStringToObject(one, "says", v->says);
        cJSON_AddStringToObject(one, "source", zo_source_of(e, options));
        list_kept(one, e, options);
        list_oracle(one, e, options);
        cJSON_AddItemToArray(list, one);
    }
}

static void list_optimizer(request *q, const zo_estimator *e)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "optimizer", e->name);
    cJSON_AddStringToObject(row, "title", e->title);
    cJSON_AddStringToObject(row, "paper", e->paper != NULL ? e->paper : "");
    cJSON_AddStringToObject(row, "source", zo_source_of(e, NULL));
    cJSON_AddBoolToObject(row, "usual", e->usual);
    cJSON_AddNumberToObject(row, "lr", e->lr);
    cJSON_AddNumberToObject(row, "eps", e->eps);
    char realisations[64] = "";
    for (int k = 0; k < ZO_REALISATIONS && zo_estimator_probes(e); k++) {
        if (e->allows == NULL || e->allows(k)) {
            snprintf(realisations + strlen(realisations), sizeof realisations - strlen(realisations), "%s%s", realisations[0] ? " " : "",
                     zo_realisation_name((zo_realisation)k));
        }
    }
    cJSON_AddStringToObject(row, "realisations", realisations);
    list_kept(row, e, NULL);
    list_oracle(row, e, NULL);
    cJSON_AddStringToObject(row, "losses_at", e->losses_at != NULL ? e->losses_at : "");
    cJSON_AddStringToObject(row, "loss_is", e->loss_is != NULL ? e->loss_is : "");
    cJSON_AddStringToObject(row, "queries_are", e->queries_are != NULL ? e->queries_are : "");
    if (e->unmeasured != NULL) {
        cJSON_AddStringToObject(row, "unmeasured", e->unmeasured);
    }
    list_variants(row, e);
    list_options(row, e->options, e->state_bytes);
    if (zo_plugin_path(e) != NULL) {
        cJSON_AddStringToObject(row, "plugin", zo_plugin_path(e));
    }
    cJSON_AddItemToArray(q->rows, row);
}

/* What is no optimizer here, and why. What it does not have is null. */
static void list_unknown(request *q)
{
    const zo_unknown *list;
    int n = zo_unknown_list(&list);
    for (int i = 0; i < n; i++) {
        char missing[400];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "optimizer", list[i].name);
        cJSON_AddStringToObject(row, "title", list[i].title);
        cJSON_AddStringToObject(row, "paper", list[i].paper != NULL ? list[i].paper : "");
        cJSON_AddStringToObject(row, "source", "no algorithm known");
        snprintf(missing, sizeof missing, "missing: %s", list[i].missing);
        for (const cJSON *key = q->rows->child->child->next->next->next->next; key != NULL; key = key->next) { /* as an optimizer's row */
            if (strcmp(key->string, "keeps") == 0) {
                cJSON_AddStringToObject(row, "keeps", missing);
            } else {
                cJSON_AddNullToObject(row, key->string);
            }
        }
        cJSON_AddItemToArray(q->rows, row);
    }
}

static zo_status list_optimizers(request *q, zo_err *err)
{
    const zo_estimator *const *list, *plugin = NULL;
    zo_status status = q->plugin != NULL ? zo_plugin_open(q->plugin, &plugin, err) : ZO_OK;
    int n = zo_estimator_list(&list);
    for (int i = 0; i < n && status == ZO_OK; i++) {
        list_optimizer(q, list[i]);
    }
    if (status == ZO_OK) {
        list_unknown(q);
    }
    if (plugin != NULL) {
        list_optimizer(q, plugin);
    }
    return status;
}

static void add_oracle(request *q, const char *name, const char *options, const char *oracle, const char *within)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "optimizer", name);
    cJSON_AddStringToObject(row, "variant", options);
    cJSON_AddStringToObject(row, "oracle", oracle);
    cJSON_AddStringToObject(row, "within", within);
    cJSON_AddItemToArray(q->rows, row);
}

/* Each method with each set of options that a test holds against an oracle; and "none" for what none is held against: a method, or a variant of one. */
static zo_status list_oracles(request *q, zo_err *err)
{
    (void)err;
    const zo_estimator *const *list;
    const zo_oracle *oracle;
    int n = zo_estimator_list(&list), lines = zo_oracle_list(&oracle);
    for (int i = 0; i < n; i++) {
        char text[400];
        for (int k = 0; k < lines; k++) {
            if (strcmp(oracle[k].estimator, list[i]->name) == 0) {
                add_oracle(q, list[i]->name, oracle[k].options, oracle[k].oracle, oracle[k].within);
            }
        }
        if (zo_oracles_of(list[i]->name, NULL, text, sizeof text)[0] == '\0') {
            add_oracle(q, list[i]->name, "", list[i]->step == NULL ? "none: it has no steps" : "none", "");
        }
        for (const zo_variant *v = list[i]->variants; v != NULL && v->key != NULL && list[i]->step != NULL; v++) {
            cJSON *options = zo_variant_options(v);
            if (zo_oracles_of(list[i]->name, options, text, sizeof text)[0] == '\0') {
                char *said = cJSON_PrintUnformatted(options);
                add_oracle(q, list[i]->name, said, "none", "");
                cJSON_free(said);
            }
            cJSON_Delete(options);
        }
    }
    return ZO_OK;
}

static zo_status list_tasks(request *q, zo_err *err)
{
    (void)err;
    const zo_task_info *list;
    int n = zo_task_list(&list);
    for (int i = 0; i < n; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "task", list[i].name);
        cJSON_AddStringToObject(row, "title", list[i].title);
        cJSON_AddNumberToObject(row, "classes", list[i].classes);
        cJSON_AddStringToObject(row, "forms", list[i].has_head && list[i].has_prompt ? "head prompt" : list[i].has_head ? "head" : "prompt");
        const char *option = list[i].own_option_prompt ? "option (own)" : list[i].has_option_prompt ? "option" : "";
        char prompt[32];
        snprintf(prompt, sizeof prompt, "%s%s%s", list[i].has_mask_prompt ? "mask" : "", list[i].has_mask_prompt && option[0] ? " " : "", option);
        cJSON_AddStringToObject(row, "prompt", prompt);
        cJSON_AddStringToObject(row, "metric", zo_metric_name(list[i].headline));
        cJSON_AddStringToObject(row, "files", list[i].files != NULL ? list[i].files : "none: generated by seed");
        cJSON_AddItemToArray(q->rows, row);
    }
    return ZO_OK;
}

static void add_model(request *q, const char *name, const char *folder)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "model", name);
    zo_arch arch;
    zo_err err = {0};
    if (zo_arch_read(folder, &arch, &err) == ZO_OK) {
        cJSON_AddStringToObject(row, "family", arch.family);
        cJSON_AddNumberToObject(row, "layers", arch.layers);
        cJSON_AddNumberToObject(row, "hidden", arch.hidden);
        cJSON_AddNumberToObject(row, "vocab", arch.vocab);
        cJSON_AddNumberToObject(row, "positions", arch.positions);
    } else {
        cJSON_AddStringToObject(row, "problem", err.text);
    }
    cJSON_AddStringToObject(row, "folder", folder);
    cJSON_AddItemToArray(q->rows, row);
}

static void list_models_in(request *q, const char *dir)
{
    struct dirent **entry = NULL;
    int n = dir != NULL ? scandir(dir, &entry, NULL, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        char folder[4096], config[4096];
        if (entry[i]->d_name[0] != '.' && strlen(dir) + strlen(entry[i]->d_name) < 4000) {
            zo_path_join(folder, sizeof folder, dir, entry[i]->d_name);
            if (zo_path_exists(zo_path_join(config, sizeof config, folder, "config.json"))) {
                add_model(q, entry[i]->d_name, folder);
            }
        }
        free(entry[i]);
    }
    free(entry);
}

/* The Hugging Face cache: models--org--name/snapshots. */
static void list_cached_models(request *q)
{
    char hub[4096];
    if (!zo_hub_cache(hub, sizeof hub)) {
        return;
    }
    struct dirent **entry = NULL;
    int n = scandir(hub, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char name[300], folder[4096];
        if (strncmp(entry[i]->d_name, "models--", 8) == 0) {
            snprintf(name, sizeof name, "%.255s", entry[i]->d_name + 8);
            char *dashes = strstr(name, "--");
            if (dashes != NULL) {
                *dashes = '/';
                memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
            }
            if (zo_hub_find(name, NULL, folder, NULL) == ZO_OK) {
                add_model(q, name, folder);
            }
        }
        free(entry[i]);
    }
    free(entry);
}

static zo_status list_models(request *q, zo_err *err)
{
    (void)err;
    for (int i = 0; i < zo_synth_model_count(); i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "model", zo_synth_model_name(i));
        cJSON_AddStringToObject(row, "family", "bert");
        cJSON_AddStringToObject(row, "folder", "pretrained by zo on a synthetic language when first asked for");
        cJSON_AddItemToArray(q->rows, row);
    }
    for (int i = 0; i < zo_shape_count(); i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "model", zo_shape_name(i));
        cJSON_AddStringToObject(row, "family", zo_shape_family(i));
        cJSON_AddStringToObject(row, "folder", "sizes alone, for measurements with \"init\": \"random\"");
        cJSON_AddItemToArray(q->rows, row);
    }
    list_models_in(q, q->models);
    list_models_in(q, getenv("ZO_MODELS"));
    list_cached_models(q);
    return ZO_OK;
}

static zo_status list_plots(request *q, zo_err *err)
{
    cJSON_Delete(q->rows);
    return zo_plot_list(&q->rows, err);
}

static zo_status list_configs(request *q, zo_err *err)
{
    char root[4096];
    zo_status status = zo_share_find("paper_configs", root, sizeof root, err);
    if (status != ZO_OK) {
        return status;
    }
    char real[PATH_MAX], here[PATH_MAX]; /* without "build/.."; below the working folder from there on */
    if (realpath(root, real) != NULL && strlen(real) < sizeof root) {
        size_t n = getcwd(here, sizeof here) != NULL ? strlen(here) : 0;
        bool below = n > 1 && strncmp(real, here, n) == 0 && real[n] == '/';
        snprintf(root, sizeof root, "%s", real + (below ? n + 1 : 0));
    }
    struct dirent **folder = NULL;
    int n = scandir(root, &folder, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct dirent **file = NULL;
        int m = 0;
        if (folder[i]->d_name[0] != '.') {
            m = scandir(zo_path_join(path, sizeof path, root, folder[i]->d_name), &file, NULL, alphasort);
        }
        for (int k = 0; k < m; k++) {
            size_t length = strlen(file[k]->d_name);
            char config[4096];
            cJSON *json = NULL;
            if (length > 5 && strcmp(file[k]->d_name + length - 5, ".json") == 0 && strlen(path) + length < 4000) {
                zo_path_join(config, sizeof config, path, file[k]->d_name);
                if (zo_json_read(config, &json, err) != ZO_OK) {
                    json = NULL;
                }
            }
            if (json != NULL) {
                const cJSON *notes = cJSON_GetObjectItemCaseSensitive(json, "notes");
                cJSON *row = cJSON_CreateObject();
                cJSON_AddStringToObject(row, "config", config);
                cJSON_AddStringToObject(row, "notes", cJSON_IsString(notes) ? notes->valuestring : "");
                cJSON_AddItemToArray(q->rows, row);
                cJSON_Delete(json);
            }
            free(file[k]);
        }
        free(file);
        free(folder[i]);
    }
    free(folder);
    return ZO_OK;
}

int zo_cmd_list(int argc, char **argv)
{
    static const struct { const char *name; zo_status (*list)(request *q, zo_err *err); } what[] = {
        {"models", list_models}, {"tasks", list_tasks}, {"optimizers", list_optimizers}, {"oracles", list_oracles}, {"plots", list_plots}, {"configs", list_configs}};
    enum { N = sizeof what / sizeof *what };
    const char *word = NULL;
    request q = {0};
    const zo_arg table[] = {{"--json", ZO_ARG_FLAG, &q.json}, {"--models", ZO_ARG_TEXT, &q.models}, {"--plugin", ZO_ARG_TEXT, &q.plugin}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, &word, 1, 1, NULL, "zo list models|tasks|optimizers|oracles|plots|configs [--models DIR] [--plugin FILE] [--json]", &err);
    if (status == ZO_OK) {
        const char *names[N];
        int at = 0;
        for (int i = 0; i < N; i++) {
            names[i] = what[i].name;
        }
        while (at < N && strcmp(what[at].name, word) != 0) {
            at++;
        }
        if (at == N) {
            const char *near = zo_nearest(word, names, N);
            status = zo_fail(&err, ZO_EINPUT, "there is no list of \"%.40s\"; %s%s%s", word, near != NULL ? "did you mean " : "expected ",
                             near != NULL ? near : "models, tasks, optimizers, oracles, plots or configs", near != NULL ? "?" : "");
        } else {
            q.rows = cJSON_CreateArray();
            status = what[at].list(&q, &err);
        }
    }
    if (status != ZO_OK) {
        fprintf(stderr, "zo list: %s\n", err.text);
        cJSON_Delete(q.rows);
        return 2;
    }
    if (!q.json) { /* a table for people: long texts out */
        for (cJSON *row = q.rows->child; row != NULL; row = row->next) {
            cJSON *options = cJSON_DetachItemFromObjectCaseSensitive(row, "options");
            if (options != NULL) {
                char keys[1000] = "";
                for (const cJSON *o = options->child; o != NULL; o = o->next) {
                    const char *key = cJSON_GetObjectItemCaseSensitive(o, "key")->valuestring;
                    snprintf(keys + strlen(keys), sizeof keys - strlen(keys), "%s%s", keys[0] ? " " : "", key);
                }
                cJSON_DeleteItemFromObjectCaseSensitive(row, "losses_at");
                cJSON_DeleteItemFromObjectCaseSensitive(row, "loss_is");
                cJSON_DeleteItemFromObjectCaseSensitive(row, "variants");
                cJSON_AddStringToObject(row, "options", keys);
                cJSON_Delete(options);
            }
        }
    }
    zo_table_print(stdout, q.rows, q.json ? ZO_TABLE_JSON : ZO_TABLE_MD, zo_terminal_columns(STDOUT_FILENO));
    cJSON_Delete(q.rows);
    return 0;
}
