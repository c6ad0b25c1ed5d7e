/* coverage.cpp: when a test's process ends, the kernels that it launched are appended to the file $ZO_SHIM_KERNELS, a line each: name,
 * launches, threads, most blocks of a grid in x. tests/check_kernels.sh reads them all and finds the kernels that no test has launched, or only with
 * one block. */
#include <cuda_runtime.h>
#include <stdio.h>

static __attribute__((destructor)) void tell(void)
{
    const char *path = getenv("ZO_SHIM_KERNELS");
    FILE *file = path != NULL && zo_shim_kernels() > 0 ? fopen(path, "a") : NULL;
    for (int i = 0; file != NULL && i < zo_shim_kernels(); i++) {
        unsigned long launches, threads, most_columns;
        const char *name = zo_shim_kernel(i, &launches, &threads, &most_columns);
        fprintf(file, "%s %lu %lu %lu\n", name, launches, threads, most_columns);
    }
    if (file != NULL) {
        fclose(file);
    }
}
