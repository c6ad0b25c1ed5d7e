"""es-z: an evolution strategy with z-scored losses and antithetic pairs, as EGGROLL's (arXiv 2511.16652), here along dense directions:

    f_i = (L_i - mean) / deviation over the population,   w <- w - (lr / n) sum_i f_i z_i,   z_i and -z_i a pair

Reconstructed from a description of the paper; its directions are of low rank. An estimator that is no part of zo."""
import statistics

import zo


class EsZ(zo.Estimator):
    name, title, paper, source = "es-z", "ES, z-scored", "arXiv 2511.16652", "reconstructed"
    loss_is = "the mean loss of the population on the step's batch, before the update"
    losses_at = "w +- eps z_i of a population; applies all z_i"
    lr, descends_lr = 1e-4, 0.03
    options = {"pairs": zo.whole(4, least=1, most=64, help="antithetic pairs of a population (the default is ours)"),
               "draw": zo.choice("gauss|rademacher", help="how the numbers of z are drawn")}

    def needs(self):
        return {"points": 2 * self.pairs, "terms": 1, "updates": self.pairs}

    def step(self, o, c):
        z = [o.direction(c.step, i, zo.GAUSS if self.draw == "gauss" else zo.RADEMACHER) for i in range(self.pairs)]
        loss = o.losses([[(sign * c.eps, each)] for each in z for sign in (1, -1)])
        deviation = statistics.pstdev(loss) or 1.0
        pull = [(plus - minus) / deviation for plus, minus in zip(loss[::2], loss[1::2])]
        o.combine(zo.WEIGHTS, [(-c.lr / len(loss) * f, each) for f, each in zip(pull, z)])
        return zo.report(statistics.fmean(loss), projected=(loss[0] - loss[1]) / (2 * c.eps))
