/* head.c: from the last hidden state to a loss, and back: classification head, label words at the mask, options ranked by
 * length-normalised log-probability, language-model loss on a target span (the objectives of MeZO, arXiv 2305.17333, appendix E,
 * and LM-BFF, arXiv 2012.15723). Small sums run on the host in float64 and index order. */
#include "models/transformer.h"

#include <math.h>
#include <string.h>

static zo_act class_act(const zo_arch *a)
{
    static const zo_act act[] = {[ZO_CLASS_POOLER] = ZO_ACT_TANH, [ZO_CLASS_DENSE_TANH] = ZO_ACT_TANH, [ZO_CLASS_DENSE_RELU] = ZO_ACT_RELU,
                                 [ZO_CLASS_DENSE_GELU] = ZO_ACT_GELU, [ZO_CLASS_LAST_TOKEN] = ZO_ACT_NONE, [ZO_CLASS_TRANSFORM] = ZO_ACT_NONE};
    return act[a->class_head];
}

/* What stands before the last product: the classifier's own dense layer, or that of the language-model head, which a norm follows. */
static zo_pair dense_of(const zo_model *model, zo_act *act)
{
    bool own = model->ids.class_dense.weight >= 0;
    *act = own ? class_act(&model->arch) : model->arch.head_act;
    return own ? model->ids.class_dense : model->ids.lm_dense;
}

static bool classifies(const zo_model *model)
{
    return model->head == ZO_HEAD_CLASS || model->head == ZO_HEAD_WORDS;
}

const float *zo_head_features(zo_model *model, zo_pass *pass, const zo_view *view)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    bool keep = pass->keep != ZO_FORWARD_ONLY;
    zo_act act;
    zo_pair dense = dense_of(model, &act);
    if (dense.weight < 0) {
        return pass->hidden;
    }
    be->linear(be, view, model->precision, dense.weight, dense.bias, act, pass->hidden, pass->rows, false, pass->head[1], keep ? pass->head[0] : NULL);
    if (model->ids.lm_norm.weight < 0) {
        return pass->head[1];
    }
    be->norm(be, view, a->norm, a->norm_eps, model->ids.lm_norm.weight, model->ids.lm_norm.bias, pass->head[1], NULL, pass->rows,
             zo_arch_table_width(a), pass->head[2], keep ? pass->head_stats : NULL);
    return pass->head[2];
}

/* Logits of the vocabulary, where the family caps them. */
static void cap(zo_model *model, float *logits, int64_t n)
{
    if (model->arch.final_softcap > 0.0f) {
        model->be->softcap(model->be, logits, n, model->arch.final_softcap);
    }
}

void zo_head_forward(zo_model *model, zo_pass *pass, const zo_view *view, const zo_batch *batch)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    const zo_ids_of *ids = &model->ids;
    const float *x = zo_head_features(model, pass, view);
    if (model->head == ZO_HEAD_CLASS) {
        be->linear(be, view, ZO_F32, ids->class_out.weight, ids->class_out.bias, ZO_ACT_NONE, x, pass->rows, false, pass->logits, NULL);
    } else if (model->head == ZO_HEAD_WORDS) {
        be->linear_rows(be, view, ids->decoder.weight, ids->decoder.bias, model->word, model->classes, x, pass->rows, pass->logits);
        cap(model, pass->logits, pass->points * pass->rows * model->classes);
    } else {
        be->head_logprob(be, view, model->precision, ids->decoder.weight, ids->decoder.bias, a->final_softcap, x, pass->rows, model->room.at, batch->target,
                         pass->scores, pass->logprob, NULL);
    }
}

void zo_head_vocab_logits(zo_model *model, zo_pass *pass, const zo_view *view, float *logits)
{
    zo_backend *be = model->be;
    const float *x = zo_head_features(model, pass, view);
    size_t bytes = (size_t)(pass->rows * model->arch.vocab) * sizeof(float);
    float *y = be->alloc(be, ZO_TAG_WORKSPACE, bytes);
    be->linear(be, view, model->precision, model->ids.decoder.weight, model->ids.decoder.bias, ZO_ACT_NONE, x, pass->rows, false, y, NULL);
    cap(model, y, pass->rows * model->arch.vocab);
    be->download(be, logits, y, bytes);
    be->release(be, y);
}

/* ---- losses, on the host ------------------------------------------------------------------------------------------------ */

/* -log softmax(value)[label]; *best = the first largest; value becomes the softmax. */
static double cross_entropy(double *value, int n, int label, int32_t *best)
{
    int top = 0;
    for (int i = 1; i < n; i++) {
        top = value[i] > value[top] ? i : top;
    }
    double most = value[top], sum = 0.0, chosen = value[label];
    for (int i = 0; i < n; i++) {
        value[i] = exp(value[i] - most);
        sum += value[i];
    }
    for (int i = 0; i < n; i++) {
        value[i] /= sum;
    }
    *best = top;
    return log(sum) - (chosen - most);
}

/* KL((1 - share, share) || softmax(value)) over two words; *best = the first largest; value becomes the softmax. */
static double divergence(double *value, double share, int32_t *best)
{
    double zero[2] = {value[0], value[1]}, loss = cross_entropy(zero, 2, 0, best), one = cross_entropy(value, 2, 1, best);
    loss = (1 - share) * loss + share * one;
    loss += share > 0 ? share * log(share) : 0;
    return loss + (share < 1 ? (1 - share) * log(1 - share) : 0);
}

/* logits (rows, classes) */
static double class_loss(zo_model *model, const zo_batch *batch, const float *logits, int32_t *choice, double *nll, double scale,
                         float *slope)
{
    int classes = model->classes;
    double total = 0.0;
    for (int32_t e = 0; e < batch->examples; e++) {
        int64_t at = (int64_t)model->room.row_of[batch->row[e]] * classes;
        for (int c = 0; c < classes; c++) {
            model->room.value[c] = (double)logits[at + c];
        }
        int32_t best;
        double loss = batch->share ? divergence(model->room.value, (double)batch->share[e], &best)
                                   : cross_entropy(model->room.value, classes, batch->label[e], &best);
        total += loss;
        if (choice) {
            choice[e] = best;
        }
        if (nll) {
            nll[e] = loss;
        }
        for (int c = 0; slope && c < classes; c++) {
            double right = !batch->share ? c == batch->label[e] : c == 1 ? (double)batch->share[e] : 1 - (double)batch->share[e];
            slope[at + c] += (float)((model->room.value[c] - right) * scale / batch->examples);
        }
    }
    return total / batch->examples;
}

/* The right option of an example; a training batch of SPAN holds the right one alone. */
static int32_t right_option(const zo_batch *batch, int32_t e)
{
    return batch->example_start[e + 1] - batch->example_start[e] == 1 ? 0 : batch->label[e];
}

/* logprob (scores) */
static double option_loss(zo_model *model, const zo_batch *batch, const float *logprob, int32_t *choice, double *nll, double scale,
                          float *slope)
{
    bool span = model->head == ZO_HEAD_SPAN;
    double total = 0.0, span_sum = 0.0;
    int64_t span_scores = 0;
    for (int32_t e = 0; span && e < batch->examples; e++) {
        int32_t o = batch->example_start[e] + right_option(batch, e);
        span_scores += batch->option_start[o + 1] - batch->option_start[o];
    }
    for (int32_t e = 0; e < batch->examples; e++) {
        int32_t first = batch->example_start[e], n = batch->example_start[e + 1] - first, right = right_option(batch, e), best;
        double *mean = model->room.value;
        for (int32_t o = 0; o < n; o++) {
            double sum = 0.0;
            int32_t from = batch->option_start[first + o], to = batch->option_start[first + o + 1];
            for (int32_t i = from; i < to; i++) {
                sum += (double)logprob[i];
            }
            mean[o] = sum / (to - from);
            span_sum += span && o == right ? sum : 0.0;
        }
        double right_mean = mean[right], loss = cross_entropy(mean, n, right, &best);
        loss = span ? -right_mean : loss;
        total += loss;
        if (choice) {
            choice[e] = best;
        }
        if (nll) {
            nll[e] = loss;
        }
        for (int32_t o = 0; slope && o < n; o++) {
            int32_t from = batch->option_start[first + o], to = batch->option_start[first + o + 1];
            double amount = span ? (o == right) * scale / (double)span_scores
                                 : ((o == right) - mean[o]) * scale / batch->examples / (to - from);
            for (int32_t i = from; i < to; i++) {
                slope[i] = (float)amount;
            }
        }
    }
    return span ? -span_sum / (double)span_scores : total / batch->examples;
}

double zo_head_loss(zo_model *model, const zo_batch *batch, const float *host, int32_t *choice, double *nll, double scale, float *slope)
{
    return classifies(model) ? class_loss(model, batch, host, choice, nll, scale, slope)
                             : option_loss(model, batch, host, choice, nll, scale, slope);
}

void zo_head_scores(zo_model *model, const zo_batch *batch, const float *host, double *score)
{
    int classes = model->classes;
    for (int32_t e = 0; classifies(model) && e < batch->examples; e++) {
        const float *logit = host + (int64_t)model->room.row_of[batch->row[e]] * classes;
        double most = logit[0], sum = 0.0;
        for (int c = 1; c < classes; c++) {
            most = logit[c] > most ? (double)logit[c] : most;
        }
        for (int c = 0; c < classes; c++) {
            sum += exp((double)logit[c] - most);
        }
        for (int c = 0; c < classes; c++) {
            score[(int64_t)e * classes + c] = (double)logit[c] - most - log(sum);
        }
    }
    for (int32_t o = 0; !classifies(model) && o < batch->options; o++) {
        score[o] = 0.0;
        for (int32_t i = batch->option_start[o]; i < batch->option_start[o + 1]; i++) {
            score[o] += (double)host[i];
        }
    }
}

/* ---- backward ----------------------------------------------------------------------------------------------------------- */

void zo_head_backward(zo_model *model, zo_pass *pass, const zo_batch *batch, const float *slope, zo_store *grad)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    const zo_ids_of *ids = &model->ids;
    bool class = model->head == ZO_HEAD_CLASS, normed = ids->lm_norm.weight >= 0;
    zo_act act;
    zo_pair dense = dense_of(model, &act);
    const float *x = dense.weight < 0 ? pass->hidden : normed ? pass->head[2] : pass->head[1];
    int last = class ? ids->class_out.weight : -1, stage = last >= 0 ? model->layout.param[last].stage : model->layout.stages - 1;
    float *dx = !zo_goes_below(model, stage) ? NULL : dense.weight < 0 ? pass->dhead : pass->t1;
    if (classifies(model)) {
        be->upload(be, pass->dlogits, slope, (size_t)(pass->rows * model->classes) * sizeof(float));
    }
    if (class) {
        be->linear_backward(be, model->store, ZO_F32, ids->class_out.weight, ids->class_out.bias, x, pass->dlogits, pass->rows, false, dx, grad);
    } else if (model->head == ZO_HEAD_WORDS) {
        if (a->final_softcap > 0.0f) {
            be->softcap_backward(be, a->final_softcap, pass->logits, pass->rows * model->classes, pass->dlogits);
        }
        be->linear_rows_backward(be, model->store, ids->decoder.weight, ids->decoder.bias, model->word, model->classes, x,
                                 pass->dlogits, pass->rows, dx, grad);
    } else {
        be->head_backward(be, model->store, model->precision, ids->decoder.weight, ids->decoder.bias, a->final_softcap, x, pass->rows, model->room.at,
                          batch->target, slope, pass->scores, dx, grad);
    }
    zo_pair read = class ? ids->class_out : ids->decoder;
    zo_gradient_done(model, pass, read.weight != ids->token ? read.weight : -1); /* of tied embeddings it ends at the other end of the pass */
    zo_gradient_done(model, pass, read.bias);
    if (dense.weight < 0 || dx == NULL) {
        return;
    }
    if (normed) {
        bool goes_on = zo_goes_below(model, model->layout.param[ids->lm_norm.weight].stage);
        be->norm_backward(be, model->store, a->norm, ids->lm_norm.weight, ids->lm_norm.bias, pass->head[1], pass->head_stats, dx,
                          pass->rows, zo_arch_table_width(a), goes_on ? dx : NULL, grad);
        zo_gradient_done(model, pass, ids->lm_norm.weight);
        zo_gradient_done(model, pass, ids->lm_norm.bias);
        if (!goes_on) {
            return;
        }
    }
    be->act_backward(be, act, pass->head[0], pass->rows * model->layout.param[dense.weight].rows, dx);
    be->linear_backward(be, model->store, model->precision, dense.weight, dense.bias, pass->hidden, dx, pass->rows, false,
                        zo_goes_below(model, ids->head_stage) ? pass->dhead : NULL, grad);
    zo_gradient_done(model, pass, dense.weight);
    zo_gradient_done(model, pass, dense.bias);
}
