/* list.h: the backends that this build has, the most capable last. X(name) needs
 * `zo_status zo_NAME_open(int ordinal, int threads, zo_backend **be, zo_err *err)`; ordinal -1 = not told. A backend whose device is
 * not there gives ZO_EUNSUPPORTED, and only then ("auto" goes on to the next one). */
#ifndef ZO_BACKENDS_LIST_H
#define ZO_BACKENDS_LIST_H

#ifdef ZO_CUDA
#define ZO_BACKEND_LIST(X) X(cpu) X(cuda)
#else
#define ZO_BACKEND_LIST(X) X(cpu)
#endif

#endif
