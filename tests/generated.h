/* generated.h: the prompts of golden/generated.json and what transformers writes behind them, and the same from a model of ours on any backend. Test code
 * only. */
#ifndef ZO_TESTS_GENERATED_H
#define ZO_TESTS_GENERATED_H

#include <check.h>
#include <cjson/cJSON.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "models/files/hub.h"
#include "models/model.h"

#define GENERATED "tests/golden/generated.json"
enum { MODELS = 6, PROMPTS = 6, MOST = 20, TOKENS = 44, ROOM = TOKENS + PROMPTS * MOST };

/* Prompts, and what is written behind them. */
typedef struct texts { int32_t n, length[PROMPTS], id[PROMPTS][ROOM]; } texts;

/* An entry a model; cJSON_Delete gives it back. */
static inline cJSON *read_generated(void)
{
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(zo_read_file(GENERATED, 1 << 20, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    cJSON *golden = cJSON_Parse(text);
    zo_free(text);
    ck_assert_int_eq(cJSON_GetArraySize(golden), MODELS);
    return golden;
}

/* Of an entry's model, as the entry changes it; folder: where it is. */
static inline zo_arch generated_arch(const cJSON *entry, char folder[128])
{
    zo_arch arch;
    zo_err err = {0};
    snprintf(folder, 128, "tests/golden/models/%s", cJSON_GetObjectItem(entry, "model")->valuestring);
    ck_assert_msg(zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
    const cJSON *original = cJSON_GetObjectItem(entry, "original_max_position_embeddings");
    arch.rope_original_positions = original != NULL ? original->valueint : arch.rope_original_positions;
    return arch;
}

static inline texts texts_of(const cJSON *list)
{
    texts t = {.n = 0};
    for (const cJSON *item = list->child; item != NULL; item = item->next, t.n++) {
        for (const cJSON *id = item->child; id != NULL; id = id->next) {
            t.id[t.n][t.length[t.n]++] = id->valueint;
        }
    }
    return t;
}

/* Prompts [first, first + n) at once. */
static inline texts write_on(zo_model *model, const texts *prompts, int first, int n, const texts *ends, bool without_cache)
{
    int32_t id[ROOM], start[PROMPTS + 1] = {0}, made[PROMPTS * MOST], many[PROMPTS];
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    zo_batch batch = {.seqs = n, .id = id, .start = start};
    for (int s = 0; s < n; s++) {
        memcpy(id + start[s], prompts->id[first + s], (size_t)prompts->length[first + s] * sizeof *id);
        start[s + 1] = start[s] + prompts->length[first + s];
    }
    batch.tokens = start[n];
    zo_generation g = {.most = MOST, .end = ends->id[0], .ends = ends->length[0], .without_cache = without_cache};
    zo_model_generate(model, &view, &batch, &g, made, many);
    texts t = {.n = n};
    for (int s = 0; s < n; s++) {
        t.length[s] = many[s];
        memcpy(t.id[s], made + s * MOST, (size_t)many[s] * sizeof *made);
    }
    return t;
}

static inline void check_same(const char *what, const texts *got, const texts *wanted, int first)
{
    for (int s = 0; s < got->n; s++) {
        ck_assert_msg(got->length[s] == wanted->length[first + s], "%s, prompt %d: %d tokens, not %d", what, first + s, got->length[s],
                      wanted->length[first + s]);
        for (int t = 0; t < got->length[s]; t++) {
            ck_assert_msg(got->id[s][t] == wanted->id[first + s][t], "%s, prompt %d: token %d is %d, not %d", what, first + s, t, got->id[s][t],
                          wanted->id[first + s][t]);
        }
    }
}

static inline texts ends_of(const cJSON *entry)
{
    texts t = {.n = 1};
    for (const cJSON *id = cJSON_GetObjectItem(entry, "ends")->child; id != NULL; id = id->next) {
        t.id[0][t.length[0]++] = id->valueint;
    }
    return t;
}

#endif
