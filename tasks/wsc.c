/* wsc.c: Winograd schemas (SuperGLUE): does a pronoun refer to a phrase. The phrases are mended as the hub's "wsc.fixed" mends them,
 * which MeZO reads: where a span is not in the text, its first letter takes the case of the text's word, a final period goes, and a
 * line break becomes a space. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/task_impl.h"

#define KEYS .format = ZO_FORMAT_JSONL, .label = "label", .field = {"text", "target.span1_text", "target.span2_text", "target.span1_index"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "superglue/WSC/train.jsonl", KEYS},
    {.part = ZO_FILE_VALIDATION, .path = "superglue/WSC/val.jsonl", KEYS},
    {.format = ZO_FORMAT_END},
};

/* First letter of word `index` (from 0, words apart by white space), or NUL. */
static char word_start(const char *text, long index)
{
    for (;; index--) {
        while (isspace((unsigned char)*text)) {
            text++;
        }
        if (*text == '\0' || index <= 0) {
            return *text;
        }
        while (*text && !isspace((unsigned char)*text)) {
            text++;
        }
    }
}

static void mend_span(char *span, const char *text, char first)
{
    if (strstr(text, span) || strcmp(span, "Kamenev and Zinoviev") == 0 || strcmp(span, "Kamenev, Zinoviev, and Stalin") == 0) {
        return;
    }
    if (first) {
        span[0] = (char)(islower((unsigned char)first) ? tolower((unsigned char)span[0]) : toupper((unsigned char)span[0]));
    }
    for (size_t n = strlen(span); n && span[n - 1] == '.'; n--) {
        span[n - 1] = '\0';
    }
    for (char *at = span; *at; at++) {
        *at = *at == '\n' ? ' ' : *at;
    }
}

static void mend_spans(zo_record *record, zo_table *storage)
{
    record->field[1] = zo_table_text(storage, record->field[1], strlen(record->field[1]));
    record->field[2] = zo_table_text(storage, record->field[2], strlen(record->field[2]));
    mend_span(record->field[1], record->field[0], word_start(record->field[0], strtol(record->field[3], NULL, 10)));
    mend_span(record->field[2], record->field[0], '\0'); /* its case does not matter: the prompt lower-cases the pronoun */
    for (char *at = record->field[2]; *at; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
}

const zo_task zo_task_wsc = {
    .info = {.name = "wsc", .title = "WSC: does a pronoun refer to a phrase", .headline = ZO_ACCURACY, .classes = 2, .files = "superglue/WSC/{train,val}.jsonl"},
    .label = {"false|0", "true|1"},
    .source = sources,
    .prompt = "{0}\nIn the previous sentence, does the pronoun \"{2}\" refer to {1}? Yes or No?\n",
    .option = {"No", "Yes"},
    .prepare = mend_spans,
};
