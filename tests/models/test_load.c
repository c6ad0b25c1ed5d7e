/* test_load.c: from names and files to weights: hub look-ups, config.json, safetensors, tensor names, layouts,
 * random weights, and back to disk. Every malformed input must give one sentence and no crash. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/num.h"
#include "models/family.h"
#include "models/files/hub.h"
#include "models/files/safetensors.h"
#include "models/model.h"
#include "tests/fuzz.h"
#include "tests/suite.h"

static char root[64]; /* a folder of this test's own */
static zo_backend *be;

static void start(void)
{
    zo_err err = {0};
    snprintf(root, sizeof root, "/tmp/zo_load_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_msg(zo_backend_open("cpu", 1, &be, &err) == ZO_OK, "%s", err.text);
}

static void stop(void)
{
    char command[128];
    be->close(be);
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

/* A path below the test's folder; four live at a time. */
static const char *below(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *below(const char *format, ...)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4], name[400];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void put(const char *path, const void *data, size_t bytes)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    zo_err err = {0};
    ck_assert_msg(zo_make_dirs(folder, &err) == ZO_OK, "%s", err.text);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, bytes, f), bytes);
    ck_assert_int_eq(fclose(f), 0);
}

static void put_text(const char *path, const char *text)
{
    put(path, text, strlen(text));
}

static void assert_sentence(const zo_err *err, const char *part)
{
    ck_assert_msg(err->status != ZO_OK && err->text[0] != '\0' && strpbrk(err->text, "\n\r\033") == NULL,
                  "status %d, \"%s\"", err->status, err->text);
    ck_assert_msg(strstr(err->text, part) != NULL, "\"%s\" does not say \"%s\"", err->text, part);
}

/* ---- config.json
 * ------------------------------------------------------------------------------------------------------- */

#define BERT                                                                                                \
    "\"model_type\":\"bert\",\"vocab_size\":50,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_" \
    "heads\":3,"                                                                                            \
    "\"intermediate_size\":20,\"max_position_embeddings\":16,\"type_vocab_size\":2,\"hidden_act\":\"gelu\""
#define ROBERTA                                                                                                \
    "\"model_type\":\"roberta\",\"vocab_size\":50,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_" \
    "heads\":3,"                                                                                               \
    "\"intermediate_size\":20,\"max_position_embeddings\":18,\"type_vocab_size\":1,\"layer_norm_eps\":1e-5"
#define DISTILBERT                                                                                               \
    "\"model_type\":\"distilbert\",\"vocab_size\":50,\"dim\":12,\"n_layers\":2,\"n_heads\":3,\"hidden_dim\":20," \
    "\"max_position_embeddings\":16,\"activation\":\"gelu\""
#define GPT2 \
    "\"model_type\":\"gpt2\",\"vocab_size\":50,\"n_embd\":12,\"n_layer\":2,\"n_head\":3,\"n_positions\":16"
#define OPT                                                                                                \
    "\"model_type\":\"opt\",\"vocab_size\":50,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_" \
    "heads\":3,"                                                                                           \
    "\"ffn_dim\":20,\"max_position_embeddings\":16"
#define OPT350 OPT ",\"word_embed_proj_dim\":8,\"do_layer_norm_before\":false"
#define LLAMA                                                                                                \
    "\"model_type\":\"llama\",\"vocab_size\":50,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_" \
    "heads\":6,"                                                                                             \
    "\"num_key_value_heads\":2,\"intermediate_size\":20,\"max_position_embeddings\":16,\"rms_norm_eps\":1e-5"

#define NEOX                                                                                                   \
    "\"model_type\":\"gpt_neox\",\"vocab_size\":50,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_" \
    "heads\":4,"                                                                                                 \
    "\"intermediate_size\":20,\"max_position_embeddings\":16"
#define GPTJ "\"model_type\":\"gptj\",\"vocab_size\":50,\"n_embd\":32,\"n_layer\":2,\"n_head\":4,\"n_positions\":16,\"rotary_dim\":4"
#define PHI                                                                                               \
    "\"model_type\":\"phi\",\"vocab_size\":50,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_" \
    "heads\":4,"                                                                                           \
    "\"intermediate_size\":20,\"max_position_embeddings\":16"
#define MODERNBERT                                                                                               \
    "\"model_type\":\"modernbert\",\"vocab_size\":50,\"hidden_size\":12,\"num_hidden_layers\":4,\"num_attention_" \
    "heads\":3,"                                                                                                 \
    "\"intermediate_size\":20,\"max_position_embeddings\":16"
#define MODERN "{" MODERNBERT
#define PHI3                                                                                               \
    "\"model_type\":\"phi3\",\"vocab_size\":50,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_" \
    "heads\":4,"                                                                                            \
    "\"intermediate_size\":20,\"max_position_embeddings\":16"

static zo_status parse(const char *text, zo_arch *arch, zo_err *err)
{
    cJSON *json = cJSON_Parse(text);
    ck_assert_msg(json != NULL, "the test's own JSON is wrong: %s", text);
    zo_status status = zo_arch_parse(json, "config.json", arch, err);
    cJSON_Delete(json);
    return status;
}

static zo_arch arch_of(const char *members)
{
    char text[2000];
    zo_arch arch;
    zo_err err = {0};
    snprintf(text, sizeof text, "{%s}", members);
    ck_assert_msg(parse(text, &arch, &err) == ZO_OK, "%s", err.text);
    return arch;
}

/* What is written of a config, as text. The caller gives it back with cJSON_free. */
static char *written(const char *members)
{
    zo_arch arch = arch_of(members);
    zo_layout layout = {0};
    zo_arch_set_decoder(&arch, ZO_HEAD_SPAN, ZO_DECODER_DEFAULT);
    zo_arch_layout(&arch, ZO_HEAD_SPAN, 2, &layout);
    cJSON *json = zo_arch_write(&arch, &layout);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    zo_layout_free(&layout);
    return text;
}

/* transformers 5 holds a config's members to their types: a float is written as one, an int as one, and an activation by the name that means it. */
START_TEST(configs_as_they_are_written)
{
#define SMALL "\"hidden_size\":8,\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":4,\"intermediate_size\":8,\"num_hidden_layers\":2,\"vocab_size\":10"
    static const struct { const char *members, *has; } of[] = {
        {"\"model_type\":\"gemma2\"," SMALL, "\"final_logit_softcapping\":30.0"},
        {"\"model_type\":\"gemma2\"," SMALL, "\"attn_logit_softcapping\":50.0"},
        {"\"model_type\":\"gemma2\"," SMALL, "\"query_pre_attn_scalar\":256,"},
        {"\"model_type\":\"gemma2\"," SMALL ",\"final_logit_softcapping\":2.5", "\"final_logit_softcapping\":2.5"},
        {"\"model_type\":\"llama\"," SMALL ",\"initializer_range\":1", "\"initializer_range\":1.0"},
        {"\"model_type\":\"llama\"," SMALL, "\"rms_norm_eps\":1e-06"},
        {"\"model_type\":\"gemma\"," SMALL ",\"hidden_act\":\"gelu_python\"", "\"hidden_act\":\"gelu_python\""},
        {"\"model_type\":\"gemma\"," SMALL ",\"hidden_act\":\"gelu\"", "\"hidden_act\":\"gelu_new\""}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char *text = written(of[i].members);
        ck_assert_msg(strstr(text, of[i].has) != NULL, "%s lacks %s", text, of[i].has);
        cJSON_free(text);
    }
}
END_TEST

START_TEST(config_fields)
{
    zo_arch a = arch_of(BERT);
    ck_assert(!a.causal && !a.norm_first && a.embed_norm && !a.final_norm && a.tied && a.head_transform &&
              a.head_bias);
    ck_assert(a.learned_positions && !a.rope && a.types == 2 && a.head_dim == 4 && a.kv_heads == 3 &&
              a.embed == 12);
    ck_assert(a.act == ZO_ACT_GELU && a.norm_eps == 1e-12f && a.class_head == ZO_CLASS_POOLER && a.pad == 0);
    a = arch_of(ROBERTA);
    ck_assert(a.position_offset == 2 && a.positions == 16 && a.norm_eps == 1e-5f &&
              a.class_head == ZO_CLASS_DENSE_TANH);
    a = arch_of(DISTILBERT);
    ck_assert(a.types == 0 && a.ffn == 20 && a.class_head == ZO_CLASS_DENSE_RELU && a.head_act == ZO_ACT_GELU);
    a = arch_of(GPT2);
    ck_assert(a.causal && a.norm_first && a.final_norm && a.ffn == 48 && a.act == ZO_ACT_GELU_TANH &&
              a.norm_eps == 1e-5f);
    a = arch_of(OPT);
    ck_assert(a.causal && a.norm_first && a.final_norm && a.position_offset == 2 && a.act == ZO_ACT_RELU &&
              a.embed == 12);
    a = arch_of(OPT350);
    ck_assert(!a.norm_first && !a.final_norm && a.embed == 8);
    a = arch_of(LLAMA);
    ck_assert(a.rope && a.rope_theta == 10000 && a.rope_scaling == ZO_ROPE_PLAIN && a.kv_heads == 2 &&
              a.head_dim == 2 && a.gated);
    ck_assert(!a.tied && !a.attn_bias && a.norm == ZO_RMSNORM && a.act == ZO_ACT_SILU);
    a = arch_of(LLAMA
                ",\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_"
                "factor\":1.0,"
                "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":8192},\"eos_token_id\":[4,5]");
    ck_assert(a.rope_scaling == ZO_ROPE_LLAMA3 && a.rope_theta == 5e5 && a.rope_factor == 8 &&
              a.rope_original_positions == 8192);
    ck_assert_int_eq(a.eos, 4);
    a = arch_of(LLAMA ",\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2,\"rope_theta\":20000}");
    ck_assert(a.rope_scaling == ZO_ROPE_LINEAR && a.rope_theta == 20000 && a.rope_factor == 2);
}
END_TEST

START_TEST(config_errors)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"[]", "JSON object"},
        {"{}", "\"model_type\" is missing"},
        {"{\"model_type\":\"t5\"}", "\"t5\""},
        {"{\"model_type\":\"bert\",\"hidden_size\":12,\"hidden_size\":24}", "\"hidden_size\" stands there twice"},
        {"{" LLAMA ",\"rope_scaling\":{\"factor\":2,\"type\":\"linear\",\"factor\":3}}", "\"factor\" stands there twice"},
        {"{" ROBERTA ",\"pad_token_id\":null}", "\"pad_token_id\" is null or negative"},
        {"{" GPT2 ",\"hidden_size\":\"wide\"}", "\"hidden_size\" is \"wide\""},
        {"{" ROBERTA ",\"hidden_act\":\"mish\"}", "\"hidden_act\" is \"mish\", an activation that is not supported; supported are gelu, gelu_python, "
         "gelu_new, gelu_pytorch_tanh, gelu_fast, gelu_accurate, gelu_python_tanh, relu, silu, swish, tanh"},
        {"{" DISTILBERT ",\"sinusoidal_pos_embds\":true}", "sinusoidal_pos_embds"},
        {"{" BERT ",\"position_embedding_type\":\"relative_key\"}",
         "\"position_embedding_type\" is \"relative_key\""},
        {"{" BERT ",\"is_decoder\":true}", "is_decoder"},
        {"{" BERT ",\"quantization_config\":{\"bits\":4}}", "quantization_config"},
        {"{" BERT ",\"pruned_heads\":{\"1\":[0]}}", "pruned_heads"},
        {"{" BERT ",\"layer_norm_eps\":\"tiny\"}", "layer_norm_eps"},
        {"{" ROBERTA ",\"pad_token_id\":17}", "max_position_embeddings"},
        {"{" GPT2 ",\"activation_function\":\"quick_gelu\"}", "\"activation_function\" is \"quick_gelu\""},
        {"{" GPT2 ",\"scale_attn_by_inverse_layer_idx\":true}", "scale_attn_by_inverse_layer_idx"},
        {"{" GPT2 ",\"scale_attn_weights\":false}", "scale_attn_weights"},
        {"{" OPT ",\"layer_norm_elementwise_affine\":false}", "layer_norm_elementwise_affine"},
        {"{" LLAMA ",\"sliding_window\":4096}", "sliding_window"},
        {"{" LLAMA ",\"partial_rotary_factor\":0.5}", "partial_rotary_factor"},
        {"{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"ntk\",\"factor\":2}}", "\"ntk\", which is not supported; supported are default, linear, dynamic, yarn, longrope and llama3"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"su\"}}", "\"su\""},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}", "\"dynamic\", which wants 4 numbers of each head that are turned; there are 2"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"dynamic\"}}", "\"rope_scaling.factor\" is 0 or missing"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"yarn\"}}", "\"rope_scaling.factor\" is 0 or missing"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"beta_fast\":1,\"beta_slow\":2}}", "beta_slow 2 and beta_fast 1; expected slow <= fast"},
        {"{" LLAMA ",\"rope_theta\":1,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2}}", "\"rope_theta\" is 1"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1,2]}}", "\"rope_scaling.long_factor\" is no list of 1 numbers"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[0],\"long_factor\":[1]}}", "\"rope_scaling.short_factor\" is no list of 1 numbers"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[\"1\"],\"long_factor\":[1]}}", "\"rope_scaling.short_factor\" is no list"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1]}}", "\"rope_scaling.short_factor\" is no list"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1],\"original_max_position_embeddings\":1}}", "its logarithm, 0, gives none"},
        {"{\"model_type\":\"phi3\",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}", "\"linear\", which is not supported; supported are default, longrope, su and yarn"},
        {"{\"model_type\":\"phi3\",\"hidden_size\":1040,\"num_attention_heads\":4,\"rope_scaling\":{\"type\":\"su\"}}", "no list of 130 numbers from 1e-06 to 1e+06, one for each pair of a head's numbers that is turned, at most 128"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"linear\"}}", "factor"},
        {"{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", "low_freq_factor 0 and high_freq_factor 0"},
        {"{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"high_freq_factor\":4}}", "low_freq_factor 0 and high_freq_factor 4"},
        {"{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4}}", "expected 0 < low < high"},
        {"{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":1}}", "expected 0 < low < high"},
        {"{" LLAMA ",\"rope_scaling\":7}", "rope_scaling"},
        {"{" LLAMA ",\"rope_scaling\":{\"rope_type\":null,\"type\":\"ntk\",\"factor\":4}}", "\"ntk\""},
        {"{" LLAMA ",\"rope_scaling\":{\"rope_type\":3,\"factor\":4}}", "\"rope_scaling.rope_type\" is no string; expected one such as"},
        {"{" LLAMA ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":8}}}", "\"rope_parameters.full_attention\" is an object: rotary positions that differ"},
        {"{\"model_type\":\"gpt_neox\",\"hidden_size\":64,\"num_attention_heads\":4,\"head_dim\":32}", "\"head_dim\" is not hidden_size / num_attention_heads, 16"},
        {"{\"model_type\":\"phi\",\"hidden_size\":64,\"num_attention_heads\":4,\"head_dim\":32}", "\"head_dim\" is not hidden_size / num_attention_heads, 16"},
        {"{\"model_type\":\"gpt_neo\",\"num_layers\":3}", "\"attention_types\" has types of 24 layers or more; expected one for each of the 3"},
        {"{\"model_type\":\"gpt_neo\",\"num_layers\":3,\"attention_types\":[[[\"local\"],2]]}", "has types of 2 layers; expected one for each of the 3"},
        {"{\"model_type\":\"gpt_neo\",\"num_layers\":1,\"attention_types\":[[[\"near\"],1]]}", "has a group that is no [[types], times]; types are \"global\" and \"local\""},
        {"{\"model_type\":\"gpt_neo\",\"num_layers\":1,\"attention_types\":[[[\"local\"]]]}", "has a group that is no [[types], times]"},
        {"{\"model_type\":\"gpt_neo\",\"num_layers\":1,\"attention_types\":\"local\"}", "has types of 0 layers; expected one for each of the 1"},
        {"{\"model_type\":\"albert\",\"inner_group_num\":2}", "\"inner_group_num\" is 2, and only 1 is supported"},
        {"{\"model_type\":\"albert\",\"num_hidden_layers\":3,\"num_hidden_groups\":4}", "\"num_hidden_groups\" is 4; expected at most the 3 layers; make it smaller"},
        {"{\"model_type\":\"deberta-v2\"}", "not supported, because it has scores of attention that come of relative positions (disentangled attention); supported are bert, "},
        {MODERN ",\"layer_types\":[\"full_attention\"]}", "\"layer_types\" is no list of 4 types"},
        {MODERN ",\"layer_types\":[\"full_attention\",\"chunked\",\"full_attention\",\"full_attention\"]}", "\"layer_types\" has \"chunked\" for layer 1"},
        {MODERN ",\"rope_parameters\":{\"rope_type\":\"default\"}}", "\"rope_parameters.rope_type\" is not supported; expected \"full_attention\" and \"sliding_attention\""},
        {MODERN ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"yarn\",\"factor\":2}}}", "\"rope_type\" is \"yarn\", which is not supported"},
        {MODERN ",\"rope_parameters\":{\"sliding_attention\":{\"rope_theta\":0}}}", "\"rope_theta\" is 0"},
        {MODERN ",\"rope_parameters\":{\"sliding_attention\":7}}", "\"rope_parameters.sliding_attention\" is not an object"},
        {MODERN ",\"rope_parameters\":[]}", "\"rope_parameters\" is not an object"},
        {MODERN ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}", "\"rope_scaling\""},
        {MODERN ",\"local_rope_theta\":null}", "\"local_rope_theta\" is null; expected a number"},
        {MODERN ",\"classifier_pooling\":\"max\"}", "\"classifier_pooling\" is \"max\""},
        {"{" LLAMA ",\"head_dim\":3}", "even"},
        {"{" LLAMA ",\"attention_bias\":1}", "attention_bias"},
        {"{\"model_type\":\"llama\",\"hidden_size\":12,\"num_attention_heads\":6,\"num_key_value_heads\":4}", "\"num_key_value_heads\" is 4"},
        {"{\"model_type\":\"llama\",\"hidden_size\":12,\"num_attention_heads\":5}", "\"hidden_size\" is 12; expected a multiple of the 5"},
        {"{\"model_type\":\"opt\",\"num_hidden_layers\":1.5}", "\"num_hidden_layers\" is 1.5"},
        {"{\"model_type\":\"opt\",\"num_hidden_layers\":1e99}", "num_hidden_layers"},
        {"{\"model_type\":\"opt\",\"num_hidden_layers\":-1}", "num_hidden_layers"},
        {"{\"model_type\":\"opt\",\"num_hidden_layers\":2,\"hidden_size\":12,\"num_attention_heads\":5,\"ffn_"
         "dim\":4,\"vocab_size\":9,"
         "\"max_position_embeddings\":16}",
         "multiple"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        zo_arch arch;
        zo_err err = {0};
        ck_assert_msg(parse(wrong[i].text, &arch, &err) != ZO_OK, "taken: %s", wrong[i].text);
        assert_sentence(&err, wrong[i].says);
    }
    zo_arch arch;
    zo_err err = {0};
    ck_assert(zo_arch_read(below("nowhere"), &arch, &err) != ZO_OK);
    assert_sentence(&err, "config.json");
    put_text(below("broken/config.json"), "{\"model_type\": \"bert\",");
    ck_assert(zo_arch_read(below("broken"), &arch, &err) != ZO_OK);
    assert_sentence(&err, "config.json");
}
END_TEST

/* Prompts know nothing of how a classification head pools. */
START_TEST(a_mean_of_all_tokens_is_refused)
{
    zo_arch arch;
    zo_err err = {0};
    zo_model *model;
    ck_assert_int_eq(parse(MODERN "}", &arch, &err), ZO_OK);
    ck_assert(!arch.class_mean && zo_arch_check_head(&arch, ZO_HEAD_CLASS, 2, &err) == ZO_OK);
    ck_assert_int_eq(parse(MODERN ",\"classifier_pooling\":\"mean\"}", &arch, &err), ZO_OK);
    ck_assert(zo_arch_check_head(&arch, ZO_HEAD_WORDS, 2, &err) == ZO_OK && zo_arch_check_head(&arch, ZO_HEAD_CLASS, 0, &err) == ZO_OK);
    zo_model_spec spec = {.arch = &arch, .random = true, .head = ZO_HEAD_CLASS, .classes = 2};
    ck_assert_int_eq(zo_model_open(&model, &spec, be, &err), ZO_EUNSUPPORTED);
    assert_sentence(&err, "a classification head of this model (modernbert) reads the mean of all tokens");
}
END_TEST

#define LINEAR LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}"
#define YARN LLAMA ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2,\"beta_slow\":0,\"beta_fast\":1e6}"
#define LONG LLAMA ",\"rope_scaling\":{\"rope_type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[2],\"attention_factor\":1}"
#define LLAMA3 LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":1,\"high_freq_factor\":4}"

/* Every number has limits: the least and the most are taken, what is just outside is refused with both. */
START_TEST(config_limits)
{
    static const struct {
        const char *base, *inside, *keys; /* inside: the object that holds the keys, NULL: the config itself */
        double least, most;
        bool real;
    } limits[] = {
        {BERT, NULL, "num_hidden_layers", 1, 1000, false},
        {BERT, NULL, "hidden_size", 1, 1 << 20, false},
        {BERT, NULL, "num_attention_heads", 1, 4096, false},
        {BERT, NULL, "intermediate_size", 1, 1 << 22, false},
        {BERT, NULL, "vocab_size max_position_embeddings", 1, 1 << 24, false},
        {BERT, NULL, "type_vocab_size", 1, 1024, false},
        {BERT, NULL, "layer_norm_eps", 0, 1, true},
        {BERT, NULL, "initializer_range", 0, 10, true},
        {DISTILBERT, NULL, "n_layers", 1, 1000, false},
        {DISTILBERT, NULL, "dim", 1, 1 << 20, false},
        {DISTILBERT, NULL, "n_heads", 1, 4096, false},
        {DISTILBERT, NULL, "hidden_dim", 1, 1 << 22, false},
        {DISTILBERT, NULL, "vocab_size max_position_embeddings", 1, 1 << 24, false},
        {DISTILBERT, NULL, "initializer_range", 0, 10, true},
        {GPT2, NULL, "n_layer", 1, 1000, false},
        {GPT2, NULL, "n_embd", 1, 1 << 20, false},
        {GPT2, NULL, "n_head", 1, 4096, false},
        {GPT2, NULL, "n_inner", 1, 1 << 22, false},
        {GPT2, NULL, "vocab_size n_positions", 1, 1 << 24, false},
        {GPT2, NULL, "layer_norm_epsilon", 0, 1, true},
        {GPT2, NULL, "initializer_range", 0, 10, true},
        {OPT, NULL, "num_hidden_layers", 1, 1000, false},
        {OPT, NULL, "hidden_size word_embed_proj_dim", 1, 1 << 20, false},
        {OPT, NULL, "num_attention_heads", 1, 4096, false},
        {OPT, NULL, "ffn_dim", 1, 1 << 22, false},
        {OPT, NULL, "vocab_size max_position_embeddings", 1, 1 << 24, false},
        {OPT, NULL, "init_std", 0, 10, true},
        {LLAMA, NULL, "num_hidden_layers", 1, 1000, false},
        {LLAMA, NULL, "hidden_size", 1, 1 << 20, false},
        {LLAMA, NULL, "num_attention_heads num_key_value_heads", 1, 4096, false},
        {LLAMA, NULL, "head_dim", 1, 1 << 16, false},
        {LLAMA, NULL, "intermediate_size", 1, 1 << 22, false},
        {LLAMA, NULL, "vocab_size max_position_embeddings", 1, 1 << 24, false},
        {LLAMA, NULL, "partial_rotary_factor rms_norm_eps", 0, 1, true},
        {LLAMA, NULL, "initializer_range", 0, 10, true},
        {LLAMA, NULL, "rope_theta", 1, 1e12, true},
        {NEOX, NULL, "num_hidden_layers", 1, 1000, false},
        {NEOX, NULL, "hidden_size", 1, 1 << 20, false},
        {NEOX, NULL, "num_attention_heads", 1, 4096, false},
        {NEOX, NULL, "intermediate_size", 1, 1 << 22, false},
        {NEOX, NULL, "vocab_size max_position_embeddings", 1, 1 << 24, false},
        {NEOX, NULL, "rotary_pct layer_norm_eps", 0, 1, true},
        {NEOX, NULL, "rotary_emb_base", 1, 1e12, true},
        {NEOX, NULL, "initializer_range", 0, 10, true},
        {GPTJ, NULL, "n_layer", 1, 1000, false},
        {GPTJ, NULL, "n_embd", 1, 1 << 20, false},
        {GPTJ, NULL, "n_head", 1, 4096, false},
        {GPTJ, NULL, "n_inner", 1, 1 << 22, false},
        {GPTJ, NULL, "rotary_dim", 1, 1 << 16, false},
        {GPTJ, NULL, "vocab_size n_positions", 1, 1 << 24, false},
        {GPTJ, NULL, "layer_norm_epsilon", 0, 1, true},
        {GPTJ, NULL, "initializer_range", 0, 10, true},
        {PHI, NULL, "num_hidden_layers", 1, 1000, false},
        {PHI, NULL, "hidden_size", 1, 1 << 20, false},
        {PHI, NULL, "num_attention_heads num_key_value_heads", 1, 4096, false},
        {PHI, NULL, "intermediate_size", 1, 1 << 22, false},
        {PHI, NULL, "vocab_size max_position_embeddings", 1, 1 << 24, false},
        {PHI, NULL, "partial_rotary_factor layer_norm_eps", 0, 1, true},
        {PHI, NULL, "rope_theta", 1, 1e12, true},
        {PHI, NULL, "initializer_range", 0, 10, true},
        {MODERNBERT, NULL, "num_hidden_layers global_attn_every_n_layers", 1, 1000, false},
        {MODERNBERT, NULL, "hidden_size", 1, 1 << 20, false},
        {MODERNBERT, NULL, "num_attention_heads", 1, 4096, false},
        {MODERNBERT, NULL, "intermediate_size", 1, 1 << 22, false},
        {MODERNBERT, NULL, "vocab_size max_position_embeddings", 1, 1 << 24, false},
        {MODERNBERT, NULL, "local_attention", 0, 1 << 24, false},
        {MODERNBERT, NULL, "global_rope_theta local_rope_theta", 1, 1e12, true},
        {MODERNBERT, NULL, "norm_eps", 0, 1, true},
        {MODERNBERT, NULL, "initializer_range", 0, 10, true},
        {PHI3, NULL, "partial_rotary_factor rms_norm_eps", 0, 1, true},
        {PHI3, NULL, "sliding_window", 1, 1 << 24, false},
        {LINEAR, "rope_scaling", "rope_theta", 1, 1e12, true},
        {LINEAR, "rope_scaling", "partial_rotary_factor", 0, 1, true},
        {LINEAR, "rope_scaling", "factor", 0, 1e6, true},
        {LLAMA3, "rope_scaling", "factor low_freq_factor high_freq_factor", 0, 1e6, true},
        {YARN, "rope_scaling", "factor", 0, 1e6, true},
        {YARN, "rope_scaling", "beta_fast beta_slow mscale mscale_all_dim", 0, 1e6, true},
        {YARN, "rope_scaling", "attention_factor", 1e-6, 1e6, true},
        {YARN, "rope_scaling", "original_max_position_embeddings", 1, 1 << 24, false},
        {LONG, "rope_scaling", "factor", 0, 1e6, true},
        {LONG, "rope_scaling", "attention_factor", 1e-6, 1e6, true},
        {LONG, NULL, "original_max_position_embeddings", 1, 1 << 24, false},
        {LLAMA3, "rope_scaling", "original_max_position_embeddings", 1, 1 << 24, false},
        {LLAMA3, NULL, "original_max_position_embeddings", 1, 1 << 24, false},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char keys[100], text[1000], range[80];
        double least = limits[i].least, most = limits[i].most, step = limits[i].real ? 1e-9 : 1;
        const double values[] = {least, most, least - step, most + step * (limits[i].real ? most : 1)};
        snprintf(keys, sizeof keys, "%s", limits[i].keys);
        snprintf(text, sizeof text, "{%s}", limits[i].base);
        snprintf(range, sizeof range, limits[i].real ? "expected a number from %g to %g" : "expected a whole number from %.0f to %.0f", least, most);
        for (char *rest = keys, *key; (key = strsep(&rest, " ")) != NULL;) {
            for (int k = 0; k < 4; k++) {
                cJSON *json = cJSON_Parse(text), *holder = limits[i].inside ? cJSON_GetObjectItem(json, limits[i].inside) : json;
                cJSON_DeleteItemFromObject(holder, key);
                cJSON_AddNumberToObject(holder, key, values[k]);
                zo_arch arch;
                zo_err err = {0};
                zo_status status = zo_arch_parse(json, "config.json", &arch, &err);
                bool says = status != ZO_OK && strstr(err.text, range) != NULL && strstr(err.text, key) != NULL;
                ck_assert_msg(says == (k >= 2), "%.24s, %s %.12g, %s: %s", text, key, values[k], range, status == ZO_OK ? "taken" : err.text);
                cJSON_Delete(json);
            }
        }
    }
}
END_TEST

/* A config from a golden file, with the family's name put in. */
static zo_arch arch_of_item(const cJSON *members, const char *family)
{
    cJSON *json = cJSON_Duplicate(members, true);
    zo_arch arch;
    zo_err err = {0};
    cJSON_AddStringToObject(json, "model_type", family);
    ck_assert_msg(zo_arch_parse(json, "config.json", &arch, &err) == ZO_OK, "%s", err.text);
    cJSON_Delete(json);
    return arch;
}

static const char *text_of(const cJSON *json, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(json, key)->valuestring;
}

/* Every key left out, null, or spelt otherwise gives the arch of the config that transformers makes of it. */
START_TEST(config_defaults_are_those_of_transformers)
{
    cJSON *golden;
    zo_err err = {0};
    ck_assert_msg(zo_json_read("tests/golden/config_defaults.json", &golden, &err) == ZO_OK, "%s", err.text);
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(golden, "base"), *row;
    int rows = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(golden, "left_out"))
    {
        const char *family = text_of(row, "family"), *key = text_of(row, "key");
        cJSON *given = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(base, family), true);
        zo_arch whole = arch_of_item(given, family);
        cJSON_DeleteItemFromObjectCaseSensitive(given, key);
        zo_arch without = arch_of_item(given, family), same = arch_of_item(cJSON_GetObjectItemCaseSensitive(row, "same"), family);
        ck_assert_msg(memcmp(&without, &same, sizeof same) == 0, "%s without %s is not what transformers takes", family, key);
        ck_assert_msg(memcmp(&without, &whole, sizeof whole) != 0, "%s: %s is not read", family, key);
        cJSON_Delete(given);
        rows++;
    }
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(golden, "also"))
    {
        const cJSON *given = cJSON_GetObjectItemCaseSensitive(row, "given");
        zo_arch arch = arch_of_item(given, text_of(row, "family"));
        zo_arch same = arch_of_item(cJSON_GetObjectItemCaseSensitive(row, "same"), text_of(row, "family"));
        char *text = cJSON_PrintUnformatted(given);
        ck_assert_msg(memcmp(&arch, &same, sizeof same) == 0, "not as transformers reads it: %s %s", text_of(row, "family"), text);
        cJSON_free(text);
        rows++;
    }
    ck_assert_int_gt(rows, 100);
    cJSON_Delete(golden);
}
END_TEST

START_TEST(special_ids_outside_the_vocabulary_are_absent)
{
    zo_arch a = arch_of(GPT2); /* the default 50256 of a vocabulary of 50: nothing to say */
    ck_assert(a.bos == -1 && a.eos == -1 && a.pad == -1 && a.note[0] == '\0');
    a = arch_of(GPT2 ",\"bos_token_id\":50256,\"eos_token_id\":50256");
    ck_assert(a.bos == -1 && a.eos == -1);
    ck_assert_str_eq(a.note, "bos_token_id 50256, eos_token_id 50256 outside the vocabulary of 50 count as absent");
    a = arch_of(BERT ",\"pad_token_id\":50");
    ck_assert_int_eq(a.pad, -1);
    ck_assert_str_eq(a.note, "pad_token_id 50 outside the vocabulary of 50 counts as absent");
    a = arch_of(LLAMA ",\"bos_token_id\":49,\"eos_token_id\":[50,3],\"pad_token_id\":-1");
    ck_assert(a.bos == 49 && a.eos == -1 && a.pad == -1);
    ck_assert_str_eq(a.note, "eos_token_id 50 outside the vocabulary of 50 counts as absent");
    a = arch_of(LLAMA ",\"bos_token_id\":null,\"eos_token_id\":-7,\"pad_token_id\":2147483647");
    ck_assert(a.bos == -1 && a.eos == -1 && a.pad == -1);
}
END_TEST

/* RoBERTa: row = pad for pad tokens, pad + 1 + how many others stand before it for others; each sequence by itself. */
START_TEST(position_rows_skip_pad_tokens)
{
    int32_t id[] = {5, 3, 3, 6, 7, 3, 8, 9, 9}, position[] = {0, 1, 2, 3, 4, 0, 1, 1, 1}, start[] = {0, 5, 5, 7}, row[9];
    zo_batch b = {.tokens = 9, .id = id, .position = position, .seqs = 3, .start = start}; /* two tokens behind the last sequence */
    zo_arch a = arch_of(ROBERTA ",\"pad_token_id\":3");
    static const int32_t skipped[] = {4, 3, 3, 5, 6, 3, 4, 4, 4}, plain[] = {0, 1, 2, 3, 4, 0, 1, 1, 1}, opt[] = {2, 3, 4, 5, 6, 2, 3, 3, 3};
    zo_arch_position_rows(&a, &b, row);
    ck_assert_mem_eq(row, skipped, sizeof row);
    a = arch_of(BERT ",\"pad_token_id\":3");
    zo_arch_position_rows(&a, &b, row);
    ck_assert_mem_eq(row, plain, sizeof row);
    a = arch_of(OPT ",\"pad_token_id\":3");
    zo_arch_position_rows(&a, &b, row);
    ck_assert_mem_eq(row, opt, sizeof row);
}
END_TEST

START_TEST(config_mutations)
{
    static const char *const seeds[] = {
        "{" BERT "}", "{" OPT350 "}",
        "{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,"
        "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":8192}}"};
    for (uint64_t seed = 0; seed < 6000; seed++) {
        char text[1200] = "";
        const char *from = seeds[seed % 3];
        size_t n = strlen(from);
        memcpy(text, from, n);
        n = fuzz_mutate(seed, text, n, sizeof text - 1);
        cJSON *json = cJSON_ParseWithLength(text, n);
        zo_arch arch;
        zo_err err = {0};
        if (zo_arch_parse(json, "config.json", &arch, &err) == ZO_OK && arch.layers < 10 && arch.hidden < 5000 &&
            arch.embed < 5000) {
            zo_layout layout = {0};
            zo_arch_layout(&arch, ZO_HEAD_SPAN, 0, &layout);
            ck_assert_int_gt(layout.n, 0);
            zo_layout_free(&layout);
        } else if (err.status != ZO_OK) {
            assert_sentence(&err, "config.json");
        }
        cJSON_Delete(json);
    }
}
END_TEST

/* ---- layouts
 * ----------------------------------------------------------------------------------------------------------- */

static int64_t parameters(const zo_arch *arch, zo_head head, int classes)
{
    zo_layout layout = {0};
    zo_arch_layout(arch, head, classes, &layout);
    int64_t sum = 0;
    for (int i = 0; i < layout.n; i++) {
        sum += layout.param[i].rows * layout.param[i].cols;
    }
    zo_layout_free(&layout);
    return sum;
}

/* Numbers that the papers or transformers' num_parameters() give. */
START_TEST(layout_parameter_counts)
{
    zo_arch a = arch_of("\"model_type\":\"bert\",\"vocab_size\":30522,\"hidden_size\":768,\"num_hidden_layers\":"
                        "12,\"num_attention_heads\":12,"
                        "\"intermediate_size\":3072,\"max_position_embeddings\":512,\"type_vocab_size\":2");
    ck_assert_int_eq(parameters(&a, ZO_HEAD_CLASS, 2), 109482240 + 2 * 768 + 2);
    ck_assert_int_eq(parameters(&a, ZO_HEAD_CLASS, 0), 109482240 - 768 * 769); /* without the pooler */
    ck_assert_int_eq(parameters(&a, ZO_HEAD_WORDS, 2), 109514298); /* BertForMaskedLM */
    a = arch_of("\"model_type\":\"roberta\",\"vocab_size\":50265,\"hidden_size\":1024,\"num_hidden_layers\":24,"
                "\"num_attention_heads\":16,"
                "\"intermediate_size\":4096,\"max_position_embeddings\":514,\"type_vocab_size\":1,\"layer_norm_"
                "eps\":1e-5");
    ck_assert_int_eq(parameters(&a, ZO_HEAD_CLASS, 2), 355361794); /* RobertaForSequenceClassification */
    ck_assert_int_eq(parameters(&a, ZO_HEAD_WORDS, 2), 355412057); /* RobertaForMaskedLM */
    a = arch_of("\"model_type\":\"distilbert\",\"vocab_size\":30522,\"dim\":768,\"n_layers\":6,\"n_heads\":12,"
                "\"hidden_dim\":3072,"
                "\"max_position_embeddings\":512");
    ck_assert_int_eq(parameters(&a, ZO_HEAD_CLASS, 0), 66362880);
    ck_assert_int_eq(parameters(&a, ZO_HEAD_CLASS, 2), 66955010);
    a = arch_of("\"model_type\":\"gpt2\",\"vocab_size\":50257,\"n_embd\":768,\"n_layer\":12,\"n_head\":12,\"n_"
                "positions\":1024");
    ck_assert_int_eq(parameters(&a, ZO_HEAD_OPTIONS, 0), 124439808);
    a = arch_of("\"model_type\":\"opt\",\"vocab_size\":50272,\"hidden_size\":768,\"num_hidden_layers\":12,\"num_"
                "attention_heads\":12,"
                "\"ffn_dim\":3072,\"max_position_embeddings\":2048");
    ck_assert_int_eq(parameters(&a, ZO_HEAD_OPTIONS, 0), 125239296);
    a = arch_of("\"model_type\":\"opt\",\"vocab_size\":50272,\"hidden_size\":1024,\"num_hidden_layers\":24,\"num_"
                "attention_heads\":16,"
                "\"ffn_dim\":4096,\"max_position_embeddings\":2048,\"word_embed_proj_dim\":512,\"do_layer_norm_"
                "before\":false");
    ck_assert_int_eq(parameters(&a, ZO_HEAD_OPTIONS, 0), 331196416);
    a = arch_of("\"model_type\":\"llama\",\"vocab_size\":49152,\"hidden_size\":576,\"num_hidden_layers\":30,\"num_"
                "attention_heads\":9,"
                "\"num_key_value_heads\":3,\"intermediate_size\":1536,\"max_position_embeddings\":8192,\"tie_word_"
                "embeddings\":true");
    ck_assert_int_eq(parameters(&a, ZO_HEAD_OPTIONS, 0), 134515008);
    a = arch_of("\"model_type\":\"llama\",\"vocab_size\":32000,\"hidden_size\":4096,\"num_hidden_layers\":32,"
                "\"num_attention_heads\":32,"
                "\"intermediate_size\":11008,\"max_position_embeddings\":2048");
    ck_assert_int_eq(parameters(&a, ZO_HEAD_OPTIONS, 0), 6738415616);
}
END_TEST

START_TEST(layout_marks)
{
    zo_arch a = arch_of(BERT);
    zo_layout layout = {0};
    zo_arch_layout(&a, ZO_HEAD_CLASS, 3, &layout);
    const zo_param *p = layout.param;
    ck_assert(p[0].kind == ZO_PARAM_TABLE && !p[0].whole && p[0].decay && p[0].block == -1);
    int i = zo_layout_find(&layout, "layer.1.mlp.down.weight");
    ck_assert(p[i].kind == ZO_PARAM_MATRIX && p[i].rows == 12 && p[i].cols == 20 && p[i].block == 1 && p[i].decay);
    i = zo_layout_find(&layout, "layer.0.attn.norm.bias");
    ck_assert(p[i].kind == ZO_PARAM_VECTOR && p[i].rows == 1 && p[i].cols == 12 && p[i].block == 0 && !p[i].decay);
    i = zo_layout_find(&layout, "class.out.weight");
    ck_assert(p[i].rows == 3 && p[i].cols == 12 && p[i].block == -1);
    ck_assert_int_eq(zo_layout_find(&layout, "lm.dense.weight"), -1);
    zo_layout_free(&layout);
    zo_arch_layout(&a, ZO_HEAD_WORDS, 2, &layout);
    ck_assert(layout.param[0].whole && zo_layout_find(&layout, "lm.decoder.weight") < 0 &&
              zo_layout_find(&layout, "lm.decoder.bias") > 0);
    ck_assert_int_eq(zo_layout_find(&layout, "class.dense.weight"), -1);
    zo_layout_free(&layout);
    a.tied = false;
    zo_arch_layout(&a, ZO_HEAD_WORDS, 2, &layout); /* label words are rows of a table of their own */
    i = zo_layout_find(&layout, "lm.decoder.weight");
    ck_assert(!layout.param[0].whole && layout.param[i].kind == ZO_PARAM_TABLE && !layout.param[i].whole && layout.param[i].rows == 50 &&
              layout.param[i].cols == 12 && layout.param[i].decay);
    zo_layout_free(&layout);
    zo_arch_layout(&a, ZO_HEAD_SPAN, 0, &layout);
    ck_assert_int_eq(layout.param[zo_layout_find(&layout, "lm.decoder.weight")].kind, ZO_PARAM_MATRIX);
    zo_layout_free(&layout);
    a = arch_of(LLAMA);
    zo_arch_layout(&a, ZO_HEAD_OPTIONS, 0, &layout);
    ck_assert(!layout.param[0].whole && zo_layout_find(&layout, "lm.decoder.weight") > 0 &&
              zo_layout_find(&layout, "final.norm.bias") < 0);
    zo_layout_free(&layout);
}
END_TEST

/* ---- checkpoints made by hand
 * ------------------------------------------------------------------------------------------ */

/* A file being put together: header entries and data. */
typedef struct made {
    char *header;
    size_t used;
    uint8_t *data;
    size_t bytes;
    int n;
} made;
enum { MADE_HEADER = 1 << 16, MADE_DATA = 1 << 20 };

static made made_new(void)
{
    made m = {.header = calloc(1, MADE_HEADER), .data = calloc(1, MADE_DATA)};
    m.used = (size_t)sprintf(m.header, "{");
    return m;
}

/* Value of element i of a tensor: exact in f16 and bf16, and different for every name. */
static float value_of(const char *name, int64_t i)
{
    return (float)((zo_param_id(name) % 13 + (uint64_t)i * 7) % 128) / 16 - 4;
}

/* A tensor with the numbers that one named `numbers` has. */
static void made_add_as(made *m, const char *name, const char *numbers, const char *dtype, int64_t rows,
                        int64_t cols /* 0: one dimension */)
{
    int64_t count = rows * (cols > 0 ? cols : 1);
    size_t size = strcmp(dtype, "F32") == 0 ? 4 : 2, begin = m->bytes;
    ck_assert_uint_le(m->bytes + (size_t)count * size, MADE_DATA);
    for (int64_t i = 0; i < count; i++) {
        float value = value_of(numbers, i);
        uint16_t half = strcmp(dtype, "F16") == 0 ? zo_f16_from(value) : zo_bf16_from(value);
        memcpy(m->data + m->bytes, size == 4 ? (void *)&value : (void *)&half, size);
        m->bytes += size;
    }
    char shape[64];
    snprintf(shape, sizeof shape, cols > 0 ? "%lld,%lld" : "%lld", (long long)rows, (long long)cols);
    m->used += (size_t)snprintf(m->header + m->used, MADE_HEADER - m->used,
                                "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                                m->n++ > 0 ? "," : "", name, dtype, shape, begin, m->bytes);
}

static void made_add(made *m, const char *name, const char *dtype, int64_t rows, int64_t cols)
{
    made_add_as(m, name, name, dtype, rows, cols);
}

/* The bytes of the file, malloc'd. */
static uint8_t *file_of(const char *header, const uint8_t *data, size_t data_bytes, size_t *bytes)
{
    size_t length = strlen(header);
    *bytes = 8 + length + data_bytes;
    uint8_t *file = malloc(*bytes);
    for (int i = 0; i < 8; i++) {
        file[i] = (uint8_t)((uint64_t)length >> 8 * i);
    }
    memcpy(file + 8, header, length);
    if (data_bytes > 0) {
        memcpy(file + 8 + length, data, data_bytes);
    }
    return file;
}

static void made_put(made *m, const char *path)
{
    size_t bytes;
    strcat(m->header, "}");
    uint8_t *file = file_of(m->header, m->data, m->bytes, &bytes);
    put(path, file, bytes);
    free(file);
    free(m->header);
    free(m->data);
}

/* Every tensor of the tiny BERT above as the hub's files name it; `skip` is left out, `odd` gets one row more. */
static void bert_tensors(made *m, const char *prefix, const char *dtype, bool old_names, const char *skip,
                         const char *odd)
{
    static const struct {
        const char *name;
        int rows, cols;
    } tensors[] = {{"embeddings.word_embeddings.weight", 50, 12},
                   {"embeddings.position_embeddings.weight", 16, 12},
                   {"embeddings.token_type_embeddings.weight", 2, 12},
                   {"embeddings.LayerNorm.weight", 12, 0},
                   {"embeddings.LayerNorm.bias", 12, 0},
                   {"encoder.layer.#.attention.self.query.weight", 12, 12},
                   {"encoder.layer.#.attention.self.query.bias", 12, 0},
                   {"encoder.layer.#.attention.self.key.weight", 12, 12},
                   {"encoder.layer.#.attention.self.key.bias", 12, 0},
                   {"encoder.layer.#.attention.self.value.weight", 12, 12},
                   {"encoder.layer.#.attention.self.value.bias", 12, 0},
                   {"encoder.layer.#.attention.output.dense.weight", 12, 12},
                   {"encoder.layer.#.attention.output.dense.bias", 12, 0},
                   {"encoder.layer.#.attention.output.LayerNorm.weight", 12, 0},
                   {"encoder.layer.#.attention.output.LayerNorm.bias", 12, 0},
                   {"encoder.layer.#.intermediate.dense.weight", 20, 12},
                   {"encoder.layer.#.intermediate.dense.bias", 20, 0},
                   {"encoder.layer.#.output.dense.weight", 12, 20},
                   {"encoder.layer.#.output.dense.bias", 12, 0},
                   {"encoder.layer.#.output.LayerNorm.weight", 12, 0},
                   {"encoder.layer.#.output.LayerNorm.bias", 12, 0},
                   {"pooler.dense.weight", 12, 12},
                   {"pooler.dense.bias", 12, 0}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        const char *hash = strchr(tensors[i].name, '#');
        for (int block = 0; block < (hash != NULL ? 2 : 1); block++) {
            char name[200];
            if (hash != NULL) {
                snprintf(name, sizeof name, "%s%.*s%d%s", prefix, (int)(hash - tensors[i].name), tensors[i].name,
                         block, hash + 1);
            } else {
                snprintf(name, sizeof name, "%s%s", prefix, tensors[i].name);
            }
            char *end = strstr(name, "LayerNorm.weight");
            if (old_names && end != NULL) {
                strcpy(end + 10, "gamma");
            } else if (old_names && (end = strstr(name, "LayerNorm.bias")) != NULL) {
                strcpy(end + 10, "beta");
            }
            if (skip == NULL || strcmp(name, skip) != 0) {
                made_add(m, name, dtype, tensors[i].rows + (odd != NULL && strcmp(name, odd) == 0),
                         tensors[i].cols);
            }
        }
    }
}

static zo_storage held; /* how read_into's store holds its numbers */

static zo_status read_into(const char *folder, const zo_arch *arch, zo_head head, int classes, zo_layout *layout,
                           zo_store **store, uint64_t seed, zo_err *err)
{
    *layout = (zo_layout){0};
    zo_arch_layout(arch, head, classes, layout);
    *store = zo_store_new_as(be, layout, held, ZO_TAG_PARAMS);
    return zo_weights_read(folder, arch, layout, be, *store, seed, err);
}

static void drop(zo_layout *layout, zo_store *store)
{
    zo_store_free(be, store);
    zo_layout_free(layout);
}

static float *values_of(const zo_store *store, const char *name)
{
    int i = zo_layout_find(store->layout, name);
    ck_assert_msg(i >= 0, "no parameter %s", name);
    float *host = malloc((size_t)(store->layout->param[i].rows * store->layout->param[i].cols) * sizeof *host);
    zo_store_get(be, store, i, host);
    return host;
}

static void assert_values(const zo_store *store, const char *name, const char *theirs, int64_t n)
{
    float *host = values_of(store, name);
    for (int64_t i = 0; i < n; i++) {
        ck_assert_msg(host[i] == value_of(theirs, i), "%s[%lld] is %g, expected %g", name, (long long)i, host[i],
                      value_of(theirs, i));
    }
    free(host);
}

START_TEST(reads_each_dtype_and_prefix)
{
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    zo_arch arch = arch_of(BERT);
    for (int turn = 0; turn < 18; turn++) {
        int i = turn % 6;
        held = (zo_storage)(turn / 6); /* the values are exact in all of them */
        const char *prefix = i % 2 == 0 ? "bert." : "", *folder = below("dtype%d", i);
        made m = made_new();
        bert_tensors(&m, prefix, dtypes[i / 2], i == 2 || i == 3, NULL, NULL);
        made_put(&m, below("dtype%d/model.safetensors", i));
        zo_layout layout;
        zo_store *store;
        zo_err err = {0};
        ck_assert_msg(read_into(folder, &arch, ZO_HEAD_CLASS, 3, &layout, &store, 7, &err) == ZO_OK, "%s",
                      err.text);
        char name[100];
        snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", prefix);
        assert_values(store, "embed.token", name, 600);
        snprintf(name, sizeof name, "%sencoder.layer.1.output.dense.weight", prefix);
        assert_values(store, "layer.1.mlp.down.weight", name, 240);
        snprintf(name, sizeof name, "%sencoder.layer.0.attention.output.LayerNorm.%s", prefix,
                 i == 2 || i == 3 ? "gamma" : "weight");
        assert_values(store, "layer.0.attn.norm.weight", name, 12);
        snprintf(name, sizeof name, "%spooler.dense.bias", prefix);
        assert_values(store, "class.dense.bias", name, 12);
        float *fresh = values_of(store, "class.out.weight"), *bias = values_of(store, "class.out.bias");
        ck_assert(fresh[0] != 0 && fresh[0] != fresh[1] && fabsf(fresh[0]) < 0.2f && bias[0] == 0 && bias[2] == 0);
        zo_layout again_layout;
        zo_store *again;
        ck_assert_int_eq(read_into(folder, &arch, ZO_HEAD_CLASS, 3, &again_layout, &again, 7, &err), ZO_OK);
        float *same = values_of(again, "class.out.weight");
        ck_assert_mem_eq(same, fresh, 36 * sizeof *same);
        drop(&again_layout, again);
        ck_assert_int_eq(read_into(folder, &arch, ZO_HEAD_CLASS, 3, &again_layout, &again, 8, &err), ZO_OK);
        float *other = values_of(again, "class.out.weight");
        ck_assert_mem_ne(other, fresh, 36 * sizeof *other);
        drop(&again_layout, again);
        drop(&layout, store);
        free(fresh);
        free(bias);
        free(same);
        free(other);
    }
}
END_TEST

START_TEST(reads_a_classifier_and_a_masked_head)
{
    zo_arch arch = arch_of(BERT);
    made m = made_new();
    bert_tensors(&m, "bert.", "F32", false, NULL, NULL);
    made_add(&m, "classifier.weight", "F32", 3, 12);
    made_add(&m, "classifier.bias", "F32", 3, 0);
    made_add(&m, "cls.predictions.transform.dense.weight", "F32", 12, 12);
    made_add(&m, "cls.predictions.transform.dense.bias", "F32", 12, 0);
    made_add(&m, "cls.predictions.transform.LayerNorm.gamma", "F32", 12, 0);
    made_add(&m, "cls.predictions.transform.LayerNorm.beta", "F32", 12, 0);
    made_add(&m, "cls.predictions.bias", "F32", 50, 0);
    made_add(&m, "bert.embeddings.position_ids", "F16", 16, 0);
    made_put(&m, below("heads/model.safetensors"));
    zo_layout layout;
    zo_store *store;
    zo_err err = {0};
    ck_assert_msg(read_into(below("heads"), &arch, ZO_HEAD_CLASS, 3, &layout, &store, 1, &err) == ZO_OK, "%s",
                  err.text);
    assert_values(store, "class.out.weight", "classifier.weight", 36);
    drop(&layout, store);
    ck_assert(read_into(below("heads"), &arch, ZO_HEAD_CLASS, 2, &layout, &store, 1, &err) == ZO_EINPUT);
    assert_sentence(&err, "\"classifier.weight\" has shape (3, 12); expected (2, 12)");
    drop(&layout, store);
    ck_assert_msg(read_into(below("heads"), &arch, ZO_HEAD_WORDS, 2, &layout, &store, 1, &err) == ZO_OK, "%s",
                  err.text);
    assert_values(store, "lm.decoder.bias", "cls.predictions.bias", 50);
    assert_values(store, "lm.norm.weight", "cls.predictions.transform.LayerNorm.gamma", 12);
    drop(&layout, store);
}
END_TEST

static void masked_head_tensors(made *m)
{
    made_add(m, "cls.predictions.transform.dense.weight", "F32", 12, 12);
    made_add(m, "cls.predictions.transform.dense.bias", "F32", 12, 0);
    made_add(m, "cls.predictions.transform.LayerNorm.weight", "F32", 12, 0);
    made_add(m, "cls.predictions.transform.LayerNorm.bias", "F32", 12, 0);
    made_add(m, "cls.predictions.bias", "F32", 50, 0);
}

#define TABLE "bert.embeddings.word_embeddings.weight"

/* A note names every tensor that no parameter is read from, but for heads of other objectives, buffers, and second spellings of the same
 * numbers. */
START_TEST(tensors_that_nothing_reads_are_named)
{
    enum { BASE = 1, CLASS = 2, LM = 4, ALL = CLASS | LM };
    static const struct {
        const char *name, *numbers; /* of one tensor (12) more; numbers NULL: its own */
        int named; /* by which objectives */
    } rows[] = {
        {"bert.encoder.layer.2.output.dense.bias", NULL, BASE | ALL},    /* config.json has two layers */
        {"bert.encoder.layer.0.output.dense.scale", NULL, BASE | ALL},   /* of a part that is not there */
        {"encoder.layer.0.output.dense.bias", NULL, BASE | ALL},         /* without the prefix, other numbers than with it */
        {"encoder.layer.0.output.dense.bias", "bert.encoder.layer.0.output.dense.bias", 0},
        {"bert.embeddings.position_ids", NULL, 0},
        {"embeddings.position_ids", NULL, 0},
        {"bert.embeddings.position_ids_2", NULL, BASE | ALL},
        {"bert.pooler.dense.scale", NULL, CLASS},                        /* a part of the head that is used */
        {"bert.pooler2.dense.bias", NULL, BASE | ALL},
        {"classifier.dense.bias", NULL, CLASS},
        {"classifier.bias", NULL, 0},
        {"cls.seq_relationship.bias", NULL, 0},
        {"qa_outputs.bias", NULL, 0},
        {"cls.predictions.scale", NULL, LM},
        {"cls.predictions.decoder.scale", NULL, LM},
        {"bert.cls.predictions.bias", NULL, BASE | ALL},
    };
    zo_arch arch = arch_of(BERT);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *folder = below("unread%zu", i);
        made m = made_new();
        bert_tensors(&m, "bert.", "F32", false, NULL, NULL);
        masked_head_tensors(&m);
        made_add_as(&m, rows[i].name, rows[i].numbers != NULL ? rows[i].numbers : rows[i].name, "F32", 12, 0);
        made_put(&m, below("unread%zu/model.safetensors", i));
        for (int which = BASE; which <= ALL; which = which == LM ? ALL : 2 * which) {
            static const zo_head heads[] = {ZO_HEAD_CLASS, ZO_HEAD_WORDS};
            char note[400] = "", expected[300] = "";
            zo_err err = {0};
            zo_status status = zo_weights_unread(folder, &arch, which == LM ? heads + 1 : heads, which == ALL ? 2 : 1, which == BASE ? 0 : 12, note,
                                                 sizeof note, &err);
            ck_assert_msg(status == ZO_OK, "%s", err.text);
            if (rows[i].named & which) {
                snprintf(expected, sizeof expected, "1 tensor of the checkpoint that nothing reads: %s", rows[i].name);
            }
            ck_assert_msg(strcmp(note, expected) == 0, "objectives %d, %s: \"%s\"", which, rows[i].name, note);
        }
    }
    /* The others' layers: three are named, the rest counted; a note that is there stays in front. */
    made m = made_new();
    bert_tensors(&m, "bert.", "F32", false, NULL, NULL);
    made_put(&m, below("deep/model.safetensors"));
    arch.layers = 1;
    char note[400] = "before";
    zo_err err = {0};
    static const zo_head head = ZO_HEAD_CLASS;
    ck_assert_int_eq(zo_weights_unread(below("deep"), &arch, &head, 1, 2, note, sizeof note, &err), ZO_OK);
    ck_assert_str_eq(note, "before; 16 tensors of the checkpoint that nothing reads: bert.encoder.layer.1.attention.output.LayerNorm.bias, "
                           "bert.encoder.layer.1.attention.output.LayerNorm.weight, bert.encoder.layer.1.attention.output.dense.bias and 13 more");
    put_text(below("deep/adapter_config.json"), "{}");
    note[0] = '\0';
    arch.layers = 2;
    ck_assert_int_eq(zo_weights_unread(below("deep"), &arch, &head, 1, 2, note, sizeof note, &err), ZO_OK);
    ck_assert_str_eq(note, "the PEFT adapter of adapter_config.json is not applied (see \"tune\": \"lora\")");
    ck_assert_int_eq(unlink(below("deep/adapter_config.json")), 0);
    arch.layers = 1;
    /* What does not fit is cut, and what is already full stays. */
    char small[12] = "before";
    ck_assert_int_eq(zo_weights_unread(below("deep"), &arch, &head, 1, 2, small, sizeof small, &err), ZO_OK);
    ck_assert_str_eq(small, "before; 16 ");
    ck_assert_int_eq(zo_weights_unread(below("deep"), &arch, &head, 1, 2, small, sizeof small, &err), ZO_OK);
    ck_assert_str_eq(small, "before; 16 ");
}
END_TEST

/* Masks of GPT-2's, frequencies of LLaMA's: buffers that follow from config.json. */
START_TEST(buffers_of_causal_models_are_silent)
{
    static const struct { const char *config, *tensor; bool named; } rows[] = {
        {GPT2, "h.1.attn.bias", false}, {GPT2, "transformer.h.0.attn.masked_bias", false}, {GPT2, "h.0.attn.biased", true},
        {GPT2, "h.x.attn.bias", true}, {GPT2, "lm_head.bias", true}, {GPT2, "score.weight", false},
        {LLAMA, "model.layers.1.self_attn.rotary_emb.inv_freq", false}, {LLAMA, "model.rotary_emb.inv_freq", false},
        {LLAMA, "model.layers.0.self_attn.q_proj.bias", true}, {LLAMA, "lm_head.bias", true}, {OPT, "score.weight", false},
        {OPT, "model.decoder.layers.1.fc1.bias_2", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zo_arch arch;
        char text[600], note[300] = "";
        zo_err err = {0};
        snprintf(text, sizeof text, "{%s}", rows[i].config);
        ck_assert_int_eq(parse(text, &arch, &err), ZO_OK);
        made m = made_new();
        made_add(&m, rows[i].tensor, "F32", 2, 3);
        made_put(&m, below("buffer%zu/model.safetensors", i));
        static const zo_head head = ZO_HEAD_OPTIONS;
        ck_assert_msg(zo_weights_unread(below("buffer%zu", i), &arch, &head, 1, 0, note, sizeof note, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg((strstr(note, rows[i].tensor) != NULL) == rows[i].named, "%s: \"%s\"", rows[i].tensor, note);
    }
}
END_TEST

/* `own`: the numbers of the stored decoder, NULL = none is stored; `table`: is the token table stored? */
static zo_arch decoder_folder(const char *name, const char *own, const char *dtype, bool table)
{
    made m = made_new();
    bert_tensors(&m, "bert.", "F32", false, table ? NULL : TABLE, NULL);
    masked_head_tensors(&m);
    if (own != NULL) {
        made_add_as(&m, "cls.predictions.decoder.weight", own, dtype, 50, 12);
    }
    made_put(&m, below("%s/model.safetensors", name));
    return arch_of(BERT);
}

START_TEST(decoders_tied_untied_and_stored)
{
    static const struct {
        const char *own;
        bool table, tied_in_config;
        zo_decoder decoder;
        bool tied;              /* what is resolved */
        const char *numbers;    /* of lm.decoder.weight, where it is there */
        const char *note;       /* a part of it */
    } rows[] = {
        {NULL, true, true, ZO_DECODER_DEFAULT, true, NULL, ""},
        {NULL, true, true, ZO_DECODER_TIED, true, NULL, ""},
        {NULL, true, true, ZO_DECODER_UNTIED, false, TABLE, ""},
        {TABLE, true, true, ZO_DECODER_DEFAULT, true, NULL, ""},
        {TABLE, true, true, ZO_DECODER_UNTIED, false, TABLE, ""},
        {"own", true, true, ZO_DECODER_DEFAULT, false, "own", "own cls.predictions.decoder.weight, which differs from the embeddings that config.json ties it to, is used"},
        {"own", true, true, ZO_DECODER_TIED, true, NULL, "is not read"},
        {"own", true, true, ZO_DECODER_UNTIED, false, "own", "is used"},
        {"own", true, false, ZO_DECODER_DEFAULT, false, "own", ""},
        {"own", true, false, ZO_DECODER_TIED, true, NULL, "is not read"},
        {"own", true, false, ZO_DECODER_UNTIED, false, "own", ""},
        {TABLE, false, true, ZO_DECODER_DEFAULT, true, NULL, ""}, /* the table is stored as the decoder alone */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zo_arch arch = decoder_folder("decoder", rows[i].own, i % 2 ? "F16" : "F32", rows[i].table);
        char note[400] = "";
        zo_err err = {0};
        arch.tied = rows[i].tied_in_config;
        zo_arch_set_decoder(&arch, ZO_HEAD_WORDS, rows[i].decoder);
        ck_assert_msg(zo_weights_decoder(below("decoder"), &arch, rows[i].decoder, note, sizeof note, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(arch.tied == rows[i].tied, "row %zu is %s", i, arch.tied ? "tied" : "untied");
        ck_assert_msg(rows[i].note[0] == '\0' ? note[0] == '\0' : strstr(note, rows[i].note) != NULL, "row %zu: \"%s\"", i, note);
        zo_layout layout;
        zo_store *store;
        ck_assert_msg(read_into(below("decoder"), &arch, ZO_HEAD_WORDS, 2, &layout, &store, 1, &err) == ZO_OK, "%s", err.text);
        assert_values(store, "embed.token", TABLE, 600);
        ck_assert((zo_layout_find(&layout, "lm.decoder.weight") >= 0) == (rows[i].numbers != NULL));
        if (rows[i].numbers != NULL) {
            assert_values(store, "lm.decoder.weight", rows[i].numbers, 600);
        }
        drop(&layout, store);
    }
    /* Apart by config.json and not stored: nothing stands in for it. */
    zo_arch arch = decoder_folder("decoder", NULL, "F32", true);
    zo_err err = {0};
    zo_layout layout;
    zo_store *store;
    arch.tied = false;
    ck_assert(read_into(below("decoder"), &arch, ZO_HEAD_WORDS, 2, &layout, &store, 1, &err) == ZO_EINPUT);
    assert_sentence(&err, "\"cls.predictions.decoder.weight\" is missing");
    drop(&layout, store);
    /* RoBERTa's mask prompts are untied by default, its other objectives and BERT's are not; without a language-model head nothing changes. */
    static const struct { const char *config; zo_head head; bool tied; } defaults[] = {
        {ROBERTA, ZO_HEAD_WORDS, false}, {ROBERTA, ZO_HEAD_SPAN, true}, {ROBERTA, ZO_HEAD_CLASS, true}, {BERT, ZO_HEAD_WORDS, true},
        {OPT, ZO_HEAD_OPTIONS, true}};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        char text[600];
        snprintf(text, sizeof text, "{%s}", defaults[i].config);
        ck_assert_int_eq(parse(text, &arch, &err), ZO_OK);
        zo_arch_set_decoder(&arch, defaults[i].head, ZO_DECODER_DEFAULT);
        ck_assert_msg(arch.tied == defaults[i].tied && arch.decoder_copy == !defaults[i].tied, "row %zu", i);
        zo_arch_set_decoder(&arch, ZO_HEAD_CLASS, ZO_DECODER_UNTIED);
        ck_assert(arch.tied == defaults[i].tied);
    }
}
END_TEST

/* transformers' masked heads have a bias and a decoder's bias; where both are stored the decoder's is added. */
START_TEST(the_decoder_s_own_bias_is_read)
{
    zo_arch arch = arch_of(BERT);
    made m = made_new();
    bert_tensors(&m, "bert.", "F32", false, NULL, NULL);
    masked_head_tensors(&m);
    made_add(&m, "cls.predictions.decoder.bias", "F32", 50, 0);
    made_put(&m, below("bias/model.safetensors"));
    zo_layout layout;
    zo_store *store;
    zo_err err = {0};
    ck_assert_msg(read_into(below("bias"), &arch, ZO_HEAD_WORDS, 2, &layout, &store, 1, &err) == ZO_OK, "%s", err.text);
    assert_values(store, "lm.decoder.bias", "cls.predictions.decoder.bias", 50);
    drop(&layout, store);
    static const zo_head head = ZO_HEAD_WORDS;
    char note[200] = "";
    ck_assert_int_eq(zo_weights_unread(below("bias"), &arch, &head, 1, 2, note, sizeof note, &err), ZO_OK);
    ck_assert_str_eq(note, "1 tensor of the checkpoint that nothing reads: cls.predictions.bias");
}
END_TEST

START_TEST(reads_conv1d_turned_and_cut)
{
    zo_arch arch = arch_of("\"model_type\":\"gpt2\",\"vocab_size\":9,\"n_embd\":4,\"n_layer\":1,\"n_head\":2,\"n_"
                           "positions\":5,\"n_inner\":6");
    static const struct {
        const char *name;
        int rows, cols;
    } tensors[] = {{"wte.weight", 9, 4},
                   {"wpe.weight", 5, 4},
                   {"h.0.ln_1.weight", 4, 0},
                   {"h.0.ln_1.bias", 4, 0},
                   {"h.0.attn.c_attn.weight", 4, 12},
                   {"h.0.attn.c_attn.bias", 12, 0},
                   {"h.0.attn.c_proj.weight", 4, 4},
                   {"h.0.attn.c_proj.bias", 4, 0},
                   {"h.0.ln_2.weight", 4, 0},
                   {"h.0.ln_2.bias", 4, 0},
                   {"h.0.mlp.c_fc.weight", 4, 6},
                   {"h.0.mlp.c_fc.bias", 6, 0},
                   {"h.0.mlp.c_proj.weight", 6, 4},
                   {"h.0.mlp.c_proj.bias", 4, 0},
                   {"ln_f.weight", 4, 0},
                   {"ln_f.bias", 4, 0}};
    made m = made_new();
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        made_add(&m, tensors[i].name, "BF16", tensors[i].rows, tensors[i].cols);
    }
    made_put(&m, below("gpt2/model.safetensors"));
    zo_layout layout;
    zo_store *store;
    zo_err err = {0};
    ck_assert_msg(read_into(below("gpt2"), &arch, ZO_HEAD_OPTIONS, 0, &layout, &store, 1, &err) == ZO_OK, "%s",
                  err.text);
    float *k = values_of(store, "layer.0.attn.k.weight"), *v = values_of(store, "layer.0.attn.v.bias"),
          *up = values_of(store, "layer.0.mlp.up.weight");
    for (int out = 0; out < 4; out++) {
        ck_assert(v[out] == value_of("h.0.attn.c_attn.bias", 8 + out));
        for (int in = 0; in < 4; in++) {
            ck_assert(k[out * 4 + in] == value_of("h.0.attn.c_attn.weight", in * 12 + 4 + out));
        }
    }
    for (int out = 0; out < 6; out++) {
        for (int in = 0; in < 4; in++) {
            ck_assert(up[out * 4 + in] == value_of("h.0.mlp.c_fc.weight", in * 6 + out));
        }
    }
    free(k);
    free(v);
    free(up);
    drop(&layout, store);
}
END_TEST

START_TEST(missing_and_wrong_tensors)
{
    zo_arch arch = arch_of(BERT);
    static const struct {
        const char *skip, *odd, *dtype, *says;
    } wrong[] = {
        {"bert.encoder.layer.1.output.dense.bias", NULL, "F32", "\"bert.encoder.layer.1.output.dense.bias\""},
        {"bert.embeddings.word_embeddings.weight", NULL, "F32", "word_embeddings.weight"},
        {NULL, "bert.embeddings.word_embeddings.weight", "F32", "shape (51, 12); expected (50, 12)"},
        {NULL, "bert.encoder.layer.0.output.LayerNorm.bias", "F32", "shape (13); expected (12)"},
        {NULL, NULL, "I16", "dtype I16; expected F32, F16 or BF16"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        made m = made_new();
        bert_tensors(&m, "bert.", wrong[i].dtype, false, wrong[i].skip, wrong[i].odd);
        made_put(&m, below("wrong%zu/model.safetensors", i));
        zo_layout layout;
        zo_store *store;
        zo_err err = {0};
        ck_assert(read_into(below("wrong%zu", i), &arch, ZO_HEAD_CLASS, 2, &layout, &store, 1, &err) != ZO_OK);
        assert_sentence(&err, wrong[i].says);
        drop(&layout, store);
    }
    zo_layout layout;
    zo_store *store;
    zo_err err = {0};
    put_text(below("none/config.json"), "{}");
    ck_assert(read_into(below("none"), &arch, ZO_HEAD_CLASS, 2, &layout, &store, 1, &err) == ZO_EIO);
    assert_sentence(&err, "neither model.safetensors");
    drop(&layout, store);
    static const struct { const char *file, *says; } others[] = {
        {"adapter_model.safetensors", "adapter_model.safetensors, a PEFT adapter"}, {"tf_model.h5", "from_tf"},
        {"model-00001-of-00002.safetensors", "but not model.safetensors.index.json"}, {"pytorch_model-00001-of-00002.bin", "but not pytorch_model.bin.index.json"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        put_text(below("none%zu/%s", i, others[i].file), "x");
        ck_assert(read_into(below("none%zu", i), &arch, ZO_HEAD_CLASS, 2, &layout, &store, 1, &err) == ZO_EIO);
        assert_sentence(&err, others[i].says);
        drop(&layout, store);
    }
    made m = made_new();
    bert_tensors(&m, "", "F32", false, NULL, NULL);
    made_put(&m, below("base/model.safetensors"));
    ck_assert(read_into(below("base"), &arch, ZO_HEAD_WORDS, 2, &layout, &store, 1, &err) == ZO_EINPUT);
    assert_sentence(&err, "no language-model head");
    drop(&layout, store);
}
END_TEST

START_TEST(sharded_folders)
{
    zo_arch arch = arch_of(BERT);
    zo_layout layout;
    zo_store *store;
    zo_err err = {0};
    made one = made_new(), two = made_new();
    bert_tensors(&one, "bert.", "F32", false, "bert.pooler.dense.bias", NULL);
    made_add(&two, "bert.pooler.dense.bias", "F16", 12, 0);
    made_put(&one, below("shards/a.safetensors"));
    made_put(&two, below("shards/b.safetensors"));
    char index[200];
    snprintf(index, sizeof index, "%s/shards/model.safetensors.index.json", root);
    put_text(index, "{\"weight_map\":{\"bert.embeddings.word_embeddings.weight\":\"a.safetensors\",\"bert.pooler."
                    "dense.bias\":\"b.safetensors\"}}");
    ck_assert_msg(read_into(below("shards"), &arch, ZO_HEAD_CLASS, 2, &layout, &store, 1, &err) == ZO_OK, "%s",
                  err.text);
    assert_values(store, "class.dense.bias", "bert.pooler.dense.bias", 12);
    drop(&layout, store);
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"{}", "weight_map"},
        {"{\"weight_map\":{}}", "weight_map"},
        {"{\"weight_map\":{\"a\":3}}", "the name of a file"},
        {"{\"weight_map\":{\"a\":\"../a.safetensors\"}}", "the name of a file"},
        {"{\"weight_map\":{\"a\":\"c.safetensors\"}}", "c.safetensors"},
        {"{\"weight_map\":{\"nobody\":\"a.safetensors\"}}", "\"nobody\""},
        {"{\"weight_map\":{\"bert.pooler.dense.bias\":\"a.safetensors\",\"x\":\"b.safetensors\"}}",
         "bert.pooler.dense.bias"},
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\",\"a\":\"b.safetensors\"}}", "\"a\" stands there twice"},
        {"{\"weight_map\":", "model.safetensors.index.json"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put_text(index, wrong[i].text);
        ck_assert(read_into(below("shards"), &arch, ZO_HEAD_CLASS, 2, &layout, &store, 1, &err) != ZO_OK);
        assert_sentence(&err, wrong[i].says);
        drop(&layout, store);
    }
    made twice = made_new();
    made_add(&twice, "bert.pooler.dense.bias", "F32", 12, 0);
    made_put(&twice, below("shards/c.safetensors"));
    put_text(index, "{\"weight_map\":{\"bert.pooler.dense.bias\":\"b.safetensors\",\"x\":\"c.safetensors\"}}");
    ck_assert(read_into(below("shards"), &arch, ZO_HEAD_CLASS, 2, &layout, &store, 1, &err) != ZO_OK);
    assert_sentence(&err, "twice");
    drop(&layout, store);
}
END_TEST

/* ---- hostile safetensors
 * ------------------------------------------------------------------------------------------------ */

/* Nothing of a model folder is waited for. */
START_TEST(pipes_in_a_model_folder)
{
    static const char *const names[] = {"config.json", "model.safetensors", "model.safetensors.index.json"};
    for (int i = 0; i < 3; i++) {
        zo_arch arch = arch_of(BERT), read;
        zo_layout layout;
        zo_store *store;
        zo_err err = {0};
        uint64_t print;
        put_text(below("pipe%d/config.json", i), "{" BERT "}");
        unlink(below("pipe%d/%s", i, names[i]));
        ck_assert_int_eq(mkfifo(below("pipe%d/%s", i, names[i]), 0600), 0);
        const char *folder = below("pipe%d", i);
        if (i == 0) {
            ck_assert_int_eq(zo_arch_read(folder, &read, &err), ZO_EIO);
        } else {
            ck_assert_int_eq(read_into(folder, &arch, ZO_HEAD_CLASS, 2, &layout, &store, 1, &err), ZO_EIO);
            drop(&layout, store);
        }
        assert_sentence(&err, "is a named pipe, not a file");
        ck_assert_int_eq(zo_model_fingerprint(folder, &print, &err), ZO_EIO);
        assert_sentence(&err, names[i]);
    }
    zo_err err = {0};
    char found[4096];
    put_text(below("hub/models--a--b/snapshots/x/config.json"), "{}"); /* refs/main as a pipe: as if it were not there */
    zo_make_dirs(below("hub/models--a--b/refs"), &err);
    ck_assert_int_eq(mkfifo(below("hub/models--a--b/refs/main"), 0600), 0);
    setenv("HF_HUB_CACHE", below("hub"), 1);
    ck_assert_msg(zo_hub_find("a/b", NULL, found, &err) == ZO_OK, "%s", err.text);
    unsetenv("HF_HUB_CACHE");
}
END_TEST

START_TEST(hostile_headers)
{
    static const struct {
        const char *header;
        int data;
        const char *says;
    } wrong[] = {
        {"", 0, "JSON object"},
        {"[]", 0, "JSON object"},
        {"{} x", 0, "JSON object"},
        {"{\"a\":1}", 0, "\"a\""},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "name"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "F33"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "4 bytes by its offsets and 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, "cut off"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "5"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 8, "in order"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[0,8]}}",
         8, "overlap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[4,8]}}",
         8, "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0.5],\"data_offsets\":[0,2]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "multiply"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         "at most 16"},
        {"{\"a\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "JSON object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,1e300]}}", 4, "whole numbers"},
    };
    uint8_t data[16] = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t bytes;
        uint8_t *file = file_of(wrong[i].header, data, (size_t)wrong[i].data, &bytes);
        zo_tensors tensors;
        zo_err err = {0};
        ck_assert_msg(zo_tensors_parse(&tensors, file, bytes, "w.safetensors", &err) != ZO_OK, "taken: %s",
                      wrong[i].header);
        assert_sentence(&err, wrong[i].says);
        free(file);
    }
    zo_tensors tensors;
    zo_err err = {0};
    const char *pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    ck_assert(zo_tensors_parse(&tensors, (const uint8_t *)pointer, strlen(pointer), "w.safetensors", &err) !=
              ZO_OK);
    assert_sentence(&err, "git lfs pull");
    size_t bytes; /* scalars, empty tensors and padding are fine */
    uint8_t *file = file_of(
        "{\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\"e\":{\"dtype\":\"F32\",\"shape\":[0,3],"
        "\"data_offsets\":[4,4]},\"__metadata__\":{\"format\":\"pt\"}}   ",
        data, 4, &bytes);
    ck_assert_msg(zo_tensors_parse(&tensors, file, bytes, "w.safetensors", &err) == ZO_OK, "%s", err.text);
    ck_assert(tensors.n == 2 && zo_tensors_find(&tensors, "s")->count == 1 &&
              zo_tensors_find(&tensors, "e")->count == 0);
    ck_assert_ptr_null(zo_tensors_find(&tensors, "__metadata__"));
    zo_tensors_close(&tensors);
    free(file);
}
END_TEST

/* Every truncation and thousands of mutations of a small file: refused in one sentence, or taken with every
 * element readable. */
/* safetensors' own reader over the same files (tests/golden/make_safetensors.py): as it, but for names that cannot be told apart. */
START_TEST(headers_as_safetensors_reads_them)
{
    static const char *const stricter[] = {"a name twice, one place", "a name without letters", "a name with an escaped zero"};
    cJSON *golden;
    zo_err err = {0};
    ck_assert_msg(zo_json_read("tests/golden/safetensors_cases.json", &golden, &err) == ZO_OK, "%s", err.text);
    const cJSON *row;
    int rows = 0, refused = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(golden, "cases"))
    {
        const char *what = text_of(row, "what"), *header = text_of(row, "header");
        const cJSON *length = cJSON_GetObjectItemCaseSensitive(row, "length"), *reads = cJSON_GetObjectItemCaseSensitive(row, "reads");
        uint8_t data[64] = {0};
        size_t bytes, data_bytes = (size_t)cJSON_GetObjectItemCaseSensitive(row, "data")->valuedouble;
        ck_assert_uint_le(data_bytes, sizeof data + 1);
        uint8_t *file = file_of(header, data, data_bytes <= 64 ? data_bytes : 64, &bytes);
        if (data_bytes > 64) {
            file = realloc(file, ++bytes);
            file[bytes - 1] = 0;
        }
        uint64_t said = length != NULL ? strtoull(length->valuestring, NULL, 10) : strlen(header);
        for (int i = 0; i < 8; i++) {
            file[i] = (uint8_t)(said >> 8 * i);
        }
        bool takes = reads != NULL;
        for (size_t i = 0; i < sizeof stricter / sizeof *stricter; i++) {
            takes = takes && strcmp(what, stricter[i]) != 0;
        }
        zo_tensors tensors;
        zo_status status = zo_tensors_parse(&tensors, file, bytes, "w.safetensors", &err);
        ck_assert_msg((status == ZO_OK) == takes, "%s: %s", what, status == ZO_OK ? "taken" : err.text);
        if (status == ZO_OK) {
            ck_assert_int_eq(tensors.n, cJSON_GetArraySize(reads));
            for (int i = 0; i < tensors.n; i++) {
                ck_assert_str_eq(tensors.tensor[i].name, cJSON_GetArrayItem(reads, i)->valuestring);
            }
            zo_tensors_close(&tensors);
        } else {
            assert_sentence(&err, "w.safetensors");
            refused++;
        }
        free(file);
        rows++;
    }
    ck_assert(rows > 90 && refused > 50);
    cJSON_Delete(golden);
}
END_TEST

START_TEST(mutated_files)
{
    made m = made_new();
    made_add(&m, "embed.weight", "F32", 5, 3);
    made_add(&m, "norm.weight", "BF16", 3, 0);
    made_add(&m, "ids", "I16", 4, 0);
    strcat(m.header, ",\"__metadata__\":{\"format\":\"pt\"}}");
    size_t bytes;
    uint8_t *file = file_of(m.header, m.data, m.bytes, &bytes);
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    int taken = 0;
    for (uint64_t seed = 0; seed < 20000 + bytes; seed++) {
        size_t room = bytes + 256, n = seed < bytes ? seed : bytes;
        uint8_t *mutant = malloc(room);
        memcpy(mutant, file, n);
        if (seed >= bytes) {
            n = fuzz_mutate(seed, (char *)mutant, n, room);
        }
        uint8_t *exact = malloc(n > 0 ? n : 1); /* so that a sanitizer sees one byte too many */
        memcpy(exact, mutant, n);
        zo_tensors tensors;
        zo_err err = {0};
        if (zo_tensors_parse(&tensors, exact, n, "w.safetensors", &err) == ZO_OK) {
            ck_assert_msg(seed >= bytes, "a file cut at byte %llu was taken", (unsigned long long)seed);
            for (int i = 0; i < tensors.n; i++) {
                const zo_tensor *t = &tensors.tensor[i];
                ck_assert(t->count >= 0 && (size_t)t->count <= n);
                if (t->dtype == ZO_DTYPE_F32 || t->dtype == ZO_DTYPE_F16 || t->dtype == ZO_DTYPE_BF16) {
                    float *host = malloc((size_t)t->count * sizeof *host + 1);
                    zo_tensor_floats(t, 0, t->count, host);
                    free(host);
                }
            }
            zo_tensors_close(&tensors);
            taken++;
        } else {
            assert_sentence(&err, "w.safetensors");
        }
        free(exact);
        free(mutant);
    }
    ck_assert_int_gt(taken, 100);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, live);
    free(file);
    free(m.header);
    free(m.data);
}
END_TEST

/* ---- random weights, writing
 * ------------------------------------------------------------------------------------------- */

static void moments(const float *x, int64_t n, double *mean, double *std)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    *mean = sum / (double)n;
    *std = sqrt(squares / (double)n - *mean * *mean);
}

START_TEST(random_weights)
{
    zo_arch arch = arch_of("\"model_type\":\"gpt2\",\"vocab_size\":500,\"n_embd\":64,\"n_layer\":8,\"n_head\":4,"
                           "\"n_positions\":16,\"pad_token_id\":3");
    zo_layout layout = {0};
    zo_arch_layout(&arch, ZO_HEAD_OPTIONS, 0, &layout);
    zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    zo_weights_random(&arch, &layout, be, store, 11);
    static const struct {
        const char *name;
        double std;
        int n;
    } expected[] = {{"embed.token", 0.02, 32000},
                    {"layer.2.mlp.up.weight", 0.02, 16384},
                    {"layer.2.attn.q.weight", 0.02, 4096},
                    {"layer.2.mlp.down.weight", 0.005, 16384},
                    {"layer.7.attn.o.weight", 0.005, 4096}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        double mean, std;
        float *x = values_of(store, expected[i].name);
        moments(x, expected[i].n, &mean, &std);
        ck_assert_msg(fabs(mean) < 5 * expected[i].std / sqrt(expected[i].n) &&
                          fabs(std / expected[i].std - 1) < 0.06,
                      "%s: mean %g, std %g", expected[i].name, mean, std);
        free(x);
    }
    float *norm = values_of(store, "layer.0.attn.norm.weight"), *bias = values_of(store, "layer.0.mlp.up.bias"),
          *row = values_of(store, "embed.token");
    ck_assert(norm[0] == 1 && norm[63] == 1 && bias[0] == 0 && bias[255] == 0 && row[3 * 64] != 0);
    free(norm);
    free(bias);
    free(row);
    drop(&layout, store);
    arch = arch_of(BERT ",\"pad_token_id\":3");
    layout = (zo_layout){0};
    zo_arch_layout(&arch, ZO_HEAD_CLASS, 2, &layout);
    store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    zo_weights_random(&arch, &layout, be, store, 11);
    row = values_of(store, "embed.token");
    ck_assert(row[3 * 12] == 0 && row[3 * 12 + 11] == 0 && row[3 * 12 - 1] != 0 && row[4 * 12] != 0);
    free(row);
    drop(&layout, store);
}
END_TEST

/* Random weights of every family and head, written and read again: the same description, the same bits. */
START_TEST(write_then_read)
{
    static const struct {
        const char *members;
        zo_head head;
    } models[] = {{BERT, ZO_HEAD_CLASS},
                  {BERT, ZO_HEAD_WORDS},
                  {BERT ",\"tie_word_embeddings\":false", ZO_HEAD_WORDS},
                  {ROBERTA, ZO_HEAD_CLASS},
                  {ROBERTA, ZO_HEAD_SPAN},
                  {DISTILBERT, ZO_HEAD_CLASS},
                  {DISTILBERT, ZO_HEAD_WORDS},
                  {GPT2, ZO_HEAD_CLASS},
                  {GPT2, ZO_HEAD_OPTIONS},
                  {OPT, ZO_HEAD_CLASS},
                  {OPT, ZO_HEAD_OPTIONS},
                  {OPT350, ZO_HEAD_OPTIONS},
                  {OPT350, ZO_HEAD_CLASS},
                  {LLAMA, ZO_HEAD_OPTIONS},
                  {OPT ",\"enable_bias\":false,\"tie_word_embeddings\":false,\"_remove_final_layer_norm\":true",
                   ZO_HEAD_SPAN},
                  {LLAMA ",\"tie_word_embeddings\":true,\"attention_bias\":true,\"mlp_bias\":true,\"head_dim\":4",
                   ZO_HEAD_CLASS},
                  {LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,"
                         "\"high_freq_factor\":4.0,"
                         "\"original_max_position_embeddings\":8192}",
                   ZO_HEAD_SPAN}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        zo_arch arch = arch_of(models[i].members), back;
        zo_layout layout = {0};
        zo_err err = {0};
        zo_arch_layout(&arch, models[i].head, 3, &layout);
        zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS),
                 *read = zo_store_new(be, &layout, ZO_TAG_PARAMS);
        for (int p = 0; p < layout.n; p++) { /* biases and norms with numbers that differ, which fresh ones have not */
            int64_t n = layout.param[p].rows * layout.param[p].cols;
            float *value = malloc((size_t)n * sizeof *value);
            for (int64_t k = 0; k < n; k++) {
                value[k] = value_of(layout.param[p].name, k) + (float)(k % 1000) * 8;
            }
            zo_store_write(be, store, layout.param[p].offset, n, value);
            free(value);
        }
        const char *folder = below("written%zu/deep", i);
        ck_assert_msg(zo_weights_write(folder, &arch, &layout, be, store, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_arch_read(folder, &back, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(memcmp(&arch, &back, sizeof arch) == 0, "%s: the description came back changed",
                      models[i].members);
        ck_assert_msg(zo_weights_read(folder, &back, &layout, be, read, 99, &err) == ZO_OK, "%s", err.text);
        for (int p = 0; p < layout.n; p++) {
            float *a = values_of(store, layout.param[p].name), *b = values_of(read, layout.param[p].name);
            ck_assert_msg(memcmp(a, b, (size_t)(layout.param[p].rows * layout.param[p].cols) * sizeof *a) == 0,
                          "%s: %s came back changed", arch.family, layout.param[p].name);
            free(a);
            free(b);
        }
        zo_store_free(be, read);
        drop(&layout, store);
    }
    /* transformers has a masked head's bias twice, and misses either where the decoder is not tied */
    static const struct { const char *folder, *name[2]; } twice[] = {{"written2/deep", {"cls.predictions.decoder.bias", "cls.predictions.bias"}},
                                                                     {"written4/deep", {"lm_head.decoder.bias", "lm_head.bias"}}};
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++) {
        zo_tensors tensors;
        zo_err err = {0};
        ck_assert_msg(zo_tensors_open(&tensors, below("%s", twice[i].folder), &err) == ZO_OK, "%s", err.text);
        const zo_tensor *a = zo_tensors_find(&tensors, twice[i].name[0]), *b = zo_tensors_find(&tensors, twice[i].name[1]);
        ck_assert_msg(a != NULL && b != NULL && a->count == b->count, "%s and %s are not both there", twice[i].name[0], twice[i].name[1]);
        ck_assert_mem_eq(a->data, b->data, (size_t)a->count * sizeof(float));
        zo_tensors_close(&tensors);
    }
    zo_arch arch = arch_of(BERT);
    zo_layout layout = {0};
    zo_err err = {0};
    zo_arch_layout(&arch, ZO_HEAD_CLASS, 2, &layout);
    zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    char *text; /* floats as people write them: as many digits as give them back */
    size_t bytes;
    ck_assert_int_eq(zo_read_file(below("written0/deep/config.json"), 10000, &text, &bytes, &err), ZO_OK);
    ck_assert_msg(strstr(text, "1e-12") != NULL && strstr(text, "0.02,") != NULL, "%s", text);
    zo_free(text);
    put_text(below("file"), "x");
    ck_assert(zo_weights_write(below("file/model"), &arch, &layout, be, store, &err) != ZO_OK);
    assert_sentence(&err, "file");
    drop(&layout, store);
}
END_TEST

/* ---- hub
 * -----------------------------------------------------------------------------------------------------------------
 */

static void found(const char *name, const char *dir, const char *expected)
{
    char folder[4096];
    zo_err err = {0};
    ck_assert_msg(zo_hub_find(name, dir, folder, &err) == ZO_OK, "%s: %s", name, err.text);
    ck_assert_str_eq(folder, expected);
}

static void not_found(const char *name, const char *dir, const char *says)
{
    char folder[4096];
    zo_err err = {0};
    ck_assert_msg(zo_hub_find(name, dir, folder, &err) != ZO_OK, "%s was found in %s", name, folder);
    assert_sentence(&err, says);
}

START_TEST(hub_names)
{
    char own[200], env[200], home[200];
    snprintf(own, sizeof own, "%s/own", root);
    snprintf(env, sizeof env, "%s/env", root);
    snprintf(home, sizeof home, "%s/hf", root);
    put_text(below("own/tiny/config.json"), "{}");
    put_text(below("env/tiny/config.json"), "{}");
    put_text(below("env/opt-1.3b/config.json"), "{}");
    put_text(below("env/facebook/opt-125m/config.json"), "{}");
    put_text(below("hf/hub/models--facebook--opt-350m/refs/main"), "abc123\n");
    put_text(below("hf/hub/models--facebook--opt-350m/snapshots/abc123/config.json"), "{}");
    put_text(below("hf/hub/models--facebook--opt-350m/snapshots/old/config.json"), "{}");
    put_text(below("hf/hub/models--FacebookAI--roberta-large/snapshots/only/config.json"), "{}");
    put_text(below("hf/hub/models--two/snapshots/one/config.json"), "{}");
    put_text(below("hf/hub/models--two/snapshots/other/config.json"), "{}");
    put_text(below("hf/hub/models--gone/refs/main"), "../../../../own/tiny");
    put_text(below("empty/readme"), "x");
    setenv("ZO_MODELS", env, 1);
    setenv("HF_HOME", home, 1);
    unsetenv("HF_HUB_CACHE");
    found(below("own/tiny"), NULL, below("own/tiny"));
    found("tiny", own, below("own/tiny"));
    found("tiny", NULL, below("env/tiny"));
    found("facebook/opt-1.3b", own, below("env/opt-1.3b"));
    found("facebook/opt-125m", own, below("env/facebook/opt-125m"));
    found("facebook/opt-350m", NULL, below("hf/hub/models--facebook--opt-350m/snapshots/abc123"));
    found("roberta-large", NULL, below("hf/hub/models--FacebookAI--roberta-large/snapshots/only"));
    not_found("facebook/opt-66b", own, "`zo get facebook/opt-66b");
    not_found("facebook/opt-66b", own, below("own/facebook/opt-66b"));
    not_found("facebook/opt-66b", NULL, below("hf/hub/models--facebook--opt-66b"));
    not_found("two", NULL, "2 snapshots");
    not_found("gone", NULL, "not on this machine");
    not_found(below("empty"), NULL, "without config.json");
    put_text(below("only/adapter/adapter_config.json"), "{\"peft_type\": \"LORA\"}");
    put_text(below("only/prefix/prefix.safetensors"), "x");
    put_text(below("only/meta/params.json"), "{}");
    put_text(below("only/gguf/model-q4.gguf"), "GGUF");
    put_text(below("only/weights/model.safetensors"), "x");
    put_text(below("only/words/tokenizer.json"), "{}");
    put_text(below("own/org/adapter/adapter_config.json"), "{}");
    put_text(below("hf/hub/models--org--cached/refs/main"), "one");
    put_text(below("hf/hub/models--org--cached/snapshots/one/adapter_config.json"), "{}");
    not_found(below("only/adapter"), NULL, "without config.json: it is a PEFT adapter");
    not_found(below("only/prefix"), NULL, "is a prefix that a run has saved");
    not_found(below("only/meta"), NULL, "params.json");
    not_found(below("only/gguf"), NULL, "holds GGUF weights");
    not_found(below("only/weights"), NULL, "has weights, but no config.json");
    not_found(below("only/words"), NULL, "has a tokenizer alone");
    not_found(below("only/words/tokenizer.json"), NULL, "is a file");
    not_found("org/adapter", own, "own/org/adapter: is a folder without config.json: it is a PEFT adapter");
    not_found("org/cached", NULL, "snapshots/one: is a folder without config.json: it is a PEFT adapter");
    char here[512];
    ck_assert(getcwd(here, sizeof here) != NULL && chdir(below("only")) == 0);
    not_found("adapter", NULL, "adapter: is a folder without config.json: it is a PEFT adapter"); /* also where a hub may have such a name */
    put_text(below("env/adapter/config.json"), "{}");
    found("adapter", NULL, below("env/adapter"));
    ck_assert_int_eq(chdir(here), 0);
    not_found(below("nowhere"), NULL, "no such folder");
    not_found("", NULL, "0 bytes");
    not_found("../tiny", own, "no such folder");
    static const char *const no_names[] = {"a/b/c", "/nowhere", "nowhere/", "a b", "a/b\\c", "caf\xc3\xa9", ".hidden", "a/.hidden", "a..b", "a:b"};
    for (size_t i = 0; i < sizeof no_names / sizeof *no_names; i++) {
        not_found(no_names[i], own, "no such folder");
    }
    static const char *const names[] = {"a", "A-b_c.d9", "org-1/A-b_c.d9", "z/0", "azAZ09"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        not_found(names[i], own, "is not on this machine");
    }
    unsetenv("ZO_MODELS");
    unsetenv("HF_HOME");
    setenv("HF_HUB_CACHE", below("hf/hub"), 1);
    found("facebook/opt-350m", NULL, below("hf/hub/models--facebook--opt-350m/snapshots/abc123"));
    unsetenv("HF_HUB_CACHE");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("load");
    TCase *tests = tcase_create("load");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, config_fields);
    tcase_add_test(tests, configs_as_they_are_written);
    tcase_add_test(tests, config_limits);
    tcase_add_test(tests, config_errors);
    tcase_add_test(tests, config_defaults_are_those_of_transformers);
    tcase_add_test(tests, a_mean_of_all_tokens_is_refused);
    tcase_add_test(tests, special_ids_outside_the_vocabulary_are_absent);
    tcase_add_test(tests, position_rows_skip_pad_tokens);
    tcase_add_test(tests, config_mutations);
    tcase_add_test(tests, layout_parameter_counts);
    tcase_add_test(tests, layout_marks);
    tcase_add_test(tests, reads_each_dtype_and_prefix);
    tcase_add_test(tests, reads_a_classifier_and_a_masked_head);
    tcase_add_test(tests, tensors_that_nothing_reads_are_named);
    tcase_add_test(tests, buffers_of_causal_models_are_silent);
    tcase_add_test(tests, decoders_tied_untied_and_stored);
    tcase_add_test(tests, the_decoder_s_own_bias_is_read);
    tcase_add_test(tests, reads_conv1d_turned_and_cut);
    tcase_add_test(tests, missing_and_wrong_tensors);
    tcase_add_test(tests, sharded_folders);
    tcase_add_test(tests, pipes_in_a_model_folder);
    tcase_add_test(tests, hostile_headers);
    tcase_add_test(tests, headers_as_safetensors_reads_them);
    tcase_add_test(tests, mutated_files);
    tcase_add_test(tests, random_weights);
    tcase_add_test(tests, write_then_read);
    tcase_add_test(tests, hub_names);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
