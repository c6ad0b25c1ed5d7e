/* probe.h: what probes do to the numbers in which weights are held, looked at from outside a run: nothing here trains or is timed. */
#ifndef ZO_BENCH_CELL_PROBE_H
#define ZO_BENCH_CELL_PROBE_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The largest |w after a probe in place and its way back - w| of any weight, for the probe at +terms (n) and at -terms: each move rounded to
 * the store's type, as sweeps do. It is worked out on the host, a few rows at a time, from the numbers and directions of the run; the
 * store is only read. Tables that are looked up are left out: a probe in place moves the rows that a batch touches and no others (so the
 * papers' drift, which is of every row, is not theirs). factors: NULL where no term is of low rank. */
double zo_probe_drift(zo_backend *be, const zo_store *weights, const zo_factors *factors, const zo_term *term, int n);

/* Of the matrices' numbers other than 0 (a sample of each: its first elements) the share that eps z, z ~ N(0, 1), changes at all, where the
 * sum is rounded to `type` and then to what products of `precision` read. NaN where there are none. */
double zo_probe_moved(zo_backend *be, const zo_store *weights, uint64_t seed, double eps, zo_storage type, zo_precision precision);

#ifdef __cplusplus
}
#endif
#endif
