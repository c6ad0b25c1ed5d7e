/* curand.cpp: cuRAND's own Philox4x32-10, from the toolkit's header where it is installed: the oracle of core/rng.h. */
#include <cuda_runtime.h>

#if __has_include(<curand_philox4x32_x.h>)
#define QUALIFIERS static inline
#include <curand_philox4x32_x.h>
#define HAVE_CURAND 1
#endif

/* False where the header is not installed. */
extern "C" bool zo_curand_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

bool zo_curand_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
#ifdef HAVE_CURAND
    uint4 block = curand_Philox4x32_10(make_uint4(counter[0], counter[1], counter[2], counter[3]), make_uint2(key[0], key[1]));
    out[0] = block.x;
    out[1] = block.y;
    out[2] = block.z;
    out[3] = block.w;
    return true;
#else
    (void)counter;
    (void)key;
    (void)out;
    return false;
#endif
}
