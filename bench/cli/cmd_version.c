/* cmd_version.c: `zo version`, also `zo --version`: which release and revision this is, what it can run on, and what it was linked with. */
#include <cjson/cJSON.h>
#include <dnnl.h>
#include <lapacke.h>
#include <sqlite3.h>
#include <stdio.h>
#include <utf8proc.h>
#include <zlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "backends/list.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "core/build.h"
#include "core/output.h"

#define NAME(backend) #backend,
static const char *const backends[] = {ZO_BACKEND_LIST(NAME)};
enum { BACKENDS = sizeof backends / sizeof *backends };

/* Names as their projects write them, with the versions that are loaded now, which need not be those of the headers. */
static cJSON *libraries(void)
{
    cJSON *o = cJSON_CreateObject();
    char text[64];
    const dnnl_version_t *dnnl = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", dnnl->major, dnnl->minor, dnnl->patch);
    cJSON_AddStringToObject(o, "oneDNN", text);
    lapack_int major, minor, patch;
    LAPACKE_ilaver(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", (int)major, (int)minor, (int)patch);
    cJSON_AddStringToObject(o, "LAPACK", text);
    cJSON_AddStringToObject(o, "SQLite", sqlite3_libversion());
    cJSON_AddStringToObject(o, "cJSON", cJSON_Version());
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) <= (int)sizeof text && pcre2_config(PCRE2_CONFIG_VERSION, text) > 0) {
        cJSON_AddStringToObject(o, "PCRE2", text);
    }
    cJSON_AddStringToObject(o, "utf8proc", utf8proc_version());
    cJSON_AddStringToObject(o, "zlib", zlibVersion());
    return o;
}

int zo_cmd_version(int argc, char **argv)
{
    bool json = false;
    const zo_arg table[] = {{"--json", ZO_ARG_FLAG, &json}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    if (zo_args_read(argc, argv, table, NULL, 0, 0, NULL, "zo version [--json]", &err) != ZO_OK) {
        fprintf(stderr, "zo version: %s\n", err.text);
        return 2;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "version", ZO_VERSION);
    cJSON_AddStringToObject(o, "revision", zo_build_revision());
    cJSON_AddStringToObject(o, "compiler", __VERSION__);
    cJSON_AddStringToObject(o, "flags", zo_build_flags());
    cJSON_AddItemToObject(o, "backends", cJSON_CreateStringArray(backends, BACKENDS));
    cJSON_AddItemToObject(o, "libraries", libraries());
    if (json) {
        zo_output_json(o, false);
    } else {
        printf("zo %s (revision %s)\n%-11s%s, %s\n%-11s", ZO_VERSION, zo_build_revision(), "compiler", __VERSION__, zo_build_flags(), "backends");
        for (int i = 0; i < BACKENDS; i++) {
            printf("%s%s", i > 0 ? ", " : "", backends[i]);
        }
        printf("\n%-11s", "libraries");
        const cJSON *library;
        cJSON_ArrayForEach(library, cJSON_GetObjectItemCaseSensitive(o, "libraries")) {
            printf("%s %s%s", library->string, library->valuestring, library->next != NULL ? ", " : "\n");
        }
    }
    cJSON_Delete(o);
    return 0;
}
