/* plugin.h: an estimator in a file of its own, which no program is built again for: "optimizer": {"name": "./mine.so", ...}. docs/plugins.md goes from
 * nothing to its curve.
 *
 * A plug-in is written as an estimator of this program is, against the same declarations: those of objective.h (what it may ask for), estimator.h
 * (what it says of itself), needs.h (what it will take) and spsa.h (helpers). `make install` puts them into one file, zo/plugin.h, by copying. There is
 * no second statement of the seam that could say something else than the first. What keeps that stable is here:
 *
 *   - ZO_PLUGIN_VERSION is the meaning of all that this header says. It is raised where a member moves or goes, or comes to mean something else.
 *   - Tables (ZO_PLUGIN_TABLES) are handed over by pointer. They grow at the end alone, and the older of both sides decides how far they are read. So
 *     a plug-in that was built before a slot was added still runs.
 *   - Values (ZO_PLUGIN_VALUES) stand in arrays or in each other, so they must have one size on both sides.
 *
 * A plug-in carries these sizes (ZO_PLUGIN), and a program that finds others refuses it in one sentence (optimizers/plugins.h).
 *
 * It is loaded into the process of its cell. It may call the functions that are declared here, and those of libc and libm: the program exports no
 * other. Memory that it keeps goes through zo_alloc, or no peak knows of it. Its functions are called from one thread. */
#ifndef ZO_OPTIMIZERS_PLUGIN_H
#define ZO_OPTIMIZERS_PLUGIN_H

#include "optimizers/spsa.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_PLUGIN_VERSION = 1, ZO_PLUGIN_SIZES = 16 };

/* Both lists grow at their ends. */
#define ZO_PLUGIN_TABLES(X) X(zo_estimator) X(zo_objective) X(zo_step_context) X(zo_step_report) X(zo_extent) X(zo_needs)
#define ZO_PLUGIN_VALUES(X)                                                                                                           \
    X(zo_opt) X(zo_variant) X(zo_err) X(zo_dir) X(zo_term) X(zo_point) X(zo_set_spec) X(zo_operands) X(zo_rule_args) X(zo_factor_spec) \
    X(zo_probe)

/* What a plug-in exports, as `zo_plugin`. */
typedef struct zo_plugin_info {
    uint32_t size;                          /* bytes of this struct */
    uint32_t version;                       /* ZO_PLUGIN_VERSION of its header */
    const zo_estimator *estimator;
    uint16_t table_bytes[ZO_PLUGIN_SIZES];  /* in the order of the lists; 0 behind their ends */
    uint16_t value_bytes[ZO_PLUGIN_SIZES];
} zo_plugin_info;

__attribute__((visibility("default"))) extern const zo_plugin_info zo_plugin;

/* Once, in one of its files: ZO_PLUGIN(mine); where `const zo_estimator mine` is. */
#define ZO_PLUGIN_BYTES(type) (uint16_t)sizeof(type),
#define ZO_PLUGIN(mine)                                                                                                               \
    const zo_plugin_info zo_plugin = {sizeof(zo_plugin_info), ZO_PLUGIN_VERSION, &(mine), {ZO_PLUGIN_TABLES(ZO_PLUGIN_BYTES)},        \
                                      {ZO_PLUGIN_VALUES(ZO_PLUGIN_BYTES)}}

#ifdef __cplusplus
}
#endif
#endif
