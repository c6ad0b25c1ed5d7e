/* wsc.c: Winograd schemas (SuperGLUE): does a pronoun refer to a phrase. The phrases are mended as the hub's "wsc.fixed" mends them,
 * which MeZO reads: where a span is not in the text, its first letter takes the case of the text's word, a final period goes, and a
 * line break becomes a space. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "tasks/task_impl.h"

/* The word `index` (from 0) of a text cut at Python's white space, or NULL where there are fewer. */
static const char *word_at(const char *text, long index)
{
    size_t left = strlen(text);
    for (zo_strip_left(&text, &left); left > 0 && index > 0; index--) {
        const char *word = text;
        while (left > 0 && text == word) { /* until white space comes off */
            utf8proc_int32_t c;
            utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, &c);
            word = text += bytes;
            left -= (size_t)bytes;
            zo_strip_left(&text, &left);
        }
    }
    return left > 0 ? text : NULL;
}

/* Span `k` of a row (1 or 2): its index is a word of the text, and it stands in the text as it is or mended. */
static zo_status mend_span(zo_record *record, int k, zo_table *table, const char *where, zo_err *err)
{
    const char *text = record->field[0], *span = record->field[k], *index = record->field[k + 2];
    const char *word = strspn(index, "0123456789") == strlen(index) && strlen(index) < 10 ? word_at(text, strtol(index, NULL, 10)) : NULL;
    if (!word) {
        return zo_fail(err, ZO_EINPUT, "%s: span%d_index is %.20s, which is no word of the text; mend or remove the row", where, k, index);
    }
    /* The hub leaves these two as they are: the text has words between theirs. */
    if (strstr(text, span) || strcmp(span, "Kamenev and Zinoviev") == 0 || strcmp(span, "Kamenev, Zinoviev, and Stalin") == 0) {
        return ZO_OK;
    }
    utf8proc_int32_t first;
    utf8proc_iterate((const utf8proc_uint8_t *)word, -1, &first);
    char *mended = utf8proc_category(first) == UTF8PROC_CATEGORY_LL ? zo_text_lower(table, span, 1) : zo_text_capital(table, span);
    for (size_t n = strlen(mended); n && mended[n - 1] == '.'; n--) {
        mended[n - 1] = '\0';
    }
    for (char *at = mended; *at; at++) {
        *at = *at == '\n' ? ' ' : *at;
    }
    if (!mended[0] || !strstr(text, mended)) {
        return zo_fail(err, ZO_EINPUT, "%s: span%d_text \"%.60s\" does not stand in the text; mend or remove the row", where, k, span);
    }
    record->field[k] = mended;
    return ZO_OK;
}

static zo_status mend_spans(zo_record *record, zo_table *table, const char *where, zo_err *err)
{
    zo_status status = mend_span(record, 1, table, where, err);
    return status ? status : mend_span(record, 2, table, where, err);
}

#define KEYS .label = "label", .finish = mend_spans,                                                                    \
    .field = {"text", "target.span1_text|span1_text", "target.span2_text|span2_text", "target.span1_index|span1_index", \
              "target.span2_index|span2_index"}

static const zo_source sources[] = {
    ZO_EXPORT(0, "superglue/WSC", KEYS),
    {.format = ZO_FORMAT_END},
};

static void lower_pronoun(zo_record *record, zo_table *storage)
{
    record->field[2] = zo_text_lower(storage, record->field[2], strlen(record->field[2]));
}

const zo_task zo_task_wsc = {
    .info = {.name = "wsc", .title = "WSC: does a pronoun refer to a phrase", .headline = ZO_ACCURACY, .classes = 2, .files = "superglue/WSC/{train,val}.jsonl"},
    .label = {"false|0", "true|1"},
    .source = sources,
    .prompt = "{0}\nIn the previous sentence, does the pronoun \"{2}\" refer to {1}? Yes or No?\n",
    .option = {"No", "Yes"},
    .prepare = lower_pronoun,
};
