/* plugins.h: estimators that are loaded while the program runs (plugin.h says what one is). */
#ifndef ZO_OPTIMIZERS_PLUGINS_H
#define ZO_OPTIMIZERS_PLUGINS_H

#include "optimizers/estimator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Is the optimizer of this name a file: does it have a slash, or end with .so or .py? */
bool zo_plugin_is(const char *name);

/* The estimator of a shared object, or of a file of Python (which is asked of a process of Python, and runs in one: python/), loaded once for each path, which begins at the working folder; it lives as long as the process. ZO_EIO where the file
 * cannot be read, ZO_EINPUT where it is no plug-in of this program: another version or size, no zo_plugin, a symbol that the program does not export,
 * a member that must be there and is not. The sentence begins with the path. */
zo_status zo_plugin_open(const char *path, const zo_estimator **estimator, zo_err *err);

/* An estimator that zo_plugin_open gave: its path, as asked for; NULL = it is part of the program. And 64-bit FNV-1a over the file that was loaded;
 * 0 = part of the program. */
const char *zo_plugin_path(const zo_estimator *estimator);
uint64_t zo_plugin_loaded(const zo_estimator *estimator);

/* The process that its cell needs: NULL = this program, else a Python, as posix_spawnp takes it ($ZO_PYTHON, else python3), started as `-m zo cell`. */
const char *zo_plugin_python(const zo_estimator *estimator);

/* What a process of Python that has loaded this program as a library says once, before anything else: who loads files of Python (the estimator, which lives as
 * long as the process, or NULL and a sentence in `why`), and the path of the library. */
typedef const zo_estimator *(*zo_python_loader)(const char *path, char *why, size_t size);
void zo_python_serve(zo_python_loader loader, const char *library);
/* The file that this program is: that library, else "/proc/self/exe". */
const char *zo_python_library(void);
/* For plugins.c: the estimator of a file of Python, unchecked. */
zo_status zo_python_open(const char *path, zo_estimator *estimator, zo_err *err);

/* The same as zo_plugin_loaded over the file as it is now. ZO_EIO where it cannot be read. */
zo_status zo_plugin_fingerprint(const char *path, uint64_t *print, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
