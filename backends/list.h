/* list.h: the backends that this build has. X(name) needs `zo_status zo_NAME_open(int threads, zo_backend **be, zo_err *err)`. */
#ifndef ZO_BACKENDS_LIST_H
#define ZO_BACKENDS_LIST_H

#ifdef ZO_CUDA
#define ZO_BACKEND_LIST(X) X(cpu) X(cuda)
#else
#define ZO_BACKEND_LIST(X) X(cpu)
#endif

#endif
