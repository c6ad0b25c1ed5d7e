/* tune_list.h: the kinds of parameter views, the default first. Adding one: zo_tune_X in a file of its own, and a line. */
#ifndef ZO_MODELS_TUNE_LIST_H
#define ZO_MODELS_TUNE_LIST_H

#define ZO_TUNE_LIST(X) \
    X(full)             \
    X(head)             \
    X(bias)             \
    X(last)             \
    X(pattern)          \
    X(prefix)           \
    X(lora)                 \
    X(scales)           \
    X(side)

#endif
