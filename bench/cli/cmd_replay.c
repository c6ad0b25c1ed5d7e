/* cmd_replay.c: `zo replay` and `zo export`: a zeroth-order run made again from the losses in its journal, without a forward. Directions are drawn again,
 * and the weights move as they moved: in place over the same rows, with the same rounding. So they end with the same bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/process.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/identity.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "optimizers/plugins.h"

typedef struct replay_args {
    const char *db, *run, *folder; /* folder NULL: the weights are kept nowhere */
    zo_setup_dirs dirs;
    int64_t to;                    /* steps; -1 = all that it made */
    bool tokenizer;                /* the model's tokenizer comes along */
} replay_args;

/* What transformers reads a tokenizer from. */
static zo_status copy_tokenizer(const char *from, const char *to, zo_err *err)
{
    static const char *const name[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
                                       "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model"};
    zo_status status = ZO_OK;
    for (size_t i = 0; i < sizeof name / sizeof *name && status == ZO_OK; i++) {
        char source[4200], target[4200], *text;
        size_t bytes;
        if (zo_path_exists(zo_path_join(source, sizeof source, from, name[i]))) {
            status = zo_read_file(source, (size_t)1 << 28, &text, &bytes, err);
            if (status == ZO_OK) {
                status = zo_write_file(zo_path_join(target, sizeof target, to, name[i]), text, bytes, err);
                zo_free(text);
            }
        }
    }
    return status;
}

/* The losses, and whether they can be enough. */
static zo_status read_journal(const replay_args *a, const zo_run_facts *facts, zo_results *results, const zo_cell *cell, zo_tape *tape, zo_err *err)
{
    static const char again[] = "`zo run` with its config, --redo and --save DIR trains it again and keeps its weights";
    if (cell->estimator->fit != NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "run %s is of %s, which has no steps: its one pass over the training rows stands in no journal; %s", a->run,
                       cell->estimator->name, again);
    }
    if (cell->estimator->step == NULL) {
        return zo_fail(err, ZO_EINPUT, "run %s has trained nothing: %s has no steps", a->run, cell->estimator->name);
    }
    if (cell->estimator->first_order) {
        return zo_fail(err, ZO_EUNSUPPORTED, "run %s is of %s, whose gradients need its forward and backward passes again and stand in no journal; %s", a->run,
                       cell->estimator->name, again);
    }
    if (zo_plugin_python(cell->estimator) != NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "run %s is of an estimator in Python, which runs in a process of Python alone; %s", a->run, again);
    }
    if (facts->steps < 0) {
        return zo_fail(err, ZO_EINPUT, "run %s has not ended (it is %s), so how many steps it made is not known; name one that has", a->run, facts->status);
    }
    if (a->to > facts->steps) {
        return zo_fail(err, ZO_EINPUT, "run %s made %lld steps, and --to asks for %lld", a->run, (long long)facts->steps, (long long)a->to);
    }
    zo_status status = zo_results_journal_read(results, facts->run, &tape->loss, &tape->n, err);
    if (status == ZO_OK && tape->n == 0 && facts->steps > 0) {
        return zo_fail(err, ZO_EINPUT, "run %s has no journal: it was made before there were any; %s", a->run, again);
    }
    return status;
}

/* Other files would give other weights. */
static zo_status check_files(const replay_args *a, const zo_run_facts *facts, const zo_cell *cell, zo_err *err)
{
    zo_identities *ids = zo_identities_new(&a->dirs);
    zo_identity now = zo_identity_of(ids, cell, NULL);
    const char *other = zo_identity_difference(&facts->identity, &now);
    zo_identities_free(ids);
    return other[0] == '\0' ? ZO_OK : zo_fail(err, ZO_EINPUT, "run %s was made with %s than there is now; name its folders with --models and --data", a->run, other);
}

/* 64-bit FNV-1a over the values of what is trained, in f32. */
static uint64_t hash_weights(zo_setup *s)
{
    zo_store *sum = zo_engine_sum(s->engine);
    float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)sum->size * sizeof *host);
    zo_store_read(s->be, sum, 0, sum->size, host);
    uint64_t hash = zo_fnv1a(ZO_FNV_START, host, (size_t)sum->size * sizeof *host);
    zo_free(host);
    zo_store_free(s->be, sum);
    return hash;
}

static zo_status play(const replay_args *a, const zo_run_facts *facts, const zo_cell *cell, zo_tape *tape, zo_backend *be, zo_err *err)
{
    zo_setup s;
    double start = zo_now();
    int64_t steps = a->to >= 0 ? a->to : facts->steps;
    zo_status status = zo_setup_open(&s, cell, &a->dirs, be, err);
    if (status != ZO_OK) {
        return status;
    }
    s.tape = tape;
    for (int64_t step = 0; step < steps && status == ZO_OK; step++) {
        zo_step_report report;
        double seconds;
        status = zo_setup_step(&s, step, &report, &seconds, err);
    }
    if (status == ZO_OK && a->to < 0 && tape->at != tape->n) {
        status = zo_fail(err, ZO_EINPUT, "the journal of run %s has %lld losses, and its steps ask for %lld: it is not of this program", a->run,
                         (long long)tape->n, (long long)tape->at);
    }
    uint64_t hash = status == ZO_OK ? hash_weights(&s) : 0;
    if (status == ZO_OK && a->folder != NULL) {
        status = zo_setup_save(&s, a->folder, err);
        status = status == ZO_OK && a->tokenizer ? copy_tokenizer(s.folder, a->folder, err) : status;
    }
    if (status == ZO_OK) {
        char forwards[60] = "without a forward";
        if (s.counts.forwards > 0) { /* a linear probe's */
            snprintf(forwards, sizeof forwards, "and a linear probe's %llu forwards", (unsigned long long)s.counts.forwards);
        }
        printf("%s%srun %lld (%s) after step %lld, from %lld losses in %.1f s %s; weights %016llx\n", a->folder != NULL ? a->folder : "",
               a->folder != NULL ? ": " : "", (long long)facts->run, cell->estimator->name, (long long)steps, (long long)tape->at, zo_now() - start, forwards,
               (unsigned long long)hash);
    }
    zo_setup_close(&s);
    return status;
}

static zo_status replay(replay_args *a, zo_err *err)
{
    zo_results *results = NULL;
    zo_run_facts facts = {0};
    zo_cell cell = {0};
    zo_tape tape = {.plays = true};
    zo_backend *be = NULL;
    bool parsed = false;
    if (a->folder != NULL && zo_path_exists(a->folder)) {
        return zo_fail(err, ZO_EINPUT, "%s is there already, and nothing is written over; name another folder", a->folder);
    }
    zo_status status = zo_results_open_read(&results, a->db, err);
    status = status == ZO_OK ? zo_results_facts(results, a->run, &facts, err) : status;
    if (status == ZO_OK) {
        status = zo_cell_parse(&cell, facts.config, err);
        parsed = status == ZO_OK;
    }
    if (a->dirs.data == NULL && facts.data_folder[0] != '\0') {
        a->dirs.data = facts.data_folder;
    }
    status = status == ZO_OK ? read_journal(a, &facts, results, &cell, &tape, err) : status;
    status = status == ZO_OK ? check_files(a, &facts, &cell, err) : status;
    status = status == ZO_OK ? zo_backend_open(cell.device, (int)cell.threads, &be, err) : status;
    const char *binary = zo_host(NULL, 0, -1).binary;
    if (status == ZO_OK && binary != NULL && strcmp(binary, facts.binary) != 0) {
        fprintf(stderr, "note: run %s was made by another build (revision %s); the same bits are promised of one alone\n", a->run, facts.revision);
    }
    status = status == ZO_OK ? play(a, &facts, &cell, &tape, be, err) : status;
    if (be != NULL) {
        be->close(be);
    }
    zo_results_close(results);
    if (parsed) {
        zo_cell_free(&cell);
    }
    zo_free(facts.config);
    zo_free(tape.loss);
    return status;
}

static int end(const char *command, zo_status status, const zo_err *err)
{
    if (status != ZO_OK) {
        fprintf(stderr, "zo %s: %s\n", command, err->text);
    }
    return status == ZO_OK ? 0 : 2;
}

int zo_cmd_replay(int argc, char **argv)
{
    replay_args a = {.db = "results/zo.db", .to = -1};
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &a.db},
                            {"--to", ZO_ARG_INT, &a.to},
                            {"--save", ZO_ARG_TEXT, &a.folder},
                            {"--data", ZO_ARG_TEXT, &a.dirs.data},
                            {"--models", ZO_ARG_TEXT, &a.dirs.models},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, &a.run, 1, 1, NULL, "zo replay RUN [--to STEP] [--save DIR] [--db FILE] [--data DIR] [--models DIR]", &err);
    return end("replay", status == ZO_OK ? replay(&a, &err) : status, &err);
}

int zo_cmd_export(int argc, char **argv)
{
    replay_args a = {.db = "results/zo.db", .to = -1, .tokenizer = true};
    const char *word[2];
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &a.db}, {"--data", ZO_ARG_TEXT, &a.dirs.data}, {"--models", ZO_ARG_TEXT, &a.dirs.models}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, word, 2, 2, NULL, "zo export RUN DIR [--db FILE] [--data DIR] [--models DIR]", &err);
    a.run = word[0];
    a.folder = word[1];
    return end("export", status == ZO_OK ? replay(&a, &err) : status, &err);
}
