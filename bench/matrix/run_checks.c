/* run_checks.c: each combination of device, model and data is opened once, in a process that ends again. See run_checks.h. */
#include "bench/matrix/run_checks.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cell/predict.h"
#include "bench/cell/process.h"
#include "bench/matrix/child.h"
#include "bench/synth/pretrain.h"
#include "core/conf.h"
#include "core/hashmap.h"
#include "core/mem.h"
#include "core/text.h"

static void read_check(const zo_child *c, zo_foreseen *found)
{
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(c->check, "bytes");
    for (int t = 0; t < ZO_TAGS && cJSON_GetArraySize(bytes) == ZO_TAGS; t++) {
        found->bytes[t] = (uint64_t)cJSON_GetArrayItem(bytes, t)->valuedouble;
        found->total += (double)found->bytes[t];
    }
    found->limit = zo_json_number(c->check, "limit", 0);
    found->dev = (int64_t)zo_json_number(c->check, "dev", 0);
    found->test = (int64_t)zo_json_number(c->check, "test", 0);
    found->oom = c->oom;
    snprintf(found->why, sizeof found->why, "%s", c->error);
}

/* Opens the device, data and model of one cell in a process that ends again. A crash or lack of memory there is left to the cell itself. */
static zo_status check_cell(const zo_cell *cell, const zo_run_spec *spec, zo_job_kind kind, zo_foreseen *found, zo_err *err)
{
    zo_child c;
    cJSON *job = zo_job_make(cell, spec, kind, NULL);
    zo_status status = zo_child_start(&c, job, err);
    cJSON_Delete(job);
    if (status != ZO_OK) {
        return status;
    }
    int ended = zo_child_watch(&c, NULL, NULL, NULL);
    read_check(&c, found);
    cJSON_Delete(c.check);
    found->wrong = WIFEXITED(ended) && WEXITSTATUS(ended) == ZO_CELL_INPUT && c.error[0] != '\0';
    if (found->wrong && !(spec->goes_on && kind == ZO_JOB_CHECK)) {
        char label[1200];
        zo_fail(err, ZO_EINPUT, "%s", c.error);
        return zo_fail_in(err, zo_cell_label(cell, label, sizeof label));
    }
    return ZO_OK;
}

/* Every device that cells ask for is there: found before a model is made. */
static zo_status check_devices(const zo_grid *grid, const bool *todo, const zo_run_spec *spec, zo_err *err)
{
    zo_status status = ZO_OK;
    const char *asked = "cpu"; /* cells of one device follow each other, mostly */
    for (int64_t i = 0; i < grid->n && status == ZO_OK && !zo_run_interrupted; i++) {
        if (todo[i] && strcmp(grid->cell[i].device, asked) != 0) {
            zo_foreseen none = {.total = 0};
            asked = grid->cell[i].device;
            status = check_cell(&grid->cell[i], spec, ZO_JOB_CHECK_DEVICE, &none, err);
        }
    }
    return status;
}

zo_status zo_run_check_cells(const zo_grid *grid, const bool *todo, const zo_run_spec *spec, zo_live *l, zo_foreseen *foreseen, zo_err *err)
{
    zo_status status = check_devices(grid, todo, spec, err);
    zo_hashmap checked = {0}; /* by what decides whether a cell can be opened: the first such cell */
    const char *asked = NULL; /* the model that was looked for last: cells of one model follow each other */
    zo_err absent = {0};      /* why it is not there */
    for (int64_t i = 0; i < grid->n && status == ZO_OK && !zo_run_interrupted; i++) {
        const zo_cell *cell = &grid->cell[i];
        if (!todo[i] || (spec->dry && zo_model_is_unmade(cell->model))) {
            continue;
        }
        if (asked == NULL || strcmp(asked, cell->model) != 0) {
            char folder[4096];
            asked = cell->model;
            absent = (zo_err){0};
            status = zo_model_folder(cell->model, spec->dirs.models, zo_live_pretraining, l, folder, &absent);
            if (status != ZO_OK && !spec->goes_on) {
                zo_fail(err, status, "%s", absent.text);
                zo_fail_in(err, grid->path);
                break;
            }
            status = ZO_OK;
        }
        if (absent.status != ZO_OK) {
            foreseen[i] = (zo_foreseen){.wrong = true};
            snprintf(foreseen[i].why, sizeof foreseen[i].why, "%s", absent.text);
            continue;
        }
        bool is_new;
        int64_t *same = zo_hashmap_at(&checked, zo_cell_opening(cell, foreseen != NULL), &is_new);
        if (is_new) {
            *same = i;
            if (l->terminal) {
                char label[1200], fitted[sizeof label + 4];
                fprintf(stderr, "\rchecking %s\033[K", zo_label_fit(zo_cell_label(cell, label, sizeof label), zo_terminal_columns(STDERR_FILENO) - 10, fitted,
                                                                 sizeof fitted));
                l->shown = true;
            }
            zo_foreseen alone = {.total = 0};
            status = check_cell(cell, spec, ZO_JOB_CHECK, foreseen != NULL ? &foreseen[i] : &alone, err);
        } else if (foreseen != NULL) {
            foreseen[i] = foreseen[*same];
        }
    }
    zo_live_clear(l);
    zo_hashmap_free(&checked);
    return status;
}
