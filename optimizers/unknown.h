/* unknown.h: methods that papers compare with and that are not here, for no text that could be read says what they do. Nothing is guessed. */
#ifndef ZO_OPTIMIZERS_UNKNOWN_H
#define ZO_OPTIMIZERS_UNKNOWN_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_unknown {
    const char *name, *title, *paper; /* as an estimator's; paper NULL = its number is not known */
    const char *missing;              /* what would have to be known, one line */
} zo_unknown;

/* All of them; one by name, NULL when it is none. */
int zo_unknown_list(const zo_unknown **list);
const zo_unknown *zo_unknown_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
