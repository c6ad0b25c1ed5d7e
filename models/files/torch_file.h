/* torch_file.h: what torch.save writes of a dict of tensors (pytorch_model.bin), read through a memory map. Two forms: a zip archive of a pickle and of one
 * entry a storage, since torch 1.6 (2020); and before that pickles in a row with the storages behind them. Data that is stored as it is, which is all that
 * torch writes, is used where it lies.
 *
 * Read: dicts from names to tensors and parameters of plain types; any shape, strides and offset; several tensors on one storage; views of storages.
 * Refused in a sentence: files of the other byte order, compressed data, TorchScript, whole modules, training checkpoints (a dict in the dict),
 * what is no tensor, and every other name in the pickle. Nothing is executed (pickle.h). Checksums are looked at for the pickle alone. */
#ifndef ZO_MODELS_FILES_TORCH_FILE_H
#define ZO_MODELS_FILES_TORCH_FILE_H

#include "models/files/tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

zo_status zo_torch_read(zo_tensors *tensors, const uint8_t *data, size_t bytes, int file, const char *path, zo_err *err); /* zo_tensors_reader */

#ifdef __cplusplus
}
#endif
#endif
