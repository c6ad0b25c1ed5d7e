/* fuzz_json.c: libFuzzer over JSON texts and option tables (core/conf.c). A refusal is one sentence; what is accepted survives a round trip. */
#include <cjson/cJSON.h>
#include <stddef.h>
#include <string.h>

#include "core/conf.h"
#include "core/mem.h"

typedef struct options {
    int64_t rank;
    double lr;
    bool shared;
    char model[ZO_OPT_STRING_BYTES];
    int mode;
} options;

static const zo_opt table[] = {
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(options, rank), .initial = 4, .least = 1, .most = 9007199254740991.0, .help = "of a factor"},
    {.key = "lr", .type = ZO_OPT_REAL, .offset = offsetof(options, lr), .initial = 1e-3, .least = 1e-300, .most = 1e300, .help = "a rate"},
    {.key = "shared", .type = ZO_OPT_BOOL, .offset = offsetof(options, shared), .help = "or not"},
    {.key = "model", .type = ZO_OPT_STRING, .offset = offsetof(options, model), .text = "tiny", .help = "a name"},
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(options, mode), .initial = 1, .choices = "paper|released|replay", .help = "a choice"},
    {.key = NULL}};

static void check_sentence(const zo_err *err)
{
    ZO_CHECK(err->status == ZO_EINPUT && err->text[0] != '\0' && strpbrk(err->text, "\n\r\033") == NULL, "a refusal says \"%s\"", err->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = zo_alloc(ZO_HOST, ZO_TAG_DATA, size + 1); /* of its very length, so that a reader beyond it is seen */
    memcpy(text, data, size);
    text[size] = '\0';
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    cJSON *json;
    zo_err err = {0};
    if (zo_json_parse(text, size, "x.json", &json, &err) != ZO_OK) {
        check_sentence(&err);
        ZO_CHECK(json == NULL, "a refusal leaves something");
    } else {
        options read, again;
        const char *twice = zo_json_double_key(json);
        zo_status status = zo_opt_read(table, json, "also these", "x.json", &read, &err);
        if (status == ZO_OK) {
            ZO_CHECK(twice == NULL, "\"%s\" stands there twice", twice);
            cJSON *written = zo_opt_write(table, &read);
            ZO_CHECK(zo_opt_read(table, written, NULL, "written", &again, &err) == ZO_OK, "%s", err.text);
            ZO_CHECK(read.rank == again.rank && read.lr == again.lr && read.shared == again.shared && read.mode == again.mode &&
                         strcmp(read.model, again.model) == 0,
                     "a round trip changes the options");
            cJSON_Delete(written);
        } else {
            check_sentence(&err);
        }
        cJSON_Delete(json);
    }
    ZO_CHECK(zo_mem_live(ZO_HOST).total_bytes == live, "bytes of the ledger are lost");
    zo_free(text);
    return 0;
}
