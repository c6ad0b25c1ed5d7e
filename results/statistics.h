/* statistics.h: what a comparison of paired runs needs, each once. Numbers in, numbers out; nothing here knows of runs. */
#ifndef ZO_RESULTS_STATISTICS_H
#define ZO_RESULTS_STATISTICS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Value at the share q of n sorted ones, between its neighbours (as numpy's default); NaN for n = 0. */
double zo_quantile(const double *sorted, int64_t n, double q);

/* Student's t with df > 0 degrees of freedom: P(|T| >= |t|), and the t with P(T <= t) = p for 0 < p < 1. By the regularised incomplete beta function,
 * Lentz's continued fraction; both to 1e-9 at least. Source: Abramowitz and Stegun, 26.5 and 26.7. */
double zo_t_two_sided(double t, double df);
double zo_t_quantile(double p, double df);

/* Of n >= 2 paired differences with this mean and sample standard deviation: the two-sided p of the mean being 0 (without spread 1 or 0), and half of
 * the interval that covers it with probability `cover`. */
double zo_paired_p(double mean, double std, int n);
double zo_paired_half_width(double std, int n, double cover);

/* n >= 0 paired differences: their mean (NaN of none), and of two and more the sample standard deviation, Student's interval that covers the mean with
 * probability `cover`, and the p of it being 0; NaN of fewer. */
typedef struct zo_paired { int n; double mean, std, low, high, p; } zo_paired;
zo_paired zo_paired_of(const double *difference, int n, double cover);

/* The smallest true difference that such a test sees with probability `power` at two-sided level `level`: (t at 1 - level / 2 + t at power) x std /
 * sqrt(n). The usual approximation, which has a shifted t for the non-central one. */
double zo_paired_detectable(double std, int n, double level, double power);

/* p (n) adjusted by Holm (1979), in place: over the k-th smallest, the largest of (n - j + 1) p_j for j <= k, at most 1. NaN is no test, and stays. */
void zo_holm(double *p, int n);

/* Steps in a series y (n >= 1): the piecewise constant fit that makes
 *
 *     n log(sum |y - level| / n) + 4 k log n
 *
 * least, over all cuts into k segments of ZO_FIT_LEAST points or more (of fewer points than two of them: one segment), k <= `most`. A level is a median.
 * Absolute differences bear single points that are far off; the second term is what a segment costs. Deviations below `grain` are none, so that series without noise have
 * a minimum. start (most): the first point of each segment. Returns k. The idea is that of airspeed velocity's step detection (asv.readthedocs.io): a Potts
 * functional with absolute differences (Friedrich, Kempe, Liebscher and Winkler 2008, complexity penalized M-estimation) whose penalty an information criterion
 * chooses; here each k is fitted by dynamic programming and the criterion compares them. O(most n^2). */
enum { ZO_FIT_LEAST = 2 };
int zo_piecewise_fit(const double *y, int n, double grain, int most, int *start);

/* Rows drawn with replacement: the mean of value (n) over each of `samples` draws of n rows, and between which two means the middle share `cover` of
 * them lies. Draws are Philox's of `seed`, so the same numbers give the same interval. */
void zo_bootstrap(const double *value, int64_t n, int samples, uint64_t seed, double cover, double *low, double *high);

#ifdef __cplusplus
}
#endif
#endif
