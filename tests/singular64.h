/* singular64.h: singular values of a small matrix in float64, by one-sided Jacobi rotations: an oracle of the rank rule. */
#ifndef ZO_TESTS_SINGULAR64_H
#define ZO_TESTS_SINGULAR64_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* sigma (min(rows, cols)) of w (rows, cols), in no order */
static inline void singular64(const double *w, int64_t rows, int64_t cols, double *sigma)
{
    int64_t n = rows < cols ? rows : cols, m = rows < cols ? cols : rows;
    double *x = calloc((size_t)(n * m), sizeof *x); /* the shorter side's vectors, which become orthogonal */
    for (int64_t i = 0; i < n * m; i++) {
        x[i] = rows < cols ? w[i] : w[i % m * n + i / m];
    }
    for (int sweep = 0, turned = 1; sweep < 60 && turned; sweep++) {
        turned = 0;
        for (int64_t a = 0; a < n; a++) {
            for (int64_t b = a + 1; b < n; b++) {
                double aa = 0.0, bb = 0.0, ab = 0.0;
                for (int64_t k = 0; k < m; k++) {
                    aa += x[a * m + k] * x[a * m + k];
                    bb += x[b * m + k] * x[b * m + k];
                    ab += x[a * m + k] * x[b * m + k];
                }
                if (fabs(ab) <= 1e-15 * sqrt(aa * bb)) {
                    continue;
                }
                double zeta = (bb - aa) / (2.0 * ab), t = copysign(1.0, zeta) / (fabs(zeta) + sqrt(1.0 + zeta * zeta)), c = 1.0 / sqrt(1.0 + t * t);
                for (int64_t k = 0; k < m; k++) {
                    double xa = x[a * m + k], xb = x[b * m + k];
                    x[a * m + k] = c * (xa - t * xb);
                    x[b * m + k] = c * (xb + t * xa);
                }
                turned = 1;
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < m; k++) {
            sum += x[i * m + k] * x[i * m + k];
        }
        sigma[i] = sqrt(sum);
    }
    free(x);
}

/* #{i : sigma_i >= threshold sigma_1} */
static inline int large64(const double *w, int64_t rows, int64_t cols, double threshold)
{
    int64_t n = rows < cols ? rows : cols;
    double *sigma = calloc((size_t)n, sizeof *sigma), most = 0.0;
    int count = 0;
    singular64(w, rows, cols, sigma);
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, sigma[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        count += sigma[i] >= threshold * most;
    }
    free(sigma);
    return count;
}

#endif
