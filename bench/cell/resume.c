/* resume.c: what a cell needs to go on when its process was killed, written beside the database now and then, and put back; see run.h. It is taken
 * between two steps, outside their time, and nothing is settled or rounded for it (optimizers/checkpoint.h): the run ends with the bits of one that
 * was never killed and never wrote any. */
#include "bench/cell/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "optimizers/engine/checkpoint.h"

/* Who may read it: another program, device or cell has other bits. */
typedef struct owner {
    char binary[17], device[128];
    int64_t meaning;
    zo_identity identity;
} owner;

static owner owner_of(const zo_cell_run *r)
{
    owner o;
    memset(&o, 0, sizeof o);
    const char *binary = zo_host(NULL, 0, -1).binary;
    snprintf(o.binary, sizeof o.binary, "%s", binary != NULL ? binary : "");
    snprintf(o.device, sizeof o.device, "%s", r->setup.be->device);
    o.meaning = ZO_MEANING;
    o.identity = r->identity;
    return o;
}

/* NULL = the two are one. */
static const char *difference(const owner *was, const owner *is)
{
    return strcmp(was->binary, is->binary) != 0 || is->binary[0] == '\0'         ? "it is of another program"
           : strcmp(was->device, is->device) != 0                                ? "it is of another device"
           : was->meaning != is->meaning                                         ? "its keys and figures mean something else"
           : memcmp(&was->identity, &is->identity, sizeof is->identity) != 0     ? "it is of a cell with other settings or other files"
                                                                                 : NULL;
}

/* The peaks so far of the space that counts. */
static void archive_peaks(zo_cell_run *r, zo_archive *a)
{
    zo_peak overall = zo_mem_peak_overall(r->space);
    uint64_t rss = zo_rss_peak_bytes();
    r->rss_before = rss > r->rss_before ? rss : r->rss_before;
    ZO_ARCHIVE(a, overall);
    ZO_ARCHIVE(a, r->rss_before);
    for (int phase = 0; phase < ZO_PHASES; phase++) {
        zo_peak peak = zo_mem_peak(r->space, (zo_phase)phase);
        ZO_ARCHIVE(a, peak);
        if (a->loads && a->err.status == ZO_OK) {
            zo_mem_raise(r->space, (zo_phase)phase, &peak, &overall);
        }
    }
}

/* What the machine did from the first step on: the processes before this one, with their times. */
static void archive_load(zo_cell_run *r, zo_archive *a)
{
    zo_load now = zo_load_read(), d = {.wall_seconds = now.wall_seconds - r->load_start.wall_seconds,
                                       .cpu_seconds = now.cpu_seconds - r->load_start.cpu_seconds,
                                       .busy_seconds = now.busy_seconds - r->load_start.busy_seconds,
                                       .steal_seconds = now.steal_seconds - r->load_start.steal_seconds,
                                       .switches = now.switches - r->load_start.switches};
    ZO_ARCHIVE(a, d);
    if (a->loads) {
        r->load_start = (zo_load){.wall_seconds = now.wall_seconds - d.wall_seconds,
                                  .cpu_seconds = now.cpu_seconds - d.cpu_seconds,
                                  .busy_seconds = now.busy_seconds - d.busy_seconds,
                                  .steal_seconds = now.steal_seconds - d.steal_seconds,
                                  .switches = now.switches - d.switches,
                                  .cores = now.cores};
    }
}

/* All that the loop has gathered. */
static void archive_run(zo_cell_run *r, zo_archive *a)
{
    zo_setup *s = &r->setup;
    ZO_ARCHIVE(a, r->step);
    ZO_ARCHIVE(a, r->train_seconds);
    ZO_ARCHIVE(a, r->eval_seconds);
    ZO_ARCHIVE(a, r->checkpoint.seconds);
    ZO_ARCHIVE(a, r->part);
    ZO_ARCHIVE(a, r->gather);
    ZO_ARCHIVE(a, r->gathered);
    zo_archive_int64(a, &r->timed, 0, INT64_MAX);
    zo_archive_bytes(a, r->step_seconds, (size_t)(r->timed < ZO_CELL_TIMES ? r->timed : ZO_CELL_TIMES) * sizeof *r->step_seconds);
    ZO_ARCHIVE(a, r->full);
    ZO_ARCHIVE(a, r->other);
    ZO_ARCHIVE(a, r->first_seconds);
    ZO_ARCHIVE(a, r->first_full);
    ZO_ARCHIVE(a, r->paper_queries);
    ZO_ARCHIVE(a, r->evaluated_at);
    zo_archive_int64(a, &r->candidate_room, 1, 1 << 28);
    zo_archive_int64(a, &r->candidates, 0, r->candidate_room);
    if (a->loads) {
        r->candidate = zo_realloc(r->candidate, ZO_HOST, ZO_TAG_OTHER, (size_t)r->candidate_room * sizeof *r->candidate);
    }
    zo_archive_bytes(a, r->candidate, (size_t)r->candidates * sizeof *r->candidate);
    ZO_ARCHIVE(a, r->score_best);
    ZO_ARCHIVE(a, r->dev_best);
    ZO_ARCHIVE(a, r->tenths);
    ZO_ARCHIVE(a, r->watch);
    ZO_ARCHIVE(a, r->tape.torn); /* the journal has ended: nothing behind the gap is written to it */
    ZO_ARCHIVE(a, r->loss);
    ZO_ARCHIVE(a, s->counts);
    ZO_ARCHIVE(a, s->counters);
    archive_peaks(r, a);
    archive_load(r, a);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static zo_status write_checkpoint(zo_cell_run *r, zo_err *err)
{
    zo_archive a;
    zo_mark mark;
    owner o = owner_of(r);
    zo_status status = zo_cell_write_rows(r, err);
    status = status == ZO_OK ? zo_results_mark(r->results, r->id, r->step, &mark, err) : status;
    status = status == ZO_OK ? zo_archive_create(&a, r->checkpoint.path, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    ZO_ARCHIVE(&a, o);
    ZO_ARCHIVE(&a, mark);
    ZO_ARCHIVE(&a, r->checkpoint.resumed);
    archive_run(r, &a);
    zo_engine_archive(r->setup.engine, &a);
    zo_estimator_archive(r->cell.estimator, r->setup.state, &a);
    return zo_archive_close(&a, err);
}

void zo_cell_checkpoint(zo_cell_run *r, bool now)
{
    double start = zo_now();
    bool by_time = r->checkpoint.every_seconds > 0 && start - r->checkpoint.written_at >= r->checkpoint.every_seconds;
    bool by_steps = r->checkpoint.every_steps > 0 && r->step % r->checkpoint.every_steps == 0;
    if (!by_time && !by_steps && !now) {
        return;
    }
    zo_err err = {0};
    zo_cell_phase(r, "checkpoint");
    zo_status status = write_checkpoint(r, &err);
    zo_cell_phase(r, "train");
    if (status == ZO_OK) {
        r->checkpoint.step = r->step;
    } else if (!r->checkpoint.complained) {
        char text[sizeof err.text + 100];
        snprintf(text, sizeof text, "%s; until a checkpoint can be written the cell goes on without", err.text);
        zo_cell_say(text);
        r->checkpoint.complained = true;
    }
    r->checkpoint.written_at = zo_now();
    r->checkpoint.seconds += r->checkpoint.written_at - start;
}

/* ---- going on ----------------------------------------------------------------------------------------------------------- */

/* It is of no use for this cell, `why` says for what reason. */
static zo_status begin_anew(zo_cell_run *r, const zo_err *why)
{
    char text[sizeof why->text + 40];
    snprintf(text, sizeof text, "%s; the cell begins anew", why->text);
    zo_cell_say(text);
    r->checkpoint.resumed = 0;
    return ZO_OK;
}

zo_status zo_cell_resume(zo_cell_run *r, bool *goes_on, zo_err *err)
{
    const char *path = r->checkpoint.path;
    zo_archive a;
    zo_mark mark;
    zo_err why = {0};
    owner was, is = owner_of(r);
    *goes_on = false;
    if (!zo_path_exists(path)) {
        return ZO_OK;
    }
    if (zo_archive_open(&a, path, &why) != ZO_OK) {
        return begin_anew(r, &why);
    }
    ZO_ARCHIVE(&a, was);
    ZO_ARCHIVE(&a, mark);
    zo_archive_int64(&a, &r->checkpoint.resumed, 0, INT32_MAX);
    mark.name[sizeof mark.name - 1] = '\0';
    r->checkpoint.resumed++;
    const char *other = a.err.status == ZO_OK ? difference(&was, &is) : "it ends before its first value";
    zo_status status = other != NULL ? zo_fail(&why, ZO_EINPUT, "%s", other) : zo_results_go_on(r->results, r->id, &mark, r->checkpoint.resumed, &why);
    if (status != ZO_OK) {
        fclose(a.file);
        zo_fail_in(&why, path);
        return status == ZO_EINPUT ? begin_anew(r, &why) : zo_fail(err, status, "%s", why.text);
    }
    archive_run(r, &a);
    zo_engine_archive(r->setup.engine, &a);
    zo_estimator_archive(r->cell.estimator, r->setup.state, &a);
    status = zo_archive_close(&a, err);
    if (status != ZO_OK) { /* a part of it is in place: the next process begins anew */
        unlink(path);
        return status;
    }
    *goes_on = true;
    char text[100];
    snprintf(text, sizeof text, "goes on after step %lld, from its checkpoint", (long long)r->step);
    zo_cell_say(text);
    return ZO_OK;
}

void zo_cell_drop_checkpoint(const zo_cell_run *r)
{
    if (r->checkpoint.path[0] != '\0') {
        char fresh[sizeof r->checkpoint.path + 8];
        snprintf(fresh, sizeof fresh, "%s.new", r->checkpoint.path); /* of a process that was killed while it wrote */
        unlink(r->checkpoint.path);
        unlink(fresh);
    }
}
