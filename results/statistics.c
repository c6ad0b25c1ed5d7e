/* statistics.c: see statistics.h. */
#include "results/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"

/* The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8) by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1), h;
    d = 1 / (fabs(d) < tiny ? tiny : d);
    h = d;
    for (int m = 1; m < 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double step[2] = {even, odd}, change = 1;
        for (int k = 0; k < 2; k++) {
            d = 1 + step[k] * d;
            c = 1 + step[k] / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            change = d * c;
            h *= change;
        }
        if (fabs(change - 1) < 1e-15) {
            break;
        }
    }
    return h;
}

static double regular_beta(double x, double a, double b)
{
    if (x <= 0 || x >= 1) {
        return x <= 0 ? 0 : 1;
    }
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double zo_t_two_sided(double t, double df)
{
    return isinf(t) ? 0 : regular_beta(df / (df + t * t), df / 2, 0.5);
}

double zo_t_quantile(double p, double df)
{
    double tail = 2 * fmin(p, 1 - p), low = 0, high = 1; /* P(|T| >= t) of the t that is wanted */
    while (zo_t_two_sided(high, df) > tail) {
        low = high;
        high *= 2;
    }
    for (int i = 0; i < 200 && low < high; i++) {
        double middle = 0.5 * (low + high);
        *(zo_t_two_sided(middle, df) > tail ? &low : &high) = middle;
    }
    return p < 0.5 ? -high : high;
}

double zo_paired_p(double mean, double std, int n)
{
    return std > 0 ? zo_t_two_sided(mean / (std / sqrt(n)), n - 1) : mean == 0;
}

double zo_paired_half_width(double std, int n, double cover)
{
    return zo_t_quantile(0.5 + 0.5 * cover, n - 1) * std / sqrt(n);
}

zo_paired zo_paired_of(const double *difference, int n, double cover)
{
    zo_paired p = {.n = n, .mean = n > 0 ? 0 : NAN, .std = NAN, .low = NAN, .high = NAN, .p = NAN};
    double squares = 0;
    for (int i = 0; i < n; i++) {
        p.mean += difference[i] / n;
    }
    for (int i = 0; i < n; i++) {
        squares += (difference[i] - p.mean) * (difference[i] - p.mean);
    }
    if (n > 1) {
        p.std = sqrt(squares / (n - 1));
        double half = zo_paired_half_width(p.std, n, cover);
        p.low = p.mean - half;
        p.high = p.mean + half;
        p.p = zo_paired_p(p.mean, p.std, n);
    }
    return p;
}

double zo_paired_detectable(double std, int n, double level, double power)
{
    return (zo_t_quantile(1 - level / 2, n - 1) + zo_t_quantile(power, n - 1)) * std / sqrt(n);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void zo_holm(double *p, int n)
{
    double *sorted = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *sorted);
    int m = 0;
    for (int i = 0; i < n; i++) {
        if (!isnan(p[i])) {
            sorted[m++] = p[i];
        }
    }
    qsort(sorted, (size_t)m, sizeof *sorted, by_value);
    for (int i = 0; i < n; i++) {
        double adjusted = 0;
        for (int j = 0; j < m && sorted[j] <= p[i]; j++) { /* false throughout for NaN */
            adjusted = fmax(adjusted, (m - j) * sorted[j]);
        }
        p[i] = isnan(p[i]) ? p[i] : fmin(adjusted, 1);
    }
    zo_free(sorted);
}

double zo_quantile(const double *sorted, int64_t n, double q)
{
    if (n == 0) {
        return NAN;
    }
    double at = q * (double)(n - 1);
    int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

void zo_bootstrap(const double *value, int64_t n, int samples, uint64_t seed, double cover, double *low, double *high)
{
    double *mean = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)samples + 1) * sizeof *mean);
    for (int s = 0; s < samples; s++) {
        zo_stream stream = {.seed = seed, .step = (uint32_t)s, .role = ZO_ROLE_DATA};
        zo_block block = {{0}};
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            block = i % 4 == 0 ? zo_stream_block(stream, (uint32_t)(i / 4)) : block;
            sum += value[(uint64_t)block.lane[i % 4] * (uint64_t)n >> 32];
        }
        mean[s] = sum / (double)n;
    }
    qsort(mean, (size_t)samples, sizeof *mean, by_value);
    *low = zo_quantile(mean, samples, 0.5 - 0.5 * cover);
    *high = zo_quantile(mean, samples, 0.5 + 0.5 * cover);
    zo_free(mean);
}

/* cost (n): the sum of absolute differences from their median of y[from], of y[from] and y[from + 1], and so on; sorted (n) is room. A further value adds its
 * distance from the interval of medians of those before it. */
static void segment_costs(const double *y, int from, int n, double *sorted, double *cost)
{
    double sum = 0;
    for (int i = from; i < n; i++) {
        int have = i - from, at = have;
        if (have > 0) {
            double low = sorted[(have - 1) / 2], high = sorted[have / 2];
            sum += y[i] < low ? low - y[i] : y[i] > high ? y[i] - high : 0;
        }
        while (at > 0 && sorted[at - 1] > y[i]) {
            at--;
        }
        memmove(sorted + at + 1, sorted + at, (size_t)(have - at) * sizeof *sorted);
        sorted[at] = y[i];
        cost[i] = sum;
    }
}

int zo_piecewise_fit(const double *y, int n, double grain, int most, int *start)
{
    most = n / ZO_FIT_LEAST < most ? n / ZO_FIT_LEAST : most;
    most = most < 1 ? 1 : most;
    /* best[k][i]: the least cost of the first i points in k + 1 segments; cut[k][i]: where the last of them begins */
    double *best = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)most * (size_t)(n + 1) * sizeof *best), *cost = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * (size_t)n * sizeof *cost);
    int *cut = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)most * (size_t)(n + 1) * sizeof *cut), chosen = 0;
    double *sorted = cost + n, least = INFINITY;
    for (size_t i = 0; i < (size_t)most * (size_t)(n + 1); i++) {
        best[i] = INFINITY;
    }
    for (int from = 0; from < n; from++) {
        segment_costs(y, from, n, sorted, cost);
        for (int k = 0; k < most; k++) {
            double before = from == 0 ? (k == 0 ? 0 : INFINITY) : k == 0 ? INFINITY : best[(k - 1) * (n + 1) + from];
            for (int end = from + ZO_FIT_LEAST; end <= n && isfinite(before); end++) {
                double *b = &best[k * (n + 1) + end];
                if (before + cost[end - 1] < *b) {
                    *b = before + cost[end - 1];
                    cut[k * (n + 1) + end] = from;
                }
            }
        }
    }
    for (int k = 0; k < most; k++) {
        double all = best[k * (n + 1) + n], criterion = n * log(fmax(all, n * grain) / n) + 4 * (k + 1) * log(n);
        if (criterion < least) {
            least = criterion;
            chosen = k;
        }
    }
    for (int k = chosen, end = n; k >= 0; k--) {
        start[k] = n < ZO_FIT_LEAST ? 0 : cut[k * (n + 1) + end];
        end = start[k];
    }
    zo_free(best);
    zo_free(cost);
    zo_free(cut);
    return chosen + 1;
}
