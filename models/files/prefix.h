/* prefix.h: a prefix as files in a folder.
 *
 * prefix.safetensors is this project's own: every trained parameter under its canonical name (models/arch.h), F32. Beside it, where positions are
 * rotary and nothing else is trained, stand adapter_config.json and adapter_model.safetensors as PEFT has them: PEFT counts the tokens' positions
 * from the prefix's length on, so its keys are ours turned by as many positions, and its logits are then ours (tests/golden/make_prefix.py). Where
 * positions are learned nothing undoes that, PEFT counts the prefix in a sliding window, and refuses encoders: such a prefix has no PEFT folder. */
#ifndef ZO_MODELS_FILES_PREFIX_H
#define ZO_MODELS_FILES_PREFIX_H

#include "models/arch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Into `folder`, made if need be; files there under these names are replaced. */
zo_status zo_prefix_write(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be, const zo_store *store, zo_err *err);
/* The trained parameters of `store` from prefix.safetensors of `folder`, or where that is not there from PEFT's files. ZO_EINPUT with one sentence
 * where neither is there or they are of another model, of other parameters or of another length. */
zo_status zo_prefix_read(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be, zo_store *store, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
