/* table_json.c: an array of objects as it is, as JSON that drives no terminal. */
#include <cjson/cJSON.h>

#include "core/mem.h"
#include "core/text.h"
#include "results/table.h"

void zo_table_print_json(FILE *out, const cJSON *rows)
{
    char *json = cJSON_Print(rows), *text = zo_text_plain_json(json);
    fprintf(out, "%s\n", text);
    zo_free(text);
    cJSON_free(json);
}
