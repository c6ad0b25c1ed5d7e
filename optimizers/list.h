/* list.h: the optimizers, one line each: X(suffix) is `extern const zo_estimator zo_estimator_<suffix>`, defined in a file of this
 * folder. The order is that of `zo list optimizers`. */
#ifndef ZO_OPTIMIZERS_LIST_H
#define ZO_OPTIMIZERS_LIST_H

#define ZO_ESTIMATOR_LIST(X) \
    X(zero_shot)             \
    X(linear_probe)          \
    X(mezo)                  \
    X(mezo_m)                \
    X(mezo_adam)             \
    X(zo_sign)               \
    X(zo_cons)               \
    X(kerzoo)                \
    X(meazo)                 \
    X(mezo_bcd)              \
    X(fzoo)                  \
    X(bszo)                  \
    X(zo_svrg)               \
    X(zo_adamu)              \
    X(adamezo)               \
    X(mezo_svrg)             \
    X(qzo)                   \
    X(dizo)                  \
    X(lezo)                  \
    X(sparse_mezo)           \
    X(r_mezo)                \
    X(conmezo)               \
    X(hizoo)                 \
    X(helene)                \
    X(lozo)                  \
    X(lozo_m)                \
    X(subzo)                 \
    X(subzero_plus)          \
    X(zo_muon)               \
    X(eggroll)               \
    X(tezo)                  \
    X(tezo_m)                \
    X(tezo_adam)             \
    X(forward_grad)          \
    X(fo_sgd)                \
    X(fo_adamw)              \
    X(addax)                 \
    X(sgld)

#endif
