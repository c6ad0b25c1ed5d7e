/* test_exports.c: what `zo export` writes, as transformers and PEFT load it. For every family, with either head, in full and as LoRA: a run of a few steps
 * is exported, the folder's logits are computed here, and golden/check_exports.py computes them again from the same folder. Skipped where torch,
 * transformers and peft are absent; ZO_PYTHON names a Python that has them. With ZO_TEST_MODELS=FOLDER also smollm2-135m of that folder. */
#include "core/conf.h"
#include "models/model.h"
#include "tests/golden_models.h"
#include "tests/shell.h"
#include "tests/suite.h"

static const char SPECIALS[] = "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<s>\", \"cls_token\": \"<s>\", \"pad_token\": \"<pad>\", "
                               "\"eos_token\": \"</s>\", \"sep_token\": \"</s>\", \"mask_token\": \"<mask>\", \"unk_token\": \"<unk>\"}";

/* Letters, and the words of the task's label: fewer than the 96 tokens of the small models. */
static void put_tokenizer(const char *model)
{
    static const char *const word[] = {"<s>", "<pad>", "</s>", "<mask>", "<unk>", "bad", "fair", "good"};
    enum { WORDS = sizeof word / sizeof *word };
    char text[8192], name[100];
    int at = sprintf(text, "{\"version\": \"1.0\", \"added_tokens\": [");
    for (int i = 0; i < 5; i++) {
        at += sprintf(text + at, "%s{\"id\": %d, \"content\": \"%s\", \"special\": true, \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false}",
                      i > 0 ? ", " : "", i, word[i]);
    }
    at += sprintf(text + at, "], \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
                             "{\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, "
                             "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", "
                             "\"ids\": [0], \"tokens\": [\"<s>\"]}}}, \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"<unk>\", \"continuing_subword_prefix\": \"##\", "
                             "\"max_input_chars_per_word\": 100, \"vocab\": {");
    for (int i = 0; i < WORDS; i++) {
        at += sprintf(text + at, "\"%s\": %d, ", word[i], i);
    }
    for (int i = 0; i < 26; i++) {
        at += sprintf(text + at, "\"%c\": %d, \"##%c\": %d%s", 'a' + i, WORDS + 2 * i, 'a' + i, WORDS + 2 * i + 1, i < 25 ? ", " : "}}}");
    }
    snprintf(name, sizeof name, "%s/tokenizer.json", model);
    put(name, text);
    snprintf(name, sizeof name, "%s/tokenizer_config.json", model);
    put(name, SPECIALS);
}

/* Three classes, as the small models have. */
static void put_task(void)
{
    static const char *const word[] = {"bad", "fair", "good"};
    char rows[2000] = "text\tlabel\n";
    for (int i = 0; i < 24; i++) {
        snprintf(rows + strlen(rows), sizeof rows - strlen(rows), "%c was %s\t%s\n", 'a' + i, word[i % 3], word[i % 3]);
    }
    put("rows.tsv", rows);
    put("task.json", "{\"name\": \"three\", \"texts\": [\"text\"], \"label\": \"label\", \"classes\": [\"bad\", \"fair\", \"good\"], \"train_from_validation\": true, \"files\": [{"
                     "\"validation\": \"rows.tsv\"}], \"mask_prompt\": {\"template\": \"*cls**sent_0*_It_was*mask*.*sep+*\", \"words\": [\"bad\", \"fair\", \"good\"]}, "
                     "\"causal_prompt\": {\"template\": \"{0} It was\", \"options\": [\" bad\", \" fair\", \" good\"]}}");
}

static void put_numbers(const char *made, const char *name, const void *data, size_t bytes)
{
    char path[400];
    zo_err e = {0};
    snprintf(path, sizeof path, "%s/%s.%s", folder, made, name);
    ck_assert_msg(zo_write_file(path, data, bytes, &e) == ZO_OK, "%s", e.text);
}

/* Beside MADE: the tokens (MADE.ids, MADE.types: all sequences; MADE.lengths) and the logits at the row of each (MADE.logits). base: of an adapter. */
static void put_logits(const char *made, const char *base, const char *on, bool lm)
{
    enum { SEQS = 5 };
    static const int32_t length[SEQS] = {7, 1, 19, 4, 12};
    char at[400], from[400], view[600];
    zo_err e = {0};
    zo_backend *be;
    zo_model *model;
    zo_tune tune;
    snprintf(at, sizeof at, "%s/%s", folder, made);
    snprintf(from, sizeof from, "%s/%s", folder, base != NULL ? base : made);
    snprintf(view, sizeof view, "lora rank 2 alpha 6 on %s from %s", on, at);
    ck_assert_msg(zo_backend_open("cpu", 1, &be, &e) == ZO_OK && zo_tune_parse(base != NULL ? view : "full", "test", &tune, &e) == ZO_OK, "%s", e.text);
    zo_model_spec spec = {.folder = from, .head = lm ? ZO_HEAD_SPAN : ZO_HEAD_CLASS, .classes = lm ? 0 : CLASSES, .tune = &tune};
    ck_assert_msg(zo_model_open(&model, &spec, be, &e) == ZO_OK, "%s", e.text);
    const zo_arch *arch = zo_model_arch(model);
    zo_batch *b = golden_batch(arch, false, SEQS, length, 3);
    if (lm) { /* a score at each row: logits are asked for with scores alone */
        zo_free(b->at);
        zo_free(b->target);
        b->at = golden_ints(SEQS);
        b->target = golden_ints(SEQS);
        for (b->scores = 0; b->scores < SEQS; b->scores++) {
            b->at[b->scores] = b->scores;
        }
    }
    size_t n = (size_t)SEQS * (size_t)(lm ? arch->vocab : CLASSES);
    float *logits = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n * sizeof *logits);
    const zo_store *slot = zo_model_store(model);
    zo_view stored = zo_view_stored(&slot);
    zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, ZO_FORWARD_ONLY, NULL);
    zo_model_logits(model, &stored, b, logits);
    put_numbers(made, "ids", b->id, (size_t)b->tokens * sizeof *b->id);
    put_numbers(made, "types", b->type, (size_t)b->tokens * sizeof *b->type);
    put_numbers(made, "lengths", length, sizeof length);
    put_numbers(made, "logits", logits, n * sizeof *logits);
    zo_free(logits);
    zo_batch_free(b);
    zo_model_close(model);
    be->close(be);
}

/* A line of the list that check_exports.py reads: folder, head, base model or "-". */
static void add(const char *model, const char *made, bool lm, bool lora)
{
    bool one_module = strcmp(model, "gpt2") == 0 || strcmp(model, "gpt-neox") == 0, two = strcmp(model, "phi3") == 0; /* of q, k and v, and of gate and up */
    const char *on = two ? "o,down" : one_module ? "o,up,down" : "all"; /* PEFT has no adapter of q alone */
    char text[1000], view[100];
    snprintf(view, sizeof view, "{\"name\": \"lora\", \"rank\": 2, \"alpha\": 6, \"on\": \"%s\"}", on);
    put_task();
    snprintf(text, sizeof text, "{\"model\": \"./%s\", \"task\": \"./task.json\", \"form\": \"%s\", \"train\": 12, \"dev\": 4, \"test\": 0, \"context\": 32, \"batch\": 4, "
             "\"steps\": 3, \"lr\": 0.02, \"optimizer\": \"mezo\", \"tune\": %s}", model, lm ? "prompt" : "head",
             lora ? view : "\"full\"");
    put("c.json", text);
    MUST("rm -f c.db; $ZO run c.json --data . --db c.db && $ZO export 1 %s --data . --db c.db && echo '%s %s %s' >>list", made, made, lm ? "lm" : "class", lora ? model : "-");
    put_logits(made, lora ? model : NULL, on, lm);
}

static void check(void)
{
    MUST("$ZO_PYTHON $ROOT/tests/golden/check_exports.py list $ZO");
    for (char *line = strtok(said, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "measured:", 9) == 0) {
            puts(line);
        }
    }
    ck_assert_int_eq(shell("rm list"), 0);
}

START_TEST(each_family_is_loaded)
{
    for (int family = 0; family < FAMILIES; family++) {
        MUST("mkdir -p %s && cp $ROOT/tests/golden/models/%s/config.json $ROOT/tests/golden/models/%s/model.safetensors %s", families[family], families[family],
             families[family], families[family]);
        put_tokenizer(families[family]);
        for (int way = 0; way < 4; way++) {
            char made[80];
            snprintf(made, sizeof made, "%s-%s-%s", families[family], way & 1 ? "lm" : "class", way & 2 ? "lora" : "full");
            add(families[family], made, way & 1, way & 2);
        }
    }
    check();
}
END_TEST

START_TEST(a_real_model_is_loaded)
{
    if (getenv("ZO_TEST_MODELS") == NULL || shell("ln -s $ZO_TEST_MODELS/smollm2-135m smol && test -e smol/model.safetensors") != 0) {
        printf("skipped: smollm2-135m is exported and loaded; wants ZO_TEST_MODELS\n");
        return;
    }
    add("smol", "smol-full", true, false);
    add("smol", "smol-lora", true, true);
    check();
}
END_TEST

int main(void)
{
    if (!shell_open("test_exports")) {
        return 1;
    }
    int failed = 0;
    setenv("ZO_PYTHON", "python3", 0);
    if (shell("$ZO_PYTHON -c 'import torch, transformers, peft, safetensors'") != 0) {
        printf("skipped: exported folders, as transformers and PEFT load them; wants torch, transformers and peft ($ZO_PYTHON)\n");
    } else {
        TCase *t = tcase_create("exports");
        tcase_set_timeout(t, 300);
        tcase_add_test(t, each_family_is_loaded);
        tcase_add_test(t, a_real_model_is_loaded);
        Suite *s = suite_create("exports");
        suite_add_tcase(s, t);
        failed = suite_run(s);
    }
    folder_remove(folder);
    return failed != 0;
}
