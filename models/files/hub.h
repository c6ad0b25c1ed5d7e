/* hub.h: where models are on disk, and reading them. A model name is a folder, or a name such as `roberta-large`
 * or `facebook/opt-1.3b` looked up in --models DIR, then $ZO_MODELS, then in the Hugging Face cache
 * ($HF_HOME/hub/models--org--name/snapshots/<rev>/; default ~/.cache/huggingface). When absent the error says
 * where it looked and which command would fetch it. */
#ifndef ZO_MODELS_FILES_HUB_H
#define ZO_MODELS_FILES_HUB_H

#include "models/arch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the hub permits as a name, and nothing that climbs out of a folder: org/name or name, of letters, digits and -_. */
bool zo_hub_is_name(const char *name);
/* The cache as huggingface_hub finds it: HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub. false: none. */
bool zo_hub_cache(char *out, size_t size);
/* The folder of a repository there, whether or not it exists: kind "model" or "dataset". false: no cache, or too long a name. */
bool zo_hub_repository(const char *kind, const char *name, char *out, size_t size);

zo_status zo_hub_find(const char *name, const char *models_dir /* NULL allowed */, char folder[4096], zo_err *err);

/* config.json -> arch, through the family registry (models/list.h). */
zo_status zo_arch_read(const char *folder, zo_arch *arch, zo_err *err);

/* The same from JSON in memory (a config that has no folder); `path` stands in messages. */
struct cJSON;
zo_status zo_arch_parse(const struct cJSON *json, const char *path, zo_arch *arch, zo_err *err);
/* config.json of an arch whose head is the one in `layout`; the caller calls cJSON_Delete. */
struct cJSON *zo_arch_write(const zo_arch *arch, const zo_layout *layout);

/* Appends a sentence to a note, behind "; " where it is not the first; what does not fit is cut. An empty one is not appended. */
void zo_note_add(char *note, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A checkpoint may have a decoder of its own where config.json ties it to the token table, with other numbers: with ZO_DECODER_DEFAULT it is
 * used, as transformers 5 does (arch->tied becomes false); in any case a note says what becomes of it. `arch` has passed
 * zo_arch_set_decoder. For language-model heads alone. */
zo_status zo_weights_decoder(const char *folder, zo_arch *arch, zo_decoder decoder, char *note, size_t size, zo_err *err);
/* A note of the tensors of the checkpoint that nothing reads, when the objectives are `head` (n), classification with `classes`. In silence
 * pass: heads of other objectives, and what the family's table says (models/family.h). */
zo_status zo_weights_unread(const char *folder, const zo_arch *arch, const zo_head *head, int n, int classes, char *note, size_t size,
                            zo_err *err);

/* What zo_weights_read would say of the folder's weights (missing ones, other shapes and types), before a store is there. */
zo_status zo_weights_check(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_err *err);
/* Fill `store` (layout made for `arch`) from the folder's weights (models/files/tensors.h): every parameter of the layout must be there
 * with the right shape, but for class.* (drawn from `seed`, N(0, init_std), biases zero, as transformers does)
 * when the checkpoint lacks them, and a tied or copied token table, which may be stored as the decoder or the other way round. F32, F16, BF16; name prefixes with
 * and without `bert.`, `transformer.`, `model.`, ... */
zo_status zo_weights_read(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be,
                          zo_store *store, uint64_t seed, zo_err *err);
/* Random weights as transformers initialises the family: N(0, init_std) matrices and tables, ones for norms, zeros
 * for biases. */
void zo_weights_random(const zo_arch *arch, const zo_layout *layout, zo_backend *be, zo_store *store,
                       uint64_t seed);
/* config.json and model.safetensors (F32) into `folder`, made if need be, under the names of the transformers
 * class that has this head, so that its from_pretrained loads the folder. Files there under these names are
 * replaced. */
zo_status zo_weights_write(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be,
                           const zo_store *store, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
