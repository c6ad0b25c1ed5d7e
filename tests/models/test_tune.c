/* test_tune.c: parameter views: their texts, which parameters of each family they train (sets written by hand), the arena that they order, and
 * every estimator on them: frozen parameters keep every bit, the realisations agree, gradients are those of the whole model. Oracles in float64
 * are in test_engine.c; memory is in test_predict.c and test_peak.c, CUDA in test_cuda_storage.c and test_cuda_models.c. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#include "core/text.h"
#include "models/tune.h"
#include "tests/storage_runs.h"
#include "tests/suite.h"

static zo_err err;

static zo_tune view_of(const char *text)
{
    zo_tune tune;
    ck_assert_msg(zo_tune_parse(text, "test", &tune, &err) == ZO_OK, "%s", err.text);
    return tune;
}

/* ---- texts -------------------------------------------------------------------------------------------------------------- */

/* A name, an object and a text of one view are one: its text, which is read again. */
START_TEST(a_view_has_one_text)
{
    static const struct { const char *given, *text; } of[] = {
        {"\"full\"", "full"},
        {"{\"name\": \"full\"}", "full"},
        {"\"head\"", "head"},
        {"\"bias\"", "bias"},
        {"\"last\"", "last layers 1"},
        {"{\"layers\": 4, \"name\": \"last\"}", "last layers 4"},
        {"\"last layers 4\"", "last layers 4"},
        {"{\"name\": \"pattern\", \"on\": \"layer.5.*,class.*\"}", "pattern on layer.5.*,class.*"},
        {"\"pattern on layer.2[0-3].*\"", "pattern on layer.2[0-3].*"},
        {"\"pattern on 45\"", "pattern on 45"},
        {"\"prefix\"", "prefix tokens 5 init activations"},
        {"{\"name\": \"prefix\", \"init\": \"random\", \"tokens\": 3}", "prefix tokens 3 init random"},
        {"{\"name\": \"side\"}", "side downsample 2 late 1"},
        {"{\"name\": \"prefix\", \"from\": \"runs/one\"}", "prefix tokens 5 init activations from runs/one"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_tune tune, again;
        char text[ZO_OPT_STRING_BYTES];
        cJSON *value = cJSON_Parse(of[i].given);
        ck_assert_msg(zo_tune_read(value, "test", &tune, &err) == ZO_OK, "%s", err.text);
        ck_assert_str_eq(zo_tune_text(&tune, text), of[i].text);
        again = view_of(text);
        ck_assert_ptr_eq(again.kind, tune.kind);
        ck_assert_str_eq(zo_tune_text(&again, text), of[i].text);
        cJSON_Delete(value);
    }
    const zo_tune_kind *const *list;
    int n = zo_tune_kinds(&list);
    ck_assert_str_eq(list[0]->name, "full");
    for (int i = 0; i < n; i++) { /* what `zo help run` and the documents list */
        ck_assert(list[i]->name[0] != '\0' && list[i]->help[0] != '\0');
    }
}
END_TEST

START_TEST(what_is_no_view_is_one_sentence)
{
    static const struct { const char *given, *says; } of[] = {
        {"\"haed\"", "f.json: there is no \"tune\" \"haed\"; did you mean \"head\"?"},
        {"\"everything\"", "f.json: there is no \"tune\" \"everything\"; expected one of full, head, bias, last, pattern, prefix, lora"},
        {"\"\"", "f.json: \"tune\" is empty; expected a view such as \"head\""},
        {"3", "f.json: \"tune\" is a number; expected a name such as \"head\", or an object such as {\"name\": \"last\", \"layers\": 4}"},
        {"{\"layers\": 4}", "f.json: \"tune\" is an object without \"name\"; expected a name"},
        {"{\"name\": \"last\", \"layer\": 4}", "did you mean \"layers\"?"},
        {"{\"name\": \"last\", \"layers\": 0}", "f.json: \"tune\" last: \"layers\""},
        {"\"last layers\"", "f.json: \"tune\" \"last layers\" has no value behind layers; expected pairs such as \"last layers 4\""},
        {"\"last layers four\"", "f.json: \"tune\" last: \"layers\""},
        {"\"head layers 4\"", "f.json: \"tune\" head: there is no key \"layers\"; its keys are: name"},
        {"{\"name\": \"pattern\", \"on\": \"a, b\"}", "f.json: \"tune\" pattern: \"on\" is \"a, b\"; expected no blank in it"},
        {"{\"name\": \"prefix\", \"tokens\": 0}", "f.json: \"tune\" prefix: \"tokens\" is 0; expected 1 to 65536"},
        {"{\"name\": \"prefix\", \"init\": \"noise\"}", "f.json: \"tune\" prefix: \"init\""},
        {"\"pattern\"", "f.json: \"tune\" pattern: \"on\" is empty; expected patterns over parameter names"},
        {"{\"name\": \"lora\", \"from\": \"a b\"}", "f.json: \"tune\" lora: \"from\" is \"a b\"; expected no blank in it"},
        {"{\"name\": \"lora\", \"on\": \"\"}", "f.json: \"tune\" lora: \"on\" is empty; expected linear layers"},
        {"{\"name\": \"lora\", \"on\": \",\"}", "f.json: \"tune\" \"lora\": \"on\" names \"\"; expected some of q, k, v, o, gate, up and down"},
        {"{\"name\": \"lora\", \"on\": \"q,,v\"}", "f.json: \"tune\" \"lora\": \"on\" names \"\"; expected some of"},
        {"{\"name\": \"lora\", \"on\": \"q,v,q\"}", "f.json: \"tune\" \"lora\": \"on\" is \"q,v,q\", and a layer of \"q\" stands before it; name each once"},
        {"{\"name\": \"lora\", \"on\": \"all,up\"}", "f.json: \"tune\" \"lora\": \"on\" is \"all,up\", and a layer of \"up\" stands before it"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_tune tune;
        cJSON *value = cJSON_Parse(of[i].given);
        err = (zo_err){0};
        ck_assert_int_eq(zo_tune_read(value, "f.json", &tune, &err), ZO_EINPUT);
        ck_assert_msg(strstr(err.text, of[i].says) != NULL, "%s: \"%s\" lacks \"%s\"", of[i].given, err.text, of[i].says);
        ck_assert(strchr(err.text, '\n') == NULL);
        cJSON_Delete(value);
    }
    /* the longest text that a row keeps, and one byte more */
    for (int more = 0; more < 2; more++) {
        char text[600], name[400];
        zo_tune tune;
        memset(name, 'x', sizeof name);
        snprintf(text, sizeof text, "pattern on %.*s", ZO_OPT_STRING_BYTES - 12 + more, name);
        ck_assert_int_eq(zo_tune_parse(text, "f.json", &tune, &err), more ? ZO_EINPUT : ZO_OK);
    }
    ck_assert_msg(strstr(err.text, "at most 255") != NULL, "%s", err.text);
}
END_TEST

/* ---- what is trained ---------------------------------------------------------------------------------------------------- */

/* Two blocks of each kind, small: what the family files would read. */
static zo_arch arch_of(const char *family)
{
    zo_arch a = {.layers = 2, .hidden = 8, .embed = 8, .heads = 2, .kv_heads = 2, .head_dim = 4, .ffn = 16, .vocab = 10, .positions = 12, .tied = true};
    bool encoder = strcmp(family, "bert") == 0, llama = strcmp(family, "llama") == 0;
    snprintf(a.family, sizeof a.family, "%s", family);
    a.causal = a.norm_first = a.final_norm = !encoder;
    a.embed_norm = a.head_transform = a.head_bias = encoder;
    a.types = encoder ? 2 : 0;
    a.learned_positions = a.attn_bias = a.attn_out_bias = a.mlp_bias = !llama;
    a.gated = llama;
    a.norm = llama ? ZO_RMSNORM : ZO_LAYERNORM;
    a.class_head = encoder ? ZO_CLASS_POOLER : ZO_CLASS_LAST_TOKEN;
    return a;
}

/* The trained names, in order, each with a blank behind it; one that begins with # stands for both blocks. */
static void check_trained(const zo_layout *layout, const char *wanted, const char *what)
{
    char have[4000] = "", want[4000] = "", words[2000], *rest = NULL;
    for (int t = 0; t < layout->n; t++) {
        if (!layout->param[t].frozen) {
            snprintf(have + strlen(have), sizeof have - strlen(have), "%s ", layout->param[t].name);
        }
    }
    for (int block = -1; block < 2; block++) {
        snprintf(words, sizeof words, "%s", wanted);
        for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
            bool in_block = word[0] == '#', behind = strncmp(word, "final", 5) == 0 || strncmp(word, "class", 5) == 0 || strncmp(word, "lm", 2) == 0;
            if (in_block && block >= 0) {
                snprintf(want + strlen(want), sizeof want - strlen(want), "layer.%d.%s ", block, word + 1);
            } else if (!in_block && ((block < 0 && !behind) || (block == 1 && behind))) {
                snprintf(want + strlen(want), sizeof want - strlen(want), "%s ", word);
            }
        }
    }
    ck_assert_msg(strcmp(have, want) == 0, "%s trains\n%s\nand not\n%s", what, have, want);
}

#define BERT_BIASES "#attn.q.bias #attn.k.bias #attn.v.bias #attn.o.bias #attn.norm.bias #mlp.up.bias #mlp.down.bias #mlp.norm.bias"
#define GPT2_BIASES "#attn.norm.bias #attn.q.bias #attn.k.bias #attn.v.bias #attn.o.bias #mlp.norm.bias #mlp.up.bias #mlp.down.bias"
#define BERT_LAST                                                                                                                                     \
    "layer.1.attn.q.weight layer.1.attn.q.bias layer.1.attn.k.weight layer.1.attn.k.bias layer.1.attn.v.weight layer.1.attn.v.bias "                    \
    "layer.1.attn.o.weight layer.1.attn.o.bias layer.1.attn.norm.weight layer.1.attn.norm.bias layer.1.mlp.up.weight layer.1.mlp.up.bias "              \
    "layer.1.mlp.down.weight layer.1.mlp.down.bias layer.1.mlp.norm.weight layer.1.mlp.norm.bias"

static const struct { const char *family; zo_head head; const char *view, *trained; } trained[] = {
    {"bert", ZO_HEAD_CLASS, "head", "class.dense.weight class.dense.bias class.out.weight class.out.bias"},
    {"bert", ZO_HEAD_CLASS, "bias", "embed.norm.bias " BERT_BIASES " class.dense.weight class.dense.bias class.out.weight class.out.bias"},
    {"bert", ZO_HEAD_CLASS, "last", BERT_LAST " class.dense.weight class.dense.bias class.out.weight class.out.bias"},
    {"bert", ZO_HEAD_WORDS, "head", "lm.dense.weight lm.dense.bias lm.norm.weight lm.norm.bias lm.decoder.bias"},
    {"bert", ZO_HEAD_WORDS, "bias", "embed.norm.bias " BERT_BIASES " lm.dense.bias lm.norm.bias lm.decoder.bias"},
    {"gpt2", ZO_HEAD_CLASS, "head", "class.out.weight"},
    {"gpt2", ZO_HEAD_CLASS, "bias", GPT2_BIASES " final.norm.bias class.out.weight"},
    {"gpt2", ZO_HEAD_OPTIONS, "bias", GPT2_BIASES " final.norm.bias"},
    {"gpt2", ZO_HEAD_OPTIONS, "pattern on *.mlp.down.*", "#mlp.down.weight #mlp.down.bias"},
    {"gpt2", ZO_HEAD_OPTIONS, "pattern on embed.*,final.norm.weight", "embed.token embed.position final.norm.weight"},
    {"gpt2", ZO_HEAD_CLASS, "pattern on layer.?.attn.[qk].weight", "#attn.q.weight #attn.k.weight"},
    {"llama", ZO_HEAD_OPTIONS, "last layers 2",
     "#attn.norm.weight #attn.q.weight #attn.k.weight #attn.v.weight #attn.o.weight #mlp.norm.weight #mlp.gate.weight #mlp.up.weight #mlp.down.weight "
     "final.norm.weight"},
    {"llama", ZO_HEAD_CLASS, "head", "class.out.weight"},
    {"llama", ZO_HEAD_OPTIONS, "prefix", "#attn.prefix.k #attn.prefix.v"},
    {"llama", ZO_HEAD_OPTIONS, "side", "side.0.down.weight side.0.down.bias side.1.down.weight side.1.down.bias side.0.norm.weight side.0.norm.bias side.1.norm.weight "
     "side.1.norm.bias side.score.weight side.score.bias side.out.weight side.out.bias side.norm.weight side.norm.bias side.gate"},
    {"bert", ZO_HEAD_CLASS, "prefix", "#attn.prefix.k #attn.prefix.v class.out.weight class.out.bias"}};

START_TEST(a_view_trains_these)
{
    zo_arch arch = arch_of(trained[_i].family);
    zo_tune tune = view_of(trained[_i].view);
    zo_layout layout = {0};
    char what[200];
    ck_assert(zo_tune_extend(&tune, &arch, &err) == ZO_OK);
    zo_arch_layout(&arch, trained[_i].head, trained[_i].head == ZO_HEAD_CLASS ? 3 : 0, &layout);
    ck_assert_msg(zo_tune_apply(&tune, &arch, trained[_i].head, &layout, &err) == ZO_OK, "%s", err.text);
    snprintf(what, sizeof what, "%s of %s", trained[_i].view, trained[_i].family);
    check_trained(&layout, trained[_i].trained, what);
    zo_layout_free(&layout);
}
END_TEST

/* Where layers share their parameters no last layer has any of its own, nor is there one behind a side adapter. */
START_TEST(views_of_blocks_want_blocks_of_their_own)
{
    static const struct { const char *view, *says; } of[] = {
        {"last layers 1", "\"tune\" \"last\" has no blocks to choose: layers of this model (bert) share their parameters; use another view"},
        {"side downsample 2 late 1", "\"tune\" \"side\" wants blocks that have parameters of their own, and those of this model (bert) share theirs; use another view"}};
    for (int i = 0; i < 2 * 2; i++) {
        zo_arch arch = arch_of("bert");
        zo_layout layout = {0};
        zo_tune tune = view_of(of[i / 2].view);
        arch.groups = i % 2;
        ck_assert(zo_tune_extend(&tune, &arch, &err) == ZO_OK);
        zo_arch_layout(&arch, ZO_HEAD_CLASS, 2, &layout);
        ck_assert_int_eq(zo_tune_apply(&tune, &arch, ZO_HEAD_CLASS, &layout, &err), i % 2 ? ZO_EUNSUPPORTED : ZO_OK);
        ck_assert_msg(i % 2 == 0 || strcmp(err.text, of[i / 2].says) == 0, "\"%s\" is not \"%s\"", err.text, of[i / 2].says);
        zo_layout_free(&layout);
    }
}
END_TEST

START_TEST(full_trains_all_and_moves_nothing)
{
    zo_arch arch = arch_of("bert");
    zo_layout layout = {0}, same = {0};
    zo_tune tune = view_of("full");
    zo_arch_layout(&arch, ZO_HEAD_CLASS, 3, &layout);
    zo_arch_layout(&arch, ZO_HEAD_CLASS, 3, &same);
    ck_assert_int_eq(zo_tune_apply(&tune, &arch, ZO_HEAD_CLASS, &same, &err), ZO_OK);
    ck_assert_int_eq(zo_tune_apply(NULL, &arch, ZO_HEAD_CLASS, &same, &err), ZO_OK);
    ck_assert_int_eq(layout.n, same.n);
    ck_assert(layout.size == same.size && same.trained_size == same.size);
    for (int t = 0; t < layout.n; t++) {
        ck_assert(layout.param[t].offset == same.param[t].offset && !same.param[t].frozen);
    }
    zo_layout_free(&layout);
    zo_layout_free(&same);
}
END_TEST

START_TEST(a_view_that_trains_nothing_is_refused)
{
    static const struct { const char *family; zo_head head; int classes; const char *view, *says; } of[] = {
        {"gpt2", ZO_HEAD_OPTIONS, 0, "head", "\"tune\" \"head\" trains nothing: the language-model head of this model (gpt2) is its token table; say \"decoder\": \"untied\" too"},
        {"llama", ZO_HEAD_OPTIONS, 0, "bias", "\"tune\" \"bias\" trains nothing: this model (llama) has no biases; use another view"},
        {"llama", ZO_HEAD_CLASS, 2, "bias", "\"tune\" \"bias\" trains nothing: this model (llama) has no biases"},
        {"bert", ZO_HEAD_CLASS, 0, "head", "\"tune\" \"head\" trains nothing: this model (bert) has no such parameter for this task; use another view, or \"full\""},
        {"bert", ZO_HEAD_CLASS, 2, "last layers 3", "\"tune\" \"last\" asks for 3 layers, and the model has 2; ask for fewer"},
        {"bert", ZO_HEAD_CLASS, 2, "pattern on layer.0.*,clas.*", "\"tune\" \"pattern\": \"clas.*\" fits no parameter of this model (bert) and task, whose names go from "
         "embed.token to class.out.bias"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_arch arch = arch_of(of[i].family);
        zo_layout layout = {0};
        zo_tune tune = view_of(of[i].view);
        zo_arch_layout(&arch, of[i].head, of[i].classes, &layout);
        ck_assert_int_eq(zo_tune_apply(&tune, &arch, of[i].head, &layout, &err), ZO_EINPUT);
        ck_assert_msg(strncmp(err.text, of[i].says, strlen(of[i].says)) == 0, "\"%s\" is not \"%s\"", err.text, of[i].says);
        zo_layout_free(&layout);
    }
}
END_TEST

/* ---- the arena ---------------------------------------------------------------------------------------------------------- */

/* Trained parameters stand first, in their order; a set holds them alone, and a snapshot finds the others below. */
START_TEST(trained_parameters_come_first)
{
    zo_backend *be;
    zo_layout layout = {0};
    static const bool frozen[] = {true, false, true, false};
    static const int64_t offset[] = {48, 0, 80, 32}, rows[] = {4, 5, 1, 1}, cols[] = {6, 4, 17, 3};
    ck_assert_int_eq(zo_backend_open("cpu", 1, &be, &err), ZO_OK);
    for (int t = 0; t < 4; t++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", t);
        zo_layout_add(&layout, name, rows[t] > 1 ? ZO_PARAM_MATRIX : ZO_PARAM_VECTOR, rows[t], cols[t], 0, true);
    }
    ck_assert(layout.size == 112 && layout.trained_size == 112); /* 32 + 32 + 32 + 16 */
    zo_layout_freeze(&layout, frozen);
    ck_assert(layout.size == 112 && layout.trained_size == 48);
    for (int t = 0; t < 4; t++) {
        ck_assert_int_eq(layout.param[t].offset, offset[t]);
        ck_assert(layout.param[t].frozen == frozen[t]);
    }
    zo_store *weights = zo_store_new_as(be, &layout, ZO_STORAGE_BF16, ZO_TAG_PARAMS);
    uint64_t before = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_GRADS], copies = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_SNAPSHOT];
    zo_store *set = zo_store_new(be, &layout, ZO_TAG_GRADS), *copy = zo_store_new_beside(be, weights, ZO_TAG_SNAPSHOT);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_GRADS] - before, 48 * sizeof(float));
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_SNAPSHOT] - copies, 48 * sizeof(uint16_t));
    ck_assert(weights->size == 112 && set->size == 48 && copy->size == 48);
    ck_assert_ptr_eq(zo_store_at(copy, 47), copy->half + 47);
    ck_assert_ptr_eq(zo_store_at(copy, 48), weights->half + 48);
    ck_assert_ptr_null(zo_set_values(set, 0));
    ck_assert_ptr_null(zo_set_values(set, -1));
    ck_assert_ptr_eq(zo_set_values(set, 3), set->data + 32);
    float x[24], y[24];
    for (int i = 0; i < 24; i++) {
        x[i] = (float)i;
    }
    zo_store_set(be, weights, 0, x);
    zo_store_get(be, copy, 0, y); /* a frozen one, read through the copy */
    ck_assert_mem_eq(x, y, sizeof x);
    zo_store_free(be, set);
    zo_store_free(be, copy);
    zo_store_free(be, weights);
    zo_layout_free(&layout);
    be->close(be);
}
END_TEST

/* ---- estimators --------------------------------------------------------------------------------------------------------- */

static const struct { int family; const char *tune; } views[] = {
    {BERT, "head"}, {BERT, "bias"}, {BERT, "last layers 1"}, {LLAMA, "last layers 1"}, {LLAMA, "pattern on layer.1.attn.[qv].weight,final.*"},
    {GPT2, "pattern on embed.position,layer.0.mlp.*"}, {OPT, "bias"}, {BERT, "prefix tokens 2 init activations"}, {OPT, "prefix tokens 3 init activations"},
    {LLAMA, "prefix tokens 5 init random"}, {BERT, "lora rank 2 on all"}, {LLAMA, "lora rank 3 on q,v"}, {GPT2, "lora rank 2 on o,up"},
    {ALBERT, "pattern on layer.0.mlp.*"}, {BERT, "side downsample 4 late 1"},
    {LLAMA, "side downsample 2 late 1"}};
enum { VIEWS = sizeof views / sizeof views[0], SIDES = 2 }; /* the last ones: no model trains what stands in front of a side adapter */

static zo_backend *backend(void)
{
    static zo_backend *open;
    if (open == NULL) {
        ck_assert_msg(zo_backend_open("cpu", 2, &open, &err) == ZO_OK, "%s", err.text);
    }
    return open;
}

/* Every estimator in every way that it has: frozen parameters keep every bit, trained ones move (beside a log nothing stored does, nor on a side
 * path the matrices), and the losses are those of any other way of the method. */
START_TEST(frozen_parameters_keep_every_bit)
{
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list), ways = 0;
    zo_model *whole = model_of(backend(), views[_i].family, ZO_STORAGE_F32, ZO_F32, views[_i].tune);
    const zo_layout *layout = zo_model_layout(whole);
    for (int i = 0; i < n; i++) {
        if (!suite_takes(_i + i, 1, 3)) {
            continue;
        }
        double loss[STEPS];
        bool first = true;
        for (int way = 0; way < ZO_REALISATIONS * 2; way++) {
            setting s = {.optimizer = list[i]->name, .family = views[_i].family, .tune = views[_i].tune, .realisation = (zo_realisation)(way % ZO_REALISATIONS),
                         .accumulate = (zo_accumulate)(way / ZO_REALISATIONS), .lr = _i < VIEWS - SIDES ? 1e-3 : 1e-4 /* whose slopes are larger */, .steps = 5};
            s.options = strcmp(s.optimizer, "zo-muon") == 0 ? "{\"rest_lr\": 1e-3}" : NULL; /* its own, by default below an ulp of 16 bits */
            bool logs = s.accumulate == ZO_ACCUMULATE_LOG;
            if (!golden_steps_in(list[i], s.realisation) || (logs && (s.realisation == ZO_INPLACE || list[i]->first_order))) {
                continue;
            }
            for (int storage = 0; storage < (list[i]->first_order ? 1 : ZO_STORAGES); storage++) {
                s.storage = (zo_storage)storage;
                result r = run_of(backend(), &s);
                if (r.status == ZO_EUNSUPPORTED) { /* a rule beside a log; a set of layers of which the view trains none */
                    ck_assert(logs || strstr(storage_err.text, "nothing that is trained here") != NULL);
                    zo_free(r.weights);
                    zo_free(r.before);
                    continue;
                }
                ck_assert_msg(r.status == ZO_OK, "%s", storage_err.text);
                int64_t frozen = 0, moved = 0;
                for (int t = 0; t < layout->n; t++) {
                    const zo_param *p = &layout->param[t];
                    for (int64_t k = p->offset; k < p->offset + p->rows * p->cols; k++) {
                        *(p->frozen ? &frozen : &moved) += memcmp(&r.weights[k], &r.before[k], sizeof(float)) != 0;
                    }
                }
                ck_assert_msg(frozen == 0, "%s, %s, %s: %lld frozen numbers moved", s.optimizer, zo_realisation_name(s.realisation), views[_i].tune, (long long)frozen);
                ck_assert_msg(moved > 0 || logs || s.realisation == ZO_SIDEPATH, "%s, %s, %s: nothing moved", s.optimizer, zo_realisation_name(s.realisation), views[_i].tune);
                for (int step = 0; step < s.steps && storage == ZO_STORAGE_F32; step++) {
                    loss[step] = first ? r.loss[step] : loss[step];
                    ck_assert_msg(fabs(r.loss[step] - loss[step]) < 2e-5, "%s, %s, %s: the loss of step %d is %.9g and was %.9g", s.optimizer,
                                  zo_realisation_name(s.realisation), views[_i].tune, step, r.loss[step], loss[step]);
                }
                first = first && storage != ZO_STORAGE_F32;
                ways++;
                zo_free(r.weights);
                zo_free(r.before);
            }
        }
    }
    zo_model_close(whole);
    printf("measured: %s of %s: %d ways of %d estimators leave what is frozen alone\n", views[_i].tune, families[views[_i].family], ways, n);
    ck_assert_int_ge(ways, 30);
}
END_TEST

/* A method that leaves out what the view trains has nothing to do, and says so. */
START_TEST(a_method_without_a_parameter_is_refused)
{
    for (int trains = 0; trains < 2; trains++) {
        setting s = {.optimizer = "tezo", .options = "{\"rest\": \"freeze\"}", .family = GPT2, .tune = trains ? "last layers 1" : "pattern on *.bias",
                     .realisation = ZO_STREAMED, .lr = 1e-3, .steps = 2};
        result r = run_of(backend(), &s);
        ck_assert_int_eq(r.status, trains ? ZO_OK : ZO_EUNSUPPORTED);
        zo_free(r.weights);
        zo_free(r.before);
    }
    ck_assert_msg(strstr(storage_err.text, "\"tune\" trains none of them: use \"rest\": \"train\" or another \"tune\"") != NULL, "%s", storage_err.text);
}
END_TEST

/* Sets take the bytes of what is trained. */
START_TEST(sets_hold_what_is_trained)
{
    static const struct { const char *optimizer; zo_tag tag; int sets; } of[] = {{"fo-sgd", ZO_TAG_GRADS, 1}, {"fo-adamw", ZO_TAG_OPT_STATE, 2},
                                                                                 {"mezo-svrg", ZO_TAG_SNAPSHOT, 1}, {"mezo-svrg", ZO_TAG_OPT_STATE, 1}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        setting s = {.optimizer = of[i].optimizer, .family = BERT, .tune = "last layers 1", .realisation = ZO_INPLACE, .lr = 1e-3, .steps = 2};
        zo_model *model = model_of(backend(), BERT, ZO_STORAGE_F32, ZO_F32, s.tune);
        uint64_t bytes = (uint64_t)of[i].sets * (uint64_t)zo_model_layout(model)->trained_size * sizeof(float);
        zo_model_close(model);
        zo_mem_reset_peaks();
        result r = run_of(backend(), &s);
        ck_assert_uint_eq(r.sets[of[i].tag], bytes);
        zo_free(r.weights);
        zo_free(r.before);
    }
}
END_TEST

/* The model of a view with all that the view adds, every parameter trained. */
static zo_model *whole_model(zo_backend *be, int family, bool second, zo_model *view)
{
    zo_arch arch = *zo_model_arch(view);
    zo_model *whole = golden_model_arch(be, family, second, ZO_F32, ZO_STORAGE_F32, &arch, NULL);
    const zo_layout *layout = zo_model_layout(view);
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        float *values = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(p->rows * p->cols) * sizeof *values);
        zo_store_get(be, zo_model_store(view), t, values);
        zo_store_set(be, zo_model_store(whole), t, values);
        zo_free(values);
    }
    return whole;
}

/* What a gradient has of trained parameters is what the whole model's has, bit for bit. */
START_TEST(gradients_are_those_of_the_whole_model)
{
    zo_backend *be = backend();
    for (int second = 0; second < 2; second++) {
        for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
            zo_store *grad[2];
            zo_model *model[2];
            double loss[2];
            for (int view = 1; view >= 0; view--) {
                zo_tune tune = view_of(views[_i].tune);
                model[view] = view ? golden_model_of(be, views[_i].family, second, ZO_F32, ZO_STORAGE_F32, &tune) : whole_model(be, views[_i].family, second, model[1]);
                static const int32_t length[] = {7, 3, 4, 5, 2, 6};
                bool options = second && causal(views[_i].family);
                zo_batch *b = golden_batch(zo_model_arch(model[view]), options, options ? 6 : 4, length, 1);
                zo_model_reserve(model[view], b->tokens, b->rows, b->scores, 1, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, NULL);
                grad[view] = zo_store_new(be, zo_model_layout(model[view]), ZO_TAG_GRADS);
                zo_model_grad(model[view], b, 0.5, checkpoint, grad[view], &loss[view]);
                zo_batch_free(b);
            }
            ck_assert_double_eq(loss[0], loss[1]);
            const zo_layout *layout = zo_model_layout(model[1]);
            int64_t nonzero = 0;
            for (int t = 0; t < layout->n; t++) {
                const zo_param *p = &layout->param[t];
                const float *want = zo_set_values(grad[0], t), *have = zo_set_values(grad[1], t);
                ck_assert((have == NULL) == p->frozen);
                for (int64_t i = 0; i < p->rows * p->cols && have != NULL; i++) {
                    ck_assert_msg(have[i] == want[i], "%s, %s[%lld]: %g is not %g", views[_i].tune, p->name, (long long)i, have[i], want[i]);
                    nonzero += have[i] != 0.0f;
                }
            }
            ck_assert(nonzero > 0);
            for (int view = 0; view < 2; view++) {
                zo_store_free(be, grad[view]);
                zo_model_close(model[view]);
            }
        }
    }
}
END_TEST

/* The same of a few parameters taken at random, of every family and head: whatever is kept and wherever the backward pass ends. */
START_TEST(gradients_of_any_parameters)
{
    enum { DRAWS = 24 };
    zo_backend *be = backend();
    bool options = _i % 2 && causal(_i / 2);
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    zo_model *whole = golden_model(be, _i / 2, _i % 2, ZO_F32, ZO_STORAGE_F32);
    const zo_layout *layout = zo_model_layout(whole);
    zo_batch *b = golden_batch(zo_model_arch(whole), options, options ? 6 : 4, length, 1);
    zo_store *want = zo_store_new(be, layout, ZO_TAG_GRADS);
    double loss, same;
    zo_model_reserve(whole, b->tokens, b->rows, b->scores, 1, ZO_BACKWARD, NULL);
    zo_model_grad(whole, b, 1.0, false, want, &loss);
    int made = 0, ends[3] = {0}; /* in the embeddings, in a block, behind them */
    for (int draw = 0; draw < DRAWS; draw++) {
        char text[ZO_OPT_STRING_BYTES + 300] = "pattern on ";
        for (int k = 0, n = 1 + golden_draw(1000 * draw + 7, 3); k < n; k++) {
            const char *name = layout->param[golden_draw(1000 * draw + k, layout->n)].name;
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", k > 0 ? "," : "", name);
        }
        zo_tune tune = view_of(text);
        zo_model *model = golden_model_of(be, _i / 2, _i % 2, ZO_F32, ZO_STORAGE_F32, &tune);
        const zo_layout *view = zo_model_layout(model);
        ends[view->lowest < 2 ? 0 : view->lowest < layout->stages - 3 ? 1 : 2]++;
        for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
            zo_store *have = zo_store_new(be, view, ZO_TAG_GRADS);
            zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, NULL);
            for (int again = 0; again < 2; again++) { /* the second pass finds the first one's numbers in its buffers */
                be->zero(be, have->data, (size_t)have->size * sizeof(float));
                zo_model_grad(model, b, 1.0, checkpoint, have, &same);
            }
            ck_assert_double_eq(loss, same);
            for (int t = 0; t < view->n; t++) {
                const zo_param *p = &view->param[t];
                ck_assert_msg(p->frozen || memcmp(zo_set_values(have, t), zo_set_values(want, t), (size_t)(p->rows * p->cols) * sizeof(float)) == 0,
                              "%s, %s%s: the gradient of %s is not the whole model's", families[_i / 2], text, checkpoint ? ", checkpoints" : "", p->name);
                made += !p->frozen;
            }
            zo_store_free(be, have);
        }
        zo_model_close(model);
    }
    ck_assert(made >= 2 * DRAWS && ends[1] > 0);
    zo_store_free(be, want);
    zo_batch_free(b);
    zo_model_close(whole);
}
END_TEST

/* Products of the backward pass, counted by the backend: one for each input below which something is trained, and one for each trained weight.
 * BERT of the golden files, 4 sequences of which a head reads one row: what is counted by hand here is products of (T or R, in, out). */
START_TEST(a_backward_pass_makes_no_other_product)
{
    enum { T = 19, R = 4 };
    zo_backend *be = backend();
    static const int32_t length[] = {7, 3, 4, 5};
    zo_model *model = golden_model(be, BERT, false, ZO_F32, ZO_STORAGE_F32);
    zo_arch arch = *zo_model_arch(model);
    zo_model_close(model);
    int64_t h = arch.hidden, f = arch.ffn;
    ck_assert_int_eq(arch.layers, 2);
    int64_t head = R * (h * h + CLASSES * h), row_block = R * (2 * h * h + 2 * h * f) + T * 2 * h * h, block = T * (4 * h * h + 2 * h * f);
    const struct { const char *tune; int64_t products; } of[] = {
        {"full", 2 * (head + row_block + block)},
        {"head", 2 * R * CLASSES * h + R * h * h},              /* dW of both, dx of the last */
        {"bias", 2 * head + row_block + block},                 /* the head whole, else dx: q, k, v of the first block lead to embed.norm.bias */
        {"pattern on layer.0.attn.q.bias", head + row_block + T * (h * h + 2 * h * f)}, /* dx down to the first block's o */
        {"last layers 1", 2 * head + 2 * row_block - R * h * h - 2 * T * h * h}, /* no dx of the last q, k, v */
        {"pattern on layer.1.mlp.down.weight", head + R * h * f}, /* its dW alone */
        {"pattern on embed.norm.weight", head + row_block + block}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
            zo_tune tune = view_of(of[i].tune);
            model = golden_model_of(be, BERT, false, ZO_F32, ZO_STORAGE_F32, &tune);
            zo_batch *b = golden_batch(&arch, false, R, length, 1);
            zo_store *grad = zo_store_new(be, zo_model_layout(model), ZO_TAG_GRADS);
            const zo_store *slot = zo_model_store(model);
            zo_view stored = zo_view_stored(&slot);
            zo_counters forward, both;
            double loss;
            ck_assert_int_eq(b->tokens, T);
            zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, NULL);
            zo_counters_reset();
            zo_model_losses(model, &stored, b, &loss);
            zo_counters_read(&forward);
            zo_counters_reset();
            zo_model_grad(model, b, 1.0, checkpoint, grad, &loss);
            zo_counters_read(&both);
            int64_t backward = (int64_t)(both.linear_flops - forward.linear_flops), again = 0;
            if (checkpoint && zo_model_layout(model)->lowest <= zo_model_layout(model)->param[zo_layout_find(zo_model_layout(model), "layer.0.mlp.norm.bias")].stage) {
                again = block; /* the first one */
            }
            ck_assert_msg(backward == 2 * (of[i].products + again), "%s%s: %lld products, by hand %lld", of[i].tune, checkpoint ? ", checkpoints" : "",
                          (long long)backward / 2, (long long)(of[i].products + again));
            zo_store_free(be, grad);
            zo_batch_free(b);
            zo_model_close(model);
        }
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("tune");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, a_view_has_one_text);
    tcase_add_test(t, what_is_no_view_is_one_sentence);
    tcase_add_loop_test(t, a_view_trains_these, 0, sizeof trained / sizeof *trained);
    tcase_add_test(t, full_trains_all_and_moves_nothing);
    tcase_add_test(t, a_view_that_trains_nothing_is_refused);
    tcase_add_test(t, views_of_blocks_want_blocks_of_their_own);
    tcase_add_test(t, trained_parameters_come_first);
    tcase_add_loop_test(t, frozen_parameters_keep_every_bit, 0, VIEWS);
    tcase_add_test(t, a_method_without_a_parameter_is_refused);
    tcase_add_test(t, sets_hold_what_is_trained);
    tcase_add_loop_test(t, gradients_are_those_of_the_whole_model, 0, VIEWS - SIDES);
    tcase_add_loop_test(t, gradients_of_any_parameters, 0, 2 * FAMILIES);
    tcase_add_test(t, a_backward_pass_makes_no_other_product);
    Suite *s = suite_create("tune");
    suite_add_tcase(s, t);
    return suite_run(s) != 0;
}
