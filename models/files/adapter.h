/* adapter.h: a LoRA adapter in the folder format of PEFT (Hugging Face's library of adapters): adapter_config.json and
 * adapter_model.safetensors, which its PeftModel.from_pretrained loads onto the base model, and which it writes.
 *
 *   base_model.model.<module>.lora_A.weight (r, in), .lora_B.weight (out, r)     of each linear layer that has an adapter
 *   base_model.model.<module>.weight, .bias                                      of a classification head (modules_to_save)
 *
 * GPT-2 has q, k and v in one module there, c_attn, with one adapter for the three; here each has its own. So an adapter on q, k or v of that
 * family is neither read nor written. Not read: DoRA, biases, ranks that differ between modules, and what changes the base weights. */
#ifndef ZO_MODELS_FILES_ADAPTER_H
#define ZO_MODELS_FILES_ADAPTER_H

#include "models/arch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ZO_EUNSUPPORTED with one sentence, which names the folder, where PEFT's format has no such adapters. */
zo_status zo_adapter_check(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_err *err);

/* Fills the adapters of `store` (its layout made for `arch`, whose `lora` is what the config asks for), and the classification head where layout
 * and file have one. ZO_EINPUT with one sentence where rank or scale are others than arch->lora says, where a tensor is missing or has another
 * shape, and where the file has tensors that would not be used; ZO_EUNSUPPORTED for what is not read. *headless (NULL
 * allowed) = the layout trains a head that the file lacks: it is left as it was. */
zo_status zo_adapter_read(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be, zo_store *store, bool *headless, zo_err *err);

/* Writes the adapters of `store`, and a classification head, as F32 into `folder`, made if need be; files there under these names are replaced.
 * `base`: where the base model is, for PEFT's base_model_name_or_path. */
zo_status zo_adapter_write(const char *folder, const zo_arch *arch, const char *base, const zo_layout *layout, zo_backend *be, const zo_store *store,
                           zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
