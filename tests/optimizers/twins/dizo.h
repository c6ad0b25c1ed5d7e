/* dizo.h: twin of DiZO (arXiv 2502.03304; Skilteee/DiZO): MeZO's steps; after each kappa of them a search of max_iters iterations, each on the next
 * batch, for the distances gamma_l of the projected tensors from their anchor:
 *
 *     Delta_l = theta_l - theta0_l, gamma_l = |Delta_l|
 *     u_l ~ N(0, 1), clipped to +- tau / eps_p |Delta_l|;  L1, L2 at theta0 + (gamma +- eps_p u) / |Delta| Delta;  g = (L1 - L2) / (2 eps_p)
 *     gamma_l <- clip(gamma_l - s |Delta_l| g u_l, (1 - tau) |Delta_l|, (1 + tau) |Delta_l|);  at the end theta_l <- theta0_l + gamma_l / |Delta_l| Delta_l
 */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_DIZO_H
#define ZO_TESTS_OPTIMIZERS_TWINS_DIZO_H

#include "tests/optimizers/twins/twin.h"

/* Whether the tensor is projected: of the network's blocks A stands for keys and B for values. */
static inline bool dizo_projects(twin *t, int k)
{
    int of = (k - BLOCK) % OF_BLOCK;
    bool in_block = k >= BLOCK && k < LAST_W, a = in_block && of == A_W, b = in_block && of == B_W;
    if (is(t, "on", "all", "kv")) {
        return !t->net->layout.param[k].frozen && !(k == HEAD_B && wrong(t, "not all of them"));
    }
    return b || (a && is(t, "on", "qv", "kv") == wrong(t, "the other matrices"));
}

static inline void twin_dizo(twin *t)
{
    static double trial[SIZE], gamma[PARAMS], norm[PARAMS];
    double *anchor = set(t, "anchor"), *delta = set(t, "offset");
    int64_t kappa = (int64_t)real(t, "kappa", 50), iterations = (int64_t)real(t, "iterations", 10), turn = t->step % (kappa + iterations) - kappa;
    double radius = real(t, "radius", 0.1), rate = real(t, "rate", 2.0), tau = real(t, "tau", 0.2), z[SIZE], u[PARAMS] = {0.0}, loss[2];
    bool zero = is(t, "anchor", "zero", "start"), previous = is(t, "anchor", "previous", "start"), none = is(t, "anchor", "none", "start");
    if (none || turn < 0) {
        if (zero || (previous ? turn == -1 : t->step == 0)) {
            memcpy(anchor, t->w, SIZE * sizeof *anchor);
            for (int i = 0; i < SIZE && zero; i++) {
                anchor[i] = 0.0;
            }
        }
        draw(t, t->step, 0, z);
        double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
        add(t->w, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, z);
        return;
    }
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        double square = 0.0;
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && turn == 0; i++) {
            delta[i] = dizo_projects(t, k) ? t->w[i] - anchor[i] : 0.0;
            square += delta[i] * delta[i];
        }
        if (turn == 0) {
            gamma[k] = norm[k] = sqrt(square);
        }
    }
    for (int k = 0, l = 0; k < PARAMS; k++) {
        float one;
        if (dizo_projects(t, k)) {
            zo_normals_scalar((zo_stream){t->seed, wrong(t, "one u for all") ? 0 : (uint32_t)l, (uint32_t)t->step, 0, ZO_ROLE_RADIUS}, 0, 1, &one);
            double most = tau / radius < 0.5 && wrong(t, "u is not clipped") ? 1e9 : tau / radius * norm[k];
            u[k] = fmax(-most, fmin(one, most));
            l++;
        }
    }
    for (int side = 0; side < 2; side++) {
        memcpy(trial, t->w, sizeof trial);
        for (int k = 0; k < PARAMS; k++) {
            const zo_param *p = &t->net->layout.param[k];
            double at = gamma[k] + (side == 0 ? radius : -radius) * u[k];
            for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && dizo_projects(t, k); i++) {
                trial[i] = anchor[i] + at / norm[k] * delta[i];
            }
        }
        loss[side] = ask(t, ZO_BATCH_CURRENT, trial);
    }
    double g = (loss[0] - loss[1]) / (wrong(t, "over r, not 2 r") ? radius : 2.0 * radius);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        gamma[k] -= rate * (wrong(t, "steps without |Delta|") ? 1.0 : norm[k]) * g * u[k] * (wrong(t, "up, not down") ? -1.0 : 1.0);
        if (tau / radius < 0.5 || !wrong(t, "distances are not clipped")) {
            gamma[k] = fmax((1.0 - tau) * norm[k], fmin(gamma[k], (1.0 + tau) * norm[k]));
        }
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && dizo_projects(t, k); i++) {
            t->w[i] = anchor[i] + (turn == iterations - 1 ? gamma[k] / norm[k] : 1.0) * delta[i];
        }
    }
}

#endif
