/* replay.c: see replay.h. */
#include "bench/cli/replay.h"

#include <stdio.h>
#include <string.h>

#include "bench/cell/process.h"
#include "bench/matrix/identity.h"
#include "core/mem.h"
#include "optimizers/plugins.h"

/* The losses, and whether they can be enough. */
static zo_status read_journal(zo_replay *a, zo_results *results, zo_err *err)
{
    static const char again[] = "`zo run` with its config, --redo and --save DIR trains it again and keeps its weights";
    if (a->cell.estimator->fit != NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "run %s is of %s, which has no steps: its one pass over the training rows stands in no journal; %s", a->run,
                       a->cell.estimator->name, again);
    }
    if (a->cell.estimator->step == NULL) {
        return zo_fail(err, ZO_EINPUT, "run %s has trained nothing: %s has no steps", a->run, a->cell.estimator->name);
    }
    if (a->cell.estimator->first_order) {
        return zo_fail(err, ZO_EUNSUPPORTED, "run %s is of %s, whose gradients need its forward and backward passes again and stand in no journal; %s", a->run,
                       a->cell.estimator->name, again);
    }
    if (zo_plugin_python(a->cell.estimator) != NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "run %s is of an estimator in Python, which runs in a process of Python alone; %s", a->run, again);
    }
    if (a->facts.steps < 0) {
        return zo_fail(err, ZO_EINPUT, "run %s has not ended (it is %s), so how many steps it made is not known; name one that has", a->run, a->facts.status);
    }
    if (a->to > a->facts.steps) {
        return zo_fail(err, ZO_EINPUT, "run %s made %lld steps, and --to asks for %lld", a->run, (long long)a->facts.steps, (long long)a->to);
    }
    zo_status status = zo_results_journal_read(results, a->facts.run, &a->tape.loss, &a->tape.n, err);
    if (status == ZO_OK && a->tape.n == 0 && a->facts.steps > 0) {
        return zo_fail(err, ZO_EINPUT, "run %s has no journal: it was made before there were any; %s", a->run, again);
    }
    return status;
}

/* Other files would give other weights. */
static zo_status check_files(zo_replay *a, zo_err *err)
{
    zo_identities *ids = zo_identities_new(&a->dirs);
    zo_identity now = zo_identity_of(ids, &a->cell, NULL);
    const char *other = zo_identity_difference(&a->facts.identity, &now);
    zo_identities_free(ids);
    return other[0] == '\0' ? ZO_OK : zo_fail(err, ZO_EINPUT, "run %s was made with %s than there is now; name its folders with --models and --data", a->run, other);
}

static zo_status play(zo_replay *a, zo_err *err)
{
    a->steps = a->to >= 0 ? a->to : a->facts.steps;
    zo_status status = zo_setup_open(&a->setup, &a->cell, &a->dirs, a->be, err);
    if (status != ZO_OK) {
        return status;
    }
    a->setup.tape = &a->tape;
    for (int64_t step = 0; step < a->steps && status == ZO_OK; step++) {
        zo_step_report report;
        double seconds;
        status = a->before != NULL ? a->before(a, step, err) : ZO_OK;
        status = status == ZO_OK ? zo_setup_step(&a->setup, step, &report, &seconds, err) : status;
        status = status == ZO_OK && a->after != NULL ? a->after(a, step + 1, err) : status;
    }
    if (status == ZO_OK && a->to < 0 && a->tape.at != a->tape.n) {
        status = zo_fail(err, ZO_EINPUT, "the journal of run %s has %lld losses, and its steps ask for %lld: it is not of this program", a->run,
                         (long long)a->tape.n, (long long)a->tape.at);
    }
    status = status == ZO_OK && a->ended != NULL ? a->ended(a, err) : status;
    if (a->close != NULL) {
        a->close(a);
    }
    zo_setup_close(&a->setup);
    return status;
}

zo_status zo_replay_play(zo_replay *a, zo_err *err)
{
    zo_results *results = NULL;
    bool parsed = false;
    a->tape = (zo_tape){.plays = true};
    zo_status status = zo_results_open_read(&results, a->db, err);
    status = status == ZO_OK ? zo_results_facts(results, a->run, &a->facts, err) : status;
    if (status == ZO_OK) {
        status = zo_cell_parse(&a->cell, a->facts.config, err);
        parsed = status == ZO_OK;
    }
    if (a->dirs.data == NULL && a->facts.data_folder[0] != '\0') {
        a->dirs.data = a->facts.data_folder;
    }
    status = status == ZO_OK ? read_journal(a, results, err) : status;
    zo_results_close(results);
    status = status == ZO_OK ? check_files(a, err) : status;
    status = status == ZO_OK ? zo_backend_open(a->cell.device, (int)a->cell.threads, &a->be, err) : status;
    const char *binary = zo_host(NULL, 0, -1).binary;
    if (status == ZO_OK && binary != NULL && strcmp(binary, a->facts.binary) != 0) {
        fprintf(stderr, "note: run %s was made by another build (revision %s); the same bits are promised of one alone\n", a->run, a->facts.revision);
    }
    status = status == ZO_OK ? play(a, err) : status;
    if (a->be != NULL) {
        a->be->close(a->be);
    }
    if (parsed) {
        zo_cell_free(&a->cell);
    }
    zo_free(a->facts.config);
    zo_free(a->tape.loss);
    return status;
}
