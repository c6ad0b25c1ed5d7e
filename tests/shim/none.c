/* none.c: what tests/backends/test_cuda_*.c ask of the shim, for programs that run on a card instead: nothing is there to turn round or switch off. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const bool zo_shim_present;
extern bool zo_shim_reverse, zo_shim_lazy, zo_shim_no_epilogue, zo_shim_idle;
extern uint64_t zo_shim_total[9];
extern int zo_shim_devices, zo_shim_refuse_with;
extern const char *zo_shim_refuse, *zo_shim_misfit;
extern bool zo_shim_exact_only;
extern unsigned long zo_shim_asked, zo_shim_algorithm_runs[8], zo_shim_gelus;
extern int zo_shim_algorithms;
extern double zo_shim_algorithm_seconds[8];
int zo_shim_kernels(void);
const char *zo_shim_kernel(int i, unsigned long *launches, unsigned long *threads, unsigned long *most_columns);
const char *zo_shim_forbidden(void);

bool zo_curand_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

const bool zo_shim_present = false;
bool zo_shim_reverse, zo_shim_lazy, zo_shim_no_epilogue, zo_shim_idle;
uint64_t zo_shim_total[9];
int zo_shim_devices, zo_shim_refuse_with;
const char *zo_shim_refuse, *zo_shim_misfit;
bool zo_shim_exact_only;
unsigned long zo_shim_asked, zo_shim_algorithm_runs[8], zo_shim_gelus;
int zo_shim_algorithms;
double zo_shim_algorithm_seconds[8];

int zo_shim_kernels(void)
{
    return 0;
}

const char *zo_shim_kernel(int i, unsigned long *launches, unsigned long *threads, unsigned long *most_columns)
{
    (void)i;
    *launches = *threads = *most_columns = 0;
    return NULL;
}

const char *zo_shim_forbidden(void)
{
    return NULL;
}

bool zo_curand_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    (void)counter;
    (void)key;
    (void)out;
    return false;
}
