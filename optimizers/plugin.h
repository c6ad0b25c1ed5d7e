/* plugin.h: an estimator in a file of its own, which no program is built again for: "optimizer": {"name": "./mine.so", ...}. docs/plugins.md goes from
 * nothing to its curve.
 *
 * A plug-in is written as an estimator of this program is, against the same declarations: those of objective.h (what it may ask for), estimator.h
 * (what it says of itself), needs.h (what it will take) and spsa.h (helpers). `make install` puts them into one file, zo/plugin.h, by copying. There is
 * no second statement of the seam that could say something else than the first. What keeps that stable:
 *
 *   - A plug-in carries the declarations that it was built with, as text (ZO_PLUGIN_SEAM), and the program compares them with its own. A member that has
 *     moved is seen whether or not somebody thought of it, and the plug-in is refused in one sentence that names it (optimizers/plugins.h).
 *   - Tables are handed over by pointer, and grow at their ends alone. A plug-in that was built before a slot was added has the beginning of the same text,
 *     and runs.
 *   - Values stand in arrays or in each other, so they are the same on both sides.
 *   - ZO_PLUGIN_VERSION is raised where a declaration stays and comes to mean something else.
 *
 * A plug-in is loaded into the process of its cell. It may call the functions that are declared here, and those of libc and libm: the program exports no
 * other. Memory that it keeps goes through zo_alloc, or no peak knows of it. Its functions are called from one thread. */
#ifndef ZO_OPTIMIZERS_PLUGIN_H
#define ZO_OPTIMIZERS_PLUGIN_H

#include "optimizers/spsa.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_PLUGIN_VERSION 1

#define ZO_PLUGIN_TABLES(X) X(zo_estimator) X(zo_objective) X(zo_step_context) X(zo_step_report) X(zo_extent) X(zo_needs)
#define ZO_PLUGIN_VALUES(X)                                                                                                           \
    X(zo_opt) X(zo_variant) X(zo_sourced) X(zo_kept) X(zo_err) X(zo_blocks) X(zo_dir) X(zo_term) X(zo_point) X(zo_set_spec) X(zo_operands)          \
    X(zo_rule_args) X(zo_factor_spec) X(zo_probe) X(zo_pool)

/* What a plug-in exports, as `zo_plugin`. */
typedef struct zo_plugin_info {
    uint32_t size;            /* bytes of this struct */
    uint32_t version;         /* ZO_PLUGIN_VERSION of its header */
    const zo_estimator *estimator;
    uint64_t estimator_bytes; /* sizeof(zo_estimator) of its header */
    const char *seam;         /* ZO_PLUGIN_SEAM of its header: a line "HOW NAME: PARTS" for each declaration */
} zo_plugin_info;

__attribute__((visibility("default"))) extern const zo_plugin_info zo_plugin;

/* Once, in one of its files: ZO_PLUGIN(mine); where `const zo_estimator mine` is. */
#define ZO_PLUGIN(mine) const zo_plugin_info zo_plugin = {sizeof(zo_plugin_info), ZO_PLUGIN_VERSION, &(mine), sizeof(zo_estimator), ZO_PLUGIN_SEAM}

#ifdef __cplusplus
}
#endif
#endif
