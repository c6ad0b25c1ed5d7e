/* muon.h: twin of ZO-Muon (arXiv 2602.17155; OPTML-Group/ZO-Muon): P (m, r) Haar, drawn anew every 100 steps; Psi_i ~ N(0, 1) of (r, n);
 * c_i = (L(W + eps P Psi_i) - L(W)) / eps; G = msign(mean c_i Psi_i) by 5 Newton-Schulz iterations (3.4445, -4.7750, 2.0315) of what is divided by its
 * norm; W <- W - lr P G. What is no matrix: w <- w - 1e-7 mean c_i z_i. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_MUON_H
#define ZO_TESTS_OPTIMIZERS_TWINS_MUON_H

#include "tests/optimizers/twins/subzo.h"

enum { MUON_QUERIES = 8 };

/* x (r, n) <- a x + (b A + c A A) x, A = x x^T */
static inline void newton_schulz(double *x, int r, int64_t n, double a, double b, double c)
{
    double gram[LOZO_RANKS][LOZO_RANKS] = {{0.0}}, by[LOZO_RANKS][LOZO_RANKS];
    for (int i = 0; i < r; i++) {
        for (int j = 0; j < r; j++) {
            for (int64_t k = 0; k < n; k++) {
                gram[i][j] += x[i * n + k] * x[j * n + k];
            }
        }
    }
    for (int i = 0; i < r; i++) {
        for (int j = 0; j < r; j++) {
            by[i][j] = b * gram[i][j] + (i == j ? a : 0.0);
            for (int k = 0; k < r; k++) {
                by[i][j] += c * gram[i][k] * gram[k][j];
            }
        }
    }
    for (int64_t k = 0; k < n; k++) {
        double was[LOZO_RANKS];
        for (int i = 0; i < r; i++) {
            was[i] = x[i * n + k];
        }
        for (int i = 0; i < r; i++) {
            x[i * n + k] = 0.0;
            for (int j = 0; j < r; j++) {
                x[i * n + k] += by[i][j] * was[j];
            }
        }
    }
}

static inline void twin_zo_muon(twin *t)
{
    static double z[MUON_QUERIES][SIZE], rest[MUON_QUERIES][SIZE];
    static double p_of[PARAMS][VOCAB * LOZO_RANKS], psi[MUON_QUERIES][PARAMS][VOCAB * LOZO_RANKS];
    double coef[MUON_QUERIES], *along = set(t, "step");
    int queries = (int)real(t, "queries", 4), iterations = (int)real(t, "iterations", 5);
    bool has[PARAMS];
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int r = factored_rank(t, p, 64);
        has[k] = r > 0;
        if (r > 0) {
            lozo_factor(t, p, "U", lozo_period(t, t->step), 0, p->rows * r, p_of[k]);
            if (!wrong(t, "P is not orthonormal")) {
                orthonormal(p_of[k], p->rows, r);
            }
        }
    }
    double here = ask(t, ZO_BATCH_CURRENT, t->w);
    for (int j = 0; j < queries; j++) {
        draw_on(t, t->step, j, 0, has, rest[j]);
        memcpy(z[j], rest[j], sizeof z[j]);
        for (int k = 0; k < PARAMS; k++) {
            const zo_param *p = &t->net->layout.param[k];
            int r = factored_rank(t, p, 64);
            if (r > 0) {
                lozo_factor(t, p, "V", t->step, wrong(t, "one Psi for all queries") ? 0 : j, p->cols * r, psi[j][k]); /* (n, r): Psi's columns */
                outer(p, r, 1.0, p_of[k], psi[j][k], z[j]);
            }
        }
        coef[j] = (ask_along(t, ZO_BATCH_CURRENT, t->w, t->eps, z[j]) - here) / t->eps / queries;
        add(t->w, 0.0, z[j]);
    }
    memset(along, 0, SIZE * sizeof *along);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int r = factored_rank(t, p, 64);
        double g[LOZO_RANKS * VOCAB] = {0.0}, square = 0.0, back[VOCAB * LOZO_RANKS];
        for (int64_t i = 0; i < p->cols * r; i++) {
            for (int j = 0; j < queries; j++) {
                g[i % r * p->cols + i / r] += coef[j] * psi[j][k][i];
            }
        }
        for (int64_t i = 0; i < p->cols * r; i++) {
            square += g[i] * g[i];
        }
        for (int64_t i = 0; i < p->cols * r; i++) {
            g[i] /= sqrt(square) * (wrong(t, "half as long at first") ? 2.0 : 1.0);
        }
        for (int i = 0; i < iterations - (wrong(t, "an iteration less") ? 1 : 0) && r > 0; i++) {
            newton_schulz(g, r, p->cols, 3.4445, wrong(t, "another b") ? -4.5 : -4.7750, 2.0315);
        }
        for (int64_t i = 0; i < p->cols * r; i++) {
            back[i] = g[i % r * p->cols + i / r];
        }
        if (r > 0) {
            outer(p, r, 1.0, p_of[k], back, along);
        }
    }
    add(t->w, wrong(t, "the other way") ? t->lr : -t->lr, along);
    for (int j = 0; j < queries; j++) {
        add(t->w, -real(t, "rest_lr", 1e-7) * coef[j] * (wrong(t, "the rest moves with lr") ? 1e3 : 1.0), rest[j]);
    }
}

#endif
