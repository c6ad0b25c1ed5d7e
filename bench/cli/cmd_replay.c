/* cmd_replay.c: `zo replay` and `zo export`: what comes of a run made again (bench/cli/replay.h). */
#include <stdio.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/replay.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"

/* Where its weights go. */
typedef struct destination {
    const char *folder; /* NULL: the weights are kept nowhere */
    bool tokenizer;     /* the model's tokenizer comes along */
    double start;
} destination;

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

static zo_status keep(zo_replay *a, zo_err *err)
{
    const destination *to = a->context;
    uint64_t hash = hash_weights(&a->setup);
    if (to->folder != NULL) {
        zo_status status = zo_setup_save(&a->setup, to->folder, err);
        status = status == ZO_OK && to->tokenizer ? copy_tokenizer(a->setup.folder, to->folder, err) : status;
        if (status != ZO_OK) {
            return status;
        }
    }
    char forwards[60] = "without a forward";
    if (a->setup.counts.forwards > 0) { /* a linear probe's */
        snprintf(forwards, sizeof forwards, "and a linear probe's %llu forwards", (unsigned long long)a->setup.counts.forwards);
    }
    printf("%s%srun %lld (%s) after step %lld, from %lld losses in %.1f s %s; weights %016llx\n", to->folder != NULL ? to->folder : "", to->folder != NULL ? ": " : "",
           (long long)a->facts.run, a->cell.estimator->name, (long long)a->steps, (long long)a->tape.at, zo_now() - to->start, forwards, (unsigned long long)hash);
    return ZO_OK;
}

static int play(const char *command, zo_replay *a, destination *to, zo_status status, zo_err *err)
{
    a->context = to;
    a->ended = keep;
    to->start = zo_now();
    if (status == ZO_OK && to->folder != NULL && zo_path_exists(to->folder)) {
        status = zo_fail(err, ZO_EINPUT, "%s is there already, and nothing is written over; name another folder", to->folder);
    }
    status = status == ZO_OK ? zo_replay_play(a, err) : status;
    if (status != ZO_OK) {
        fprintf(stderr, "zo %s: %s\n", command, err->text);
    }
    return status == ZO_OK ? 0 : 2;
}

int zo_cmd_replay(int argc, char **argv)
{
    zo_replay a = {.db = "results/zo.db", .to = -1};
    destination to = {.folder = NULL};
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &a.db},
                            {"--to", ZO_ARG_INT, &a.to},
                            {"--save", ZO_ARG_TEXT, &to.folder},
                            {"--data", ZO_ARG_TEXT, &a.dirs.data},
                            {"--models", ZO_ARG_TEXT, &a.dirs.models},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, &a.run, 1, 1, NULL, "zo replay RUN [--to STEP] [--save DIR] [--db FILE] [--data DIR] [--models DIR]", &err);
    return play("replay", &a, &to, status, &err);
}

int zo_cmd_export(int argc, char **argv)
{
    zo_replay a = {.db = "results/zo.db", .to = -1};
    destination to = {.tokenizer = true};
    const char *word[2];
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &a.db}, {"--data", ZO_ARG_TEXT, &a.dirs.data}, {"--models", ZO_ARG_TEXT, &a.dirs.models}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, word, 2, 2, NULL, "zo export RUN DIR [--db FILE] [--data DIR] [--models DIR]", &err);
    a.run = word[0];
    to.folder = word[1];
    return play("export", &a, &to, status, &err);
}
