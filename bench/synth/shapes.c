/* shapes.c: see shapes.h. The numbers are those of the models' published config.json files; the tiny ones are ours, for tests. A causal
 * model's tokenizer is the synthetic language's words without [SEP], behind one leading [CLS] as OPT's </s> and LLaMA's <s>, so that an
 * option's last token is its own. The vocabulary's other rows are there and never looked up. */
#include "bench/synth/shapes.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/synth/cache.h"
#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "tasks/task.h"

typedef struct shape {
    const char *name, *family;
    int layers, hidden, heads, ffn, vocab, positions;
} shape;

static const shape shapes[] = {
    {"shape:opt-125m", "opt", 12, 768, 12, 3072, 50272, 2048},
    {"shape:opt-1.3b", "opt", 24, 2048, 32, 8192, 50272, 2048},
    {"shape:opt-2.7b", "opt", 32, 2560, 32, 10240, 50272, 2048},
    {"shape:opt-6.7b", "opt", 32, 4096, 32, 16384, 50272, 2048},
    {"shape:opt-13b", "opt", 40, 5120, 40, 20480, 50272, 2048},
    {"shape:opt-30b", "opt", 48, 7168, 56, 28672, 50272, 2048},
    {"shape:opt-66b", "opt", 64, 9216, 72, 36864, 50272, 2048},
    {"shape:gpt2", "gpt2", 12, 768, 12, 3072, 50257, 1024},
    {"shape:gpt2-medium", "gpt2", 24, 1024, 16, 4096, 50257, 1024},
    {"shape:gpt2-large", "gpt2", 36, 1280, 20, 5120, 50257, 1024},
    {"shape:gpt2-xl", "gpt2", 48, 1600, 25, 6400, 50257, 1024},
    {"shape:distilbert", "distilbert", 6, 768, 12, 3072, 30522, 512},
    {"shape:roberta-base", "roberta", 12, 768, 12, 3072, 50265, 514},
    {"shape:roberta-large", "roberta", 24, 1024, 16, 4096, 50265, 514},
    {"shape:llama-7b", "llama", 32, 4096, 32, 11008, 32000, 2048},
    {"shape:llama-13b", "llama", 40, 5120, 40, 13824, 32000, 2048},
    {"shape:opt-tiny", "opt", 2, 64, 2, 256, 512, 2048},
    {"shape:roberta-tiny", "roberta", 2, 64, 2, 256, 512, 514},
    {"shape:llama-tiny", "llama", 2, 64, 2, 176, 512, 2048},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, SHAPE_VERSION = 2 };

int zo_shape_count(void)
{
    return SHAPES;
}

const char *zo_shape_name(int i)
{
    return shapes[i].name;
}

const char *zo_shape_family(int i)
{
    return shapes[i].family;
}

bool zo_shape_is(const char *model)
{
    return strncmp(model, "shape:", 6) == 0;
}

static bool is_family(const shape *s, const char *family)
{
    return strcmp(s->family, family) == 0;
}

/* config.json as transformers has it. */
static void describe(const shape *s, char *text, size_t size)
{
    if (is_family(s, "gpt2")) {
        snprintf(text, size,
                 "{\"model_type\": \"gpt2\", \"vocab_size\": %d, \"n_embd\": %d, \"n_layer\": %d, \"n_head\": %d, \"n_positions\": %d, "
                 "\"n_inner\": null, \"activation_function\": \"gelu_new\", \"layer_norm_epsilon\": 1e-05, \"initializer_range\": 0.02, "
                 "\"bos_token_id\": 50256, \"eos_token_id\": 50256}\n",
                 s->vocab, s->hidden, s->layers, s->heads, s->positions);
        return;
    }
    if (is_family(s, "distilbert")) {
        snprintf(text, size,
                 "{\"model_type\": \"distilbert\", \"vocab_size\": %d, \"dim\": %d, \"n_layers\": %d, \"n_heads\": %d, \"hidden_dim\": %d, "
                 "\"max_position_embeddings\": %d, \"activation\": \"gelu\", \"sinusoidal_pos_embds\": false, \"initializer_range\": 0.02, "
                 "\"pad_token_id\": 0, \"tie_weights_\": true}\n",
                 s->vocab, s->hidden, s->layers, s->heads, s->ffn, s->positions);
        return;
    }
    int n = snprintf(text, size,
                     "{\"model_type\": \"%s\", \"vocab_size\": %d, \"hidden_size\": %d, \"num_hidden_layers\": %d, \"num_attention_heads\": %d, "
                     "\"max_position_embeddings\": %d, ",
                     s->family, s->vocab, s->hidden, s->layers, s->heads, s->positions);
    if (is_family(s, "opt")) {
        snprintf(text + n, size - (size_t)n,
                 "\"ffn_dim\": %d, \"word_embed_proj_dim\": %d, \"activation_function\": \"relu\", \"do_layer_norm_before\": true, "
                 "\"pad_token_id\": 1, \"bos_token_id\": 2, \"eos_token_id\": 2}\n",
                 s->ffn, s->hidden);
    } else if (is_family(s, "llama")) {
        snprintf(text + n, size - (size_t)n,
                 "\"intermediate_size\": %d, \"num_key_value_heads\": %d, \"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-06, "
                 "\"initializer_range\": 0.02, \"tie_word_embeddings\": false, \"bos_token_id\": 1, \"eos_token_id\": 2}\n",
                 s->ffn, s->heads);
    } else {
        snprintf(text + n, size - (size_t)n,
                 "\"intermediate_size\": %d, \"hidden_act\": \"gelu\", \"type_vocab_size\": 1, \"layer_norm_eps\": 1e-05, "
                 "\"initializer_range\": 0.02, \"pad_token_id\": 1, \"bos_token_id\": 0, \"eos_token_id\": 2}\n",
                 s->ffn);
    }
}

static zo_status write_text(const char *folder, const char *name, const char *text, zo_err *err)
{
    char path[4096];
    return zo_write_file(zo_path_join(path, sizeof path, folder, name), text, strlen(text), err);
}

/* The words of vocab.txt as a tokenizer.json, which is read instead of it. */
static zo_status write_causal_tokenizer(const char *folder, zo_err *err)
{
    char path[4096], *text;
    size_t bytes, length;
    zo_status status = zo_read_file(zo_path_join(path, sizeof path, folder, "vocab.txt"), 1 << 20, &text, &bytes, err);
    if (status != ZO_OK) {
        return status;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON *model = cJSON_AddObjectToObject(root, "model");
    cJSON_AddStringToObject(model, "type", "WordPiece");
    cJSON_AddStringToObject(model, "unk_token", "[UNK]");
    cJSON_AddStringToObject(model, "continuing_subword_prefix", "##");
    cJSON_AddNumberToObject(model, "max_input_chars_per_word", 100);
    cJSON *vocab = cJSON_AddObjectToObject(model, "vocab");
    zo_lines lines = zo_lines_of(text, bytes);
    int id = 0, cls = 0;
    for (char *line; (line = zo_lines_next(&lines, &length)) != NULL; id++) {
        cJSON_AddNumberToObject(vocab, line, id);
        cls = strcmp(line, "[CLS]") == 0 ? id : cls;
    }
    zo_free(text);
    cJSON *cut = cJSON_AddObjectToObject(root, "pre_tokenizer");
    cJSON_AddStringToObject(cut, "type", "BertPreTokenizer");
    char post[1000];
    snprintf(post, sizeof post,
             "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", "
             "\"type_id\": 0}}], \"pair\": [{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
             "{\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {\"[CLS]\": {\"id\": \"[CLS]\", \"ids\": [%d], \"tokens\": [\"[CLS]\"]}}}",
             cls);
    cJSON_AddItemToObject(root, "post_processor", cJSON_Parse(post));
    char *json = cJSON_PrintUnformatted(root);
    status = write_text(folder, "tokenizer.json", json, err);
    cJSON_free(json);
    cJSON_Delete(root);
    return status != ZO_OK ? status
                           : write_text(folder, "tokenizer_config.json",
                                        "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"[CLS]\", \"unk_token\": \"[UNK]\", "
                                        "\"pad_token\": \"[PAD]\"}\n", err);
}

static zo_status write_folder(const char *folder, void *context, zo_err *err)
{
    const shape *s = context;
    char config[1000];
    describe(s, config, sizeof config);
    zo_status status = zo_synth_write_tokenizer(folder, err);
    status = status == ZO_OK && !is_family(s, "roberta") && !is_family(s, "distilbert") ? write_causal_tokenizer(folder, err) : status;
    return status == ZO_OK ? write_text(folder, "config.json", config, err) : status;
}

zo_status zo_shape_folder(const char *model, char folder[4096], zo_err *err)
{
    const char *names[SHAPES];
    for (int i = 0; i < SHAPES; i++) {
        names[i] = shapes[i].name;
        if (strcmp(model, shapes[i].name) == 0) {
            shape s = shapes[i];
            char config[1000], recipe[1100], name[64];
            describe(&s, config, sizeof config);
            snprintf(recipe, sizeof recipe, "%d %s", SHAPE_VERSION, config);
            snprintf(name, sizeof name, "shape-%s", strchr(s.name, ':') + 1);
            zo_status status = zo_cache_place(name, recipe, folder, err);
            return status == ZO_OK ? zo_cache_make(folder, write_folder, &s, err) : status;
        }
    }
    const char *near = zo_nearest(model, names, SHAPES);
    return zo_fail(err, ZO_EINPUT, "there is no \"%.100s\"%s%s%s; `zo list models` shows the shapes that there are", model,
                   near != NULL ? "; did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
}
