/* args.c: reading command lines, see args.h. */
#include "bench/cli/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf.h"

static zo_status fail_option(const zo_arg *table, const char *name, int length, const char *command, zo_err *err)
{
    const char *names[64];
    int n = 0;
    for (const zo_arg *a = table; a->name != NULL && n < 64; a++) {
        names[n++] = a->name;
    }
    char text[128];
    if (length >= (int)sizeof text) {
        length = (int)sizeof text - 1;
    }
    memcpy(text, name, (size_t)length);
    text[length] = '\0';
    const char *near = zo_nearest(text, names, n);
    if (near != NULL) {
        return zo_fail(err, ZO_EINPUT, "there is no option %s; did you mean %s?", text, near);
    }
    return zo_fail(err, ZO_EINPUT, "there is no option %s; see `zo help %s`", text, command);
}

static zo_status read_value(const zo_arg *a, const char *value, zo_err *err)
{
    if (a->type == ZO_ARG_TEXT) {
        *(const char **)a->out = value;
        return ZO_OK;
    }
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (end != value && *end == '\0' && n < 0) {
        return zo_fail(err, ZO_EINPUT, "%s is %.40s; expected a whole number that is not negative", a->name, value);
    }
    if (errno != 0 || end == value || *end != '\0') {
        return zo_fail(err, ZO_EINPUT, "%s is \"%.40s\"; expected a whole number of at least 0", a->name, value);
    }
    *(int64_t *)a->out = n;
    return ZO_OK;
}

zo_status zo_args_read(int argc, char **argv, const zo_arg *table, const char **word, int least, int most, int *words, const char *usage,
                       zo_err *err)
{
    const char *command = argv[0];
    bool options = true;
    int n = 0;
    for (int i = 1; i < argc; i++) {
        const char *at = argv[i];
        if (options && strcmp(at, "--") == 0) {
            options = false;
            continue;
        }
        if (!options || at[0] != '-' || at[1] == '\0') {
            if (n == most) {
                return zo_fail(err, ZO_EINPUT, "\"%.100s\" is one word too many; usage: %s", at, usage);
            }
            word[n++] = at;
            continue;
        }
        int length = (int)strcspn(at, "=");
        const zo_arg *a = table;
        while (a->name != NULL && !((int)strlen(a->name) == length && memcmp(a->name, at, (size_t)length) == 0)) {
            a++;
        }
        if (a->name == NULL) {
            return fail_option(table, at, length, command, err);
        }
        if (a->type == ZO_ARG_FLAG) {
            if (at[length] == '=') {
                return zo_fail(err, ZO_EINPUT, "%s takes no value", a->name);
            }
            *(bool *)a->out = true;
            continue;
        }
        const char *value = at[length] == '=' ? at + length + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL) {
            return zo_fail(err, ZO_EINPUT, "%s wants a value; usage: %s", a->name, usage);
        }
        zo_status status = read_value(a, value, err);
        if (status != ZO_OK) {
            return status;
        }
    }
    if (n < least) {
        return zo_fail(err, ZO_EINPUT, "something is missing; usage: %s", usage);
    }
    if (words != NULL) {
        *words = n;
    }
    return ZO_OK;
}
