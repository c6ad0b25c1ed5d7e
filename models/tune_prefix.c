/* tune_prefix.c: the view of prefix tuning (models/prefix.h): keys and values in front of every layer's own, and nothing else but a classification
 * head that is new to the model too. MeZO (Malladi et al., arXiv 2305.17333, appendix E) takes 5 tokens, begun as activations. */
#include <stddef.h>

#include "models/files/prefix.h"
#include "models/prefix.h"

typedef struct options {
    int64_t tokens;
    int init; /* zo_prefix_init */
    char from[ZO_OPT_STRING_BYTES];
} options;

static const zo_opt keys[] = {
    {.key = "tokens", .type = ZO_OPT_INT, .offset = offsetof(options, tokens), .initial = 5, .least = 1, .most = 65536,
     .help = "rows of keys and values in each layer"},
    {.key = "init", .type = ZO_OPT_CHOICE, .offset = offsetof(options, init), .initial = ZO_PREFIX_ACTIVATIONS, .choices = "activations|random",
     .help = "as what they begin: keys and values that the model makes of random tokens (MeZO), or N(0, 1)"},
    {.key = "from", .type = ZO_OPT_STRING, .offset = offsetof(options, from), .text = "", .younger = true,
     .help = "a folder that a run on this view has saved, or PEFT's of a model with rotary positions, as which they begin instead"},
    {.key = NULL}};

static zo_status extend(const void *read, zo_arch *arch, zo_err *err)
{
    (void)err;
    arch->prefix = (int)((const options *)read)->tokens;
    return ZO_OK;
}

static zo_status choose(const void *read, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err)
{
    (void)read;
    (void)err;
    for (int t = 0; t < layout->n; t++) {
        frozen[t] = !layout->param[t].added && !zo_tune_is_new_head(arch, head, layout, &layout->param[t]);
    }
    return ZO_OK;
}

static zo_status begin(const void *read, struct zo_model *model, uint64_t seed, zo_err *err)
{
    const options *o = read;
    return o->from[0] == '\0' ? zo_prefix_draw(model, (zo_prefix_init)o->init, seed, err)
                              : zo_prefix_read(o->from, zo_model_arch(model), zo_model_layout(model), zo_model_backend(model), zo_model_store(model), err);
}

const zo_tune_kind zo_tune_prefix = {.name = "prefix",
                                     .help = "keys and values of its own in front of each layer's (prefix tuning, Li and Liang, arXiv 2101.00190), and a "
                                             "classification head",
                                     .options = keys,
                                     .extend = extend,
                                     .choose = choose,
                                     .begin = begin};
