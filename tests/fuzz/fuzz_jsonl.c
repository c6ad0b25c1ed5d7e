/* fuzz_jsonl.c: libFuzzer over the readers of JSON lines, maps and trees. The first byte chooses the task and its file. */
#include "tests/fuzz/fuzz_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_rows(data, size, 1u << ZO_FORMAT_JSONL | 1u << ZO_FORMAT_JSON_MAP | 1u << ZO_FORMAT_JSON_TREE);
    return 0;
}
