/* tune_side.c: the view of a side adapter (models/side.c): it is trained, and a classification head that is new to the model too, as the released code
 * of SHERL trains what it puts behind BERT. The last block, or the last `late` ones, run on what it makes; no block is trained.
 *
 * Values begin as torch's do: weights and biases of the linear layers uniform in +-1 / sqrt(inputs) (Kaiming with a = sqrt(5)), norms ones and zeros, the
 * gate 0. So the late block begins on a mixture of drawn numbers, and a run does not begin at the base model. The numbers are drawn from (seed, name),
 * role INIT; they are not those of torch's generator. */
#include <math.h>
#include <stddef.h>

#include "core/mem.h"
#include "core/rng.h"
#include "models/files/trained.h"
#include "models/model.h"

typedef struct options {
    int64_t downsample, late;
    char from[ZO_OPT_STRING_BYTES];
} options;

static const zo_opt keys[] = {
    {.key = "downsample", .type = ZO_OPT_INT, .offset = offsetof(options, downsample), .initial = 2, .least = 1, .most = 65536,
     .help = "the adapter works on so many times fewer numbers a token than the model"},
    {.key = "late", .type = ZO_OPT_INT, .offset = offsetof(options, late), .initial = 1, .least = 1, .most = ZO_MOST_LAYERS,
     .help = "last blocks that run on what the adapter makes (1 in the released code)"},
    {.key = "from", .type = ZO_OPT_STRING, .offset = offsetof(options, from), .text = "", .younger = true,
     .help = "a folder that a run on this view has saved, as which the adapter begins instead of drawn by the seed"},
    {.key = NULL}};

static zo_status extend(const void *read, zo_arch *arch, zo_err *err)
{
    const options *o = read;
    (void)err;
    arch->side = (zo_side_adapter){.late = (int)o->late, .downsample = (int)o->downsample};
    return ZO_OK;
}

static zo_status choose(const void *read, const zo_arch *arch, zo_head head, const zo_layout *layout, bool *frozen, zo_err *err)
{
    const options *o = read;
    if (arch->groups > 0) {
        return zo_fail(err, ZO_EUNSUPPORTED, "\"tune\" \"side\" wants blocks that have parameters of their own, and those of this model (%s) share theirs; use another view",
                       arch->family);
    }
    for (int t = 0; t < layout->n; t++) {
        frozen[t] = !layout->param[t].added && !zo_tune_is_new_head(arch, head, layout, &layout->param[t]);
    }
    if (o->late >= arch->layers) {
        return zo_fail(err, ZO_EINPUT, "\"tune\" \"side\": \"late\" is %d, and the model has %d blocks, of which one at least has to stand in front of the adapter; "
                       "ask for fewer", (int)o->late, arch->layers);
    }
    return o->downsample <= arch->hidden ? ZO_OK
                                         : zo_fail(err, ZO_EINPUT, "\"tune\" \"side\": \"downsample\" is %d, and a token of the model has %d numbers; ask for less",
                                                   (int)o->downsample, arch->hidden);
}

static void draw(const zo_layout *layout, zo_backend *be, zo_store *store, uint64_t seed)
{
    int64_t inputs = 1; /* of the linear layer at hand, whose bias stands behind its weight */
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        if (!p->added || p->frozen) { /* frozen: scales of matrices that are held as codes */
            continue;
        }
        bool weight = p->kind == ZO_PARAM_MATRIX, bias = p->bias && layout->param[i - 1].kind == ZO_PARAM_MATRIX, ones = p->kind == ZO_PARAM_VECTOR && !p->bias;
        int64_t n = p->rows * p->cols;
        float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *host); /* zeros */
        zo_stream stream = {.seed = seed, .tensor = p->id, .role = ZO_ROLE_INIT};
        inputs = weight ? p->cols : inputs;
        double bound = 1.0 / sqrt((double)inputs);
        for (int64_t e = 0; e < n; e++) {
            host[e] = weight || bias ? (float)(bound * (2.0 * zo_uniform(stream, (uint64_t)e) - 1.0)) : ones ? 1.0f : 0.0f;
        }
        zo_store_set(be, store, i, host);
        zo_free(host);
    }
}

static zo_status begin(const void *read, struct zo_model *model, uint64_t seed, zo_err *err)
{
    const options *o = read;
    if (o->from[0] != '\0') {
        return zo_trained_read(o->from, ZO_SIDE_FILE, "side adapter", zo_model_layout(model), zo_model_backend(model), zo_model_store(model), err);
    }
    draw(zo_model_layout(model), zo_model_backend(model), zo_model_store(model), seed);
    return ZO_OK;
}

const zo_tune_kind zo_tune_side = {.name = "side",
                                   .help = "an adapter that reads what the early blocks read and feeds the last, and a classification head (SHERL, arXiv 2407.07523)",
                                   .options = keys,
                                   .extend = extend,
                                   .choose = choose,
                                   .begin = begin};
