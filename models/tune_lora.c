/* tune_lora.c: the view of LoRA's adapters (Hu et al., arXiv 2106.09685; models/arch.h): they are trained, and a classification head that is none of
 * the base model's (BERT's pooler is), as PEFT trains them for a sequence classifier. The language-model head is frozen, as in PEFT and in MeZO's code
 * for OPT; MeZO's code for RoBERTa trains that head too. Defaults are MeZO's: rank 8, alpha 16, on queries and values.
 *
 * Adapters begin as PEFT's do by default, as MeZO's: A uniform in +-1 / sqrt(in) (Kaiming with a = sqrt(5)), B zeros, so a run begins at the base
 * model. The numbers are drawn from (seed, name), role INIT; they are not those of torch's generator. There is no dropout. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"
#include "models/files/adapter.h"
#include "models/model.h"

typedef struct options {
    int64_t rank;
    double alpha;
    char on[ZO_OPT_STRING_BYTES], from[ZO_OPT_STRING_BYTES];
} options;
_Static_assert(sizeof(options) <= ZO_TUNE_BYTES, "a view holds its options");

static const zo_opt keys[] = {
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(options, rank), .initial = 8, .least = 1, .most = 65536, .help = "r: rows of A, columns of B"},
    {.key = "alpha", .type = ZO_OPT_REAL, .offset = offsetof(options, alpha), .initial = 16, .least = 1e-6, .most = 1e6,
     .help = "an adapter is scaled by alpha / rank (lora_alpha of PEFT)"},
    {.key = "on", .type = ZO_OPT_STRING, .offset = offsetof(options, on), .text = "q,v",
     .help = "linear layers of every block that have an adapter: some of q, k, v, o, gate, up and down, with commas between, or all"},
    {.key = "from", .type = ZO_OPT_STRING, .offset = offsetof(options, from), .text = "", .younger = true,
     .help = "a folder that PEFT or a run on this view has saved, as which they begin instead of drawn by the seed"},
    {.key = NULL}};

static const struct { const char *word; unsigned on; } layers[] = {{"q", ZO_LINEAR_Q},       {"k", ZO_LINEAR_K},   {"v", ZO_LINEAR_V},       {"o", ZO_LINEAR_O},
                                                                   {"gate", ZO_LINEAR_GATE}, {"up", ZO_LINEAR_UP}, {"down", ZO_LINEAR_DOWN}, {"all", ZO_LINEAR_ALL}};

static zo_status extend(const void *read, zo_arch *arch, zo_err *err)
{
    const options *o = read;
    char words[sizeof o->on], *rest = words;
    snprintf(words, sizeof words, "%s", o->on);
    arch->lora = (zo_lora){.rank = (int)o->rank, .alpha = o->alpha};
    for (const char *word = strsep(&rest, ","); word != NULL; word = strsep(&rest, ",")) {
        size_t i = 0;
        while (i < sizeof layers / sizeof *layers && strcmp(layers[i].word, word) != 0) {
            i++;
        }
        if (i == sizeof layers / sizeof *layers) {
            return zo_fail(err, ZO_EINPUT, "\"tune\" \"lora\": \"on\" names \"%.64s\"; expected some of q, k, v, o, gate, up and down with commas between, or all", word);
        }
        if ((arch->lora.on & layers[i].on) != 0) {
            return zo_fail(err, ZO_EINPUT, "\"tune\" \"lora\": \"on\" is \"%.64s\", and a layer of \"%s\" stands before it; name each once", o->on, word);
        }
        arch->lora.on |= layers[i].on;
    }
    return ZO_OK;
}

static zo_status choose(const void *read, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err)
{
    (void)read;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        frozen[t] = p->lora == ZO_LORA_NONE && !zo_tune_is_new_head(arch, head, layout, p);
    }
    if ((arch->lora.on & ZO_LINEAR_GATE) != 0 && arch->lora.on != ZO_LINEAR_ALL && !arch->gated) {
        return zo_fail(err, ZO_EINPUT, "\"tune\" \"lora\": \"on\" names gate, and the blocks of this model (%s) have none; leave it out, or say all", arch->family);
    }
    return ZO_OK;
}

static void draw(const zo_layout *layout, zo_backend *be, zo_store *store, uint64_t seed)
{
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        if (p->lora == ZO_LORA_NONE) {
            continue;
        }
        int64_t n = p->rows * p->cols;
        float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *host); /* zeros */
        zo_stream stream = {.seed = seed, .tensor = p->id, .role = ZO_ROLE_INIT};
        double bound = 1.0 / sqrt((double)p->cols);
        for (int64_t e = 0; e < n && p->lora == ZO_LORA_A; e++) {
            host[e] = (float)(bound * (2.0 * zo_uniform(stream, (uint64_t)e) - 1.0));
        }
        zo_store_set(be, store, i, host);
        zo_free(host);
    }
}

static zo_status begin(const void *read, struct zo_model *model, uint64_t seed, zo_err *err)
{
    const options *o = read;
    draw(zo_model_layout(model), zo_model_backend(model), zo_model_store(model), seed);
    if (o->from[0] == '\0') {
        return ZO_OK;
    }
    bool headless;
    zo_status status = zo_adapter_read(o->from, zo_model_arch(model), zo_model_layout(model), zo_model_backend(model), zo_model_store(model), &headless, err);
    if (status == ZO_OK && headless) {
        zo_model_add_note(model, "the adapter has no classification head, which begins as without it");
    }
    return status;
}

const zo_tune_kind zo_tune_lora = {.name = "lora",
                                   .help = "LoRA adapters beside linear layers, and a classification head (Hu et al., arXiv 2106.09685), in PEFT's format",
                                   .options = keys,
                                   .extend = extend,
                                   .choose = choose,
                                   .begin = begin};
