/* fuzz_tsv.c: libFuzzer over the readers of TSV, CSV and "label text" files. The first byte chooses the task and its file. */
#include "tests/fuzz/fuzz_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_rows(data, size, 1u << ZO_FORMAT_TSV | 1u << ZO_FORMAT_CSV | 1u << ZO_FORMAT_LABEL_TEXT);
    return 0;
}
