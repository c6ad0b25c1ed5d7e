/* cuda_sides.h: the two backends that tests/backends/test_cuda_*.c compare: the CPU's, and CUDA's on a card or under tests/shim. */
#ifndef ZO_TESTS_CUDA_SIDES_H
#define ZO_TESTS_CUDA_SIDES_H

#include <check.h>

#include "backends/cuda/cuda.h"

enum { CPU, CUDA, SIDES };

/* Open until the process ends: the CPU's products are compiled once. */
static inline zo_backend *backend_of(int side)
{
    static zo_backend *open[SIDES];
    zo_err err = {0};
    if (open[side] == NULL) {
        zo_status status = side == CPU ? zo_backend_open("cpu", 2, &open[side], &err) : zo_cuda_open(-1, 1, &open[side], &err);
        ck_assert_msg(status == ZO_OK, "%s", err.text);
    }
    return open[side];
}

#endif
