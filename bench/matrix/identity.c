/* identity.c: see identity.h. */
#include "bench/matrix/identity.h"

#include <stdio.h>
#include <string.h>

#include "bench/synth/pretrain.h"
#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/files/hub.h"
#include "models/files/safetensors.h"
#include "models/tune.h"
#include "optimizers/plugins.h"
#include "text/tokenizer.h"

typedef struct entry { char a[17], b[17]; bool causal; } entry; /* of a model: its own and its tokenizer's; of rows: theirs */

struct zo_identities {
    zo_setup_dirs dirs;
    zo_hashmap index;
    entry *entry; /* (n, of room) */
    int64_t n, room;
};

zo_identities *zo_identities_new(const zo_setup_dirs *dirs)
{
    zo_identities *ids = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *ids);
    ids->dirs = *dirs;
    return ids;
}

void zo_identities_free(zo_identities *ids)
{
    if (ids != NULL) {
        zo_hashmap_free(&ids->index);
        zo_free(ids->entry);
        zo_free(ids);
    }
}

/* The entry of this text; *is_new says that it is to be filled. It lives until the next call. */
static entry *entry_of(zo_identities *ids, const char *text, bool *is_new)
{
    int64_t *at = zo_hashmap_at(&ids->index, zo_fnv1a(ZO_FNV_START, text, strlen(text)), is_new);
    if (*is_new) {
        if (ids->n == ids->room) {
            ids->room = ids->room > 0 ? 2 * ids->room : 16;
            ids->entry = zo_realloc(ids->entry, ZO_HOST, ZO_TAG_OTHER, (size_t)ids->room * sizeof *ids->entry);
        }
        ids->entry[ids->n] = (entry){.a = ""};
        *at = ids->n++;
    }
    return &ids->entry[*at];
}

static void print_hash(char text[17], uint64_t print)
{
    snprintf(text, 17, "%016llx", (unsigned long long)print);
}

/* from: the folder of an adapter as which the run begins, or NULL. */
static void read_model(const zo_identities *ids, const char *model, const char *folder, const char *from, entry *e)
{
    char found[4096];
    uint64_t print;
    zo_err ignored = {0};
    if (zo_model_find(model, ids->dirs.models, found, &ignored) != ZO_OK) {
        snprintf(found, sizeof found, "%s", folder != NULL ? folder : "");
    }
    if (found[0] != '\0' && zo_model_fingerprint(found, &print, &ignored) == ZO_OK &&
        (from == NULL || zo_adapter_fingerprint(from, &print, &ignored) == ZO_OK)) {
        print_hash(e->a, print);
    }
    if (found[0] != '\0' && zo_tokenizer_fingerprint(found, &print, &ignored) == ZO_OK) {
        print_hash(e->b, print);
    }
    zo_arch arch;
    e->causal = found[0] != '\0' && zo_arch_read(found, &arch, &ignored) == ZO_OK && arch.causal;
}

zo_identity zo_identity_of(zo_identities *ids, const zo_cell *cell, const char *folder)
{
    zo_identity identity = {0};
    char text[8192];
    bool is_new;
    snprintf(identity.hash, sizeof identity.hash, "%s", cell->hash);
    zo_tune tune;
    zo_err ignored = {0};
    const char *from = zo_tune_parse(cell->tune, cell->model, &tune, &ignored) == ZO_OK ? zo_tune_from(&tune) : NULL;
    snprintf(text, sizeof text, "model %s in %s from %s", cell->model, folder != NULL ? folder : "", from != NULL ? from : "");
    entry *e = entry_of(ids, text, &is_new);
    if (is_new || e->a[0] == '\0') { /* one that could not be read is asked again: it may be made meanwhile */
        read_model(ids, cell->model, folder, from, e);
    }
    memcpy(identity.model, e->a, sizeof identity.model);
    memcpy(identity.tokenizer, e->b, sizeof identity.tokenizer);
    bool ranks_options = e->causal && cell->form == ZO_FORM_PROMPT;
    zo_dataset_spec spec = zo_setup_dataset_spec(cell, &ids->dirs);
    snprintf(text, sizeof text, "rows %s %d %llu %llu %lld %s %lld %lld %lld %lld %d %d %d %d %s", spec.task, (int)spec.scheme,
             (unsigned long long)spec.train_split_seed, (unsigned long long)spec.test_split_seed, (long long)spec.k, spec.kshot_folder,
             (long long)spec.count[ZO_TRAIN], (long long)spec.count[ZO_DEV], (long long)spec.count[ZO_TEST], (long long)spec.demonstrations, spec.demonstrate_once,
             (int)spec.calibration, spec.evaluate_only, (int)spec.form,
             spec.data_dir != NULL ? spec.data_dir : "");
    e = entry_of(ids, text, &is_new);
    uint64_t print;
    if (is_new) {
        if (zo_dataset_fingerprint(&spec, &print, &ignored) == ZO_OK) {
            print_hash(e->a, print);
        }
    }
    memcpy(identity.rows, e->a, sizeof identity.rows);
    if (zo_task_fingerprint(cell->task, ranks_options, &print, &ignored) == ZO_OK) {
        print_hash(identity.task, print);
    }
    const char *plugin = zo_plugin_path(cell->estimator);
    if (plugin != NULL && zo_plugin_fingerprint(plugin, &print, &ignored) == ZO_OK) {
        print_hash(identity.plugin, print);
    }
    return identity;
}

const char *zo_identity_difference(const zo_identity *a, const zo_identity *b)
{
    const struct { const char *name, *a, *b; } part[] = {{"another model", a->model, b->model},
                                                         {"another tokenizer", a->tokenizer, b->tokenizer},
                                                         {"other data", a->rows, b->rows},
                                                         {"another description of the task", a->task, b->task},
                                                         {"another plug-in", a->plugin, b->plugin}};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (part[i].a[0] != '\0' && part[i].b[0] != '\0' && strcmp(part[i].a, part[i].b) != 0) {
            return part[i].name;
        }
    }
    return "";
}
