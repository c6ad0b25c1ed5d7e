/* fuzz_config.c: libFuzzer over the two configs: with an even first byte a model's config.json, with an odd one a config of `zo run`. A refusal
 * is one sentence; what is accepted survives a round trip. */
#include <cjson/cJSON.h>
#include <string.h>

#include "bench/matrix/grid.h"
#include "core/conf.h"
#include "core/mem.h"
#include "models/files/hub.h"

static void check_sentence(const zo_err *err)
{
    ZO_CHECK(err->status != ZO_OK && err->text[0] != '\0' && strpbrk(err->text, "\n\r\033") == NULL, "a refusal says \"%s\"", err->text);
}

/* Layouts of every objective, and the config that is written of it: the same arch again. */
static void check_arch(const zo_arch *arch)
{
    enum { LAYERS = 64 };
    if (arch->layers > LAYERS) {
        return; /* nothing more to see, but slower */
    }
    for (int head = ZO_HEAD_CLASS; head <= ZO_HEAD_SPAN; head++) {
        zo_arch made = *arch, back;
        zo_layout layout = {0};
        zo_err err = {0};
        zo_arch_set_decoder(&made, (zo_head)head, (zo_decoder)(arch->hidden % 3));
        zo_arch_layout(&made, (zo_head)head, 3, &layout);
        ZO_CHECK(layout.n > 0 && layout.size > 0, "a layout of %d parameters and %lld numbers", layout.n, (long long)layout.size);
        cJSON *written = zo_arch_write(&made, &layout);
        char *text = cJSON_PrintUnformatted(written); /* what a reader has */
        cJSON *json = cJSON_Parse(text);
        cJSON_free(text);
        cJSON_Delete(written);
        ZO_CHECK(zo_arch_parse(json, "written", &back, &err) == ZO_OK, "%s", err.text);
        made.decoder_copy = false; /* of an objective, not of a folder */
        memset(made.note, 0, sizeof made.note);
        memset(back.note, 0, sizeof back.note);
        ZO_CHECK(memcmp(&made, &back, sizeof back) == 0, "a round trip changes the arch of family %s", arch->family);
        cJSON_Delete(json);
        zo_layout_free(&layout);
    }
}

static void read_model(const char *text, size_t size)
{
    cJSON *json;
    zo_arch arch;
    zo_err err = {0};
    if (zo_json_parse(text, size, "config.json", &json, &err) != ZO_OK) {
        check_sentence(&err);
        return;
    }
    if (zo_arch_parse(json, "config.json", &arch, &err) == ZO_OK) {
        check_arch(&arch);
    } else {
        check_sentence(&err);
    }
    cJSON_Delete(json);
}

static void read_run(const char *text)
{
    enum { LOOKED_AT = 4 };
    zo_grid grid;
    zo_err err = {0};
    if (zo_grid_parse(&grid, text, "run.json", &err) != ZO_OK) {
        check_sentence(&err);
        return;
    }
    for (int64_t i = 0; i < grid.n && i < LOOKED_AT; i++) {
        zo_cell back;
        char label[512];
        ZO_CHECK(zo_cell_parse(&back, grid.cell[i].config, &err) == ZO_OK, "%s", err.text);
        ZO_CHECK(strcmp(back.hash, grid.cell[i].hash) == 0, "a round trip changes the cell %s", zo_cell_label(&back, label, sizeof label));
        zo_cell_free(&back);
    }
    zo_grid_free(&grid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    char *text = zo_alloc(ZO_HOST, ZO_TAG_DATA, size); /* of its very length, so that a reader beyond it is seen */
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 2 == 0) {
        read_model(text, size - 1);
    } else {
        read_run(text);
    }
    zo_free(text);
    ZO_CHECK(zo_mem_live(ZO_HOST).total_bytes == live, "bytes of the ledger are lost");
    return 0;
}
