/* test_cuda_refused.c: what CUDA refuses. A device that does not open is one sentence with the right status, and nothing of it stays; memory
 * that CUDA has not got for itself, beside the ledger, is an outcome ("oom"), never a death. The refusals are the shim's. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/cuda/cuda.h"
#include "core/mem.h"
#include "tests/suite.h"

extern const bool zo_shim_present;
extern const char *zo_shim_refuse;
extern int zo_shim_refuse_with;

enum { NO_MEMORY = 2, UNAVAILABLE = 46, NO_DEVICE = 100, BLAS_NO_MEMORY = 3, BLAS_FAILED = 14 };

START_TEST(openings)
{
    static const struct { const char *call; int with; zo_status status; const char *says; } refusal[] = {
        {"cudaGetDeviceCount", NO_DEVICE, ZO_EUNSUPPORTED, "no CUDA device"},
        {"cudaGetDeviceCount", NO_MEMORY, ZO_EOOM, "out of memory while it was opened"},
        {"cudaGetDeviceCount", UNAVAILABLE, ZO_EIO, "cannot be opened"},
        {"cudaGetDeviceProperties", UNAVAILABLE, ZO_EIO, "cudaErrorDevicesUnavailable"},
        {"cudaSetDevice", NO_MEMORY, ZO_EOOM, "out of memory while it was opened (cudaSetDevice(at))"},
        {"cudaSetDevice", UNAVAILABLE, ZO_EIO, "cudaSetDevice(at) says"},
        {"cublasLtCreate", BLAS_NO_MEMORY, ZO_EOOM, "no memory left for the library"},
        {"cublasLtCreate", BLAS_FAILED, ZO_EIO, "cublasLtCreate gave status 14"},
        {"cudaStreamCreateWithFlags", NO_MEMORY, ZO_EOOM, "cudaStreamCreateWithFlags"},
        {"cudaEventCreateWithFlags", UNAVAILABLE, ZO_EIO, "cudaEventCreateWithFlags"},
        {"cudaMalloc", NO_MEMORY, ZO_EOOM, "staging ring"},
        {"cudaHostAlloc", NO_MEMORY, ZO_EOOM, "staging ring"},
    };
    uint64_t host = zo_mem_live(ZO_HOST).total_bytes, device = zo_mem_live(ZO_DEVICE).total_bytes, pinned = zo_mem_live(ZO_PINNED).total_bytes;
    for (size_t k = 0; zo_shim_present && k < sizeof refusal / sizeof *refusal; k++) {
        zo_backend *be = (zo_backend *)&refusal; /* anything but NULL */
        zo_err err = {0};
        zo_shim_refuse = refusal[k].call;
        zo_shim_refuse_with = refusal[k].with;
        zo_status status = zo_cuda_open(-1, 0, &be, &err);
        zo_shim_refuse = NULL;
        ck_assert_msg(status == refusal[k].status && be == NULL, "%s with %d: status %d, \"%s\"", refusal[k].call, refusal[k].with, (int)status,
                      err.text);
        ck_assert_msg(strstr(err.text, refusal[k].says) != NULL && strstr(err.text, "device \"cuda") == err.text && strchr(err.text, '\n') == NULL,
                      "%s with %d says \"%s\"", refusal[k].call, refusal[k].with, err.text);
        ck_assert_uint_eq(zo_mem_live(ZO_DEVICE).total_bytes, device);
        ck_assert_uint_eq(zo_mem_live(ZO_PINNED).total_bytes, pinned);
        ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, host);
        ck_assert_msg(zo_cuda_open(-1, 0, &be, &err) == ZO_OK, "%s", err.text); /* once there is room */
        be->close(be);
    }
}
END_TEST

enum { CODE = 7, SIDE = 32 };

static void on_oom(zo_space space, zo_tag tag, size_t bytes, void *context)
{
    char text[200];
    zo_mem_request(tag, bytes, text, sizeof text);
    _exit(space == ZO_DEVICE && strstr(text, context) != NULL ? CODE : 1);
}

/* Passes of one product, as a graph from the second on; `call` is refused from pass `from` on. */
static void run_passes(const char *call, int with, int from)
{
    zo_backend *be;
    zo_err err;
    zo_layout layout = {0};
    if (zo_cuda_open(-1, 0, &be, &err) != ZO_OK) {
        _exit(2);
    }
    zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, SIDE, SIDE, 0, true);
    zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    const zo_store *base[1] = {store};
    zo_view view = zo_view_stored(base);
    be->reserve(be, &layout, NULL, ZO_F32, &(zo_largest){.points = 1, .tokens = SIDE});
    float *x = be->alloc(be, ZO_TAG_ACTIVATIONS, SIDE * SIDE * sizeof *x), *y = be->alloc(be, ZO_TAG_ACTIVATIONS, SIDE * SIDE * sizeof *y);
    for (int pass = 0; pass < 4; pass++) {
        zo_shim_refuse = pass >= from ? call : NULL;
        zo_shim_refuse_with = with;
        be->pass_begin(be);
        be->linear(be, &view, ZO_F32, 0, -1, ZO_ACT_NONE, x, SIDE, false, y, NULL);
        be->add(be, y, x, SIDE * SIDE);
        be->pass_end(be);
        be->wait(be);
    }
    _exit(3); /* nothing was refused */
}

START_TEST(beside_the_ledger)
{
    static const struct { const char *call; int with, from; const char *says; } refusal[] = {
        {"cudaLaunchKernel", NO_MEMORY, 0, "memory of CUDA's own for "},
        {"cublasLtMatmul", BLAS_NO_MEMORY, 0, "memory of CUDA's own for cublasLtMatmul"},
        {"cudaGraphInstantiateWithFlags", NO_MEMORY, 1, "memory of CUDA's own for cudaGraphInstantiateWithFlags"},
        {"cudaMalloc", NO_MEMORY, 0, "MB of workspace"}, /* in the ledger: the product's workspace */
    };
    for (size_t k = 0; zo_shim_present && k < sizeof refusal / sizeof *refusal; k++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            zo_mem_on_oom(on_oom, (void *)(uintptr_t)refusal[k].says);
            run_passes(refusal[k].call, refusal[k].with, refusal[k].from);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == CODE, "%s: wait status %#x", refusal[k].call, status);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_refused");
    TCase *tests = tcase_create("shim");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, openings);
    tcase_add_test(tests, beside_the_ledger);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
