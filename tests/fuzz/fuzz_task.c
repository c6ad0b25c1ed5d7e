/* fuzz_task.c: libFuzzer over descriptions of tasks (tasks/task_file.c). A refusal is one sentence; what is accepted can be used by the readers
 * and by the encoder in every form that it says it has, without another look at it. */
#include <string.h>
#include <sys/stat.h>

#include "core/mem.h"
#include "tasks/task_impl.h"
#include "tests/folder.h"

/* A byte a token, with the special tokens that a mask template asks for. */
static zo_tokenizer *make_tokenizer(void)
{
    static const char *const special[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
    static const char none[] = "\"post_processor\": null";
    static char plain[8192], text[8192 + 256];
    size_t n = folder_byte_tokenizer(plain, special, 5, -1);
    plain[n] = '\0';
    char *rest = strstr(plain, none);
    *rest = '\0';
    n = (size_t)snprintf(text, sizeof text, "%s\"post_processor\": {\"type\": \"RobertaProcessing\", \"sep\": [\"</s>\", 2], \"cls\": [\"<s>\", 0], "
                         "\"trim_offsets\": true, \"add_prefix_space\": false}%s", plain, rest + sizeof none - 1);
    zo_tokenizer *tokenizer;
    zo_err err = {0};
    ZO_CHECK(zo_tokenizer_parse(&tokenizer, text, n, "bytes", &err) == ZO_OK, "%s", err.text);
    return tokenizer;
}

static void check_sentence(const zo_err *err)
{
    ZO_CHECK(err->status != ZO_OK && err->text[0] != '\0' && strpbrk(err->text, "\n\r\033") == NULL, "a refusal says \"%s\"", err->text);
}

static void read_rows(const zo_task *task)
{
    static const char rows[] = "a\tb\tc\td\te\n0 a b\n{\"a\": \"b\", \"label\": 0, \"text\": \"c\", \"sentence\": \"d\"}\n0,1,2,3,4\n";
    for (const zo_source *s = task->source; s->format != ZO_FORMAT_END; s++) {
        char text[sizeof rows];
        zo_table table = {0};
        zo_err err = {0};
        ZO_CHECK(s->choice >= 0 && s->choice < ZO_TASK_CHOICES && s->path[0] != '\0' && s->path[0] != '/', "the path \"%s\"", s->path);
        memcpy(text, rows, sizeof rows);
        if (zo_source_parse(task, s, "file", text, sizeof rows - 1, &table, &err) != ZO_OK) {
            check_sentence(&err);
        }
        for (int64_t k = 0; k < table.n && err.status == ZO_OK; k++) {
            ZO_CHECK(table.record[k].label >= 0 && table.record[k].label < task->info.classes, "label %d", table.record[k].label);
        }
        zo_table_free(&table);
    }
}

static void encode(const zo_task *task, zo_tokenizer *tokenizer, zo_form form, bool causal)
{
    zo_dataset_spec spec = {.tokenizer = tokenizer, .form = form, .causal = causal, .context = 64};
    zo_encoder *encoder;
    zo_err err = {0};
    if (zo_encoder_open(&encoder, task, &spec, &err) != ZO_OK) { /* a label word of several tokens */
        check_sentence(&err);
        return;
    }
    zo_record record = {.label = task->info.classes - 1};
    static char text[] = " Some text. ";
    for (int f = 0; f < ZO_TASK_FIELDS && task->source->field[f] != NULL; f++) {
        record.field[f] = text;
    }
    zo_pack pack = {0};
    int64_t truncated = 0;
    if (zo_encode(encoder, &record, false, NULL, 0, &pack, &truncated, &err) != ZO_OK) {
        check_sentence(&err);
    }
    zo_pack_free(&pack);
    zo_encoder_close(encoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static zo_tokenizer *tokenizer;
    static zo_task_file file;
    if (tokenizer == NULL) {
        tokenizer = make_tokenizer();
    }
    char *text = zo_alloc(ZO_HOST, ZO_TAG_DATA, size + 1); /* of its very length, so that a reader beyond it is seen */
    memcpy(text, data, size);
    text[size] = '\0';
    zo_err err = {0};
    if (zo_task_file_parse(&file, text, size, "mine.json", &err) != ZO_OK) {
        check_sentence(&err);
    } else {
        const zo_task *task = &file.task;
        ZO_CHECK(task->info.classes >= 2 && task->info.classes <= ZO_TASK_CLASSES && (task->texts > 0 || task->mask_template || task->prompt), "no form");
        read_rows(task);
        if (task->texts > 0) {
            encode(task, tokenizer, ZO_FORM_HEAD, false);
        }
        if (task->mask_template != NULL) {
            encode(task, tokenizer, ZO_FORM_PROMPT, false);
        }
        if (task->prompt != NULL) {
            encode(task, tokenizer, ZO_FORM_PROMPT, true);
        }
    }
    zo_free(text);
    return 0;
}
