/* samples.c: outcomes of single examples. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "results/database.h"

enum { TEXT_BYTES = 200, NUMBER_BYTES = 32 };

/* The first bytes of a text, whole characters. */
static void beginning_of(const char *text, char out[TEXT_BYTES + 1])
{
    size_t n = strlen(text);
    if (n > TEXT_BYTES) {
        n = TEXT_BYTES;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) {
            n--;
        }
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

/* "[-0.5, null]": JSON has no infinity. */
static char *list_scores(const zo_sample_row *row)
{
    size_t room = (size_t)row->scores * NUMBER_BYTES + 4, at = 1;
    char *out = zo_alloc(ZO_HOST, ZO_TAG_OTHER, room);
    out[0] = '[';
    for (int k = 0; k < row->scores; k++) {
        const char *mark = k > 0 ? ", " : "";
        at += (size_t)(isfinite(row->score[k]) ? snprintf(out + at, room - at, "%s%.9g", mark, row->score[k]) : snprintf(out + at, room - at, "%snull", mark));
    }
    out[at] = ']';
    return out;
}

static zo_status insert_sample(zo_binder *b, int64_t run, int64_t step, const char *split, int32_t index, const zo_sample_row *row, zo_err *err)
{
    char text[TEXT_BYTES + 1], *scores = list_scores(row);
    beginning_of(row->text, text);
    zo_put_int(b, run);
    zo_put_int(b, step);
    zo_put_text(b, split);
    zo_put_int(b, index);
    zo_put_int(b, row->label);
    zo_put_int(b, row->choice);
    zo_put_real(b, row->loss);
    zo_put_text(b, text);
    zo_put_int(b, row->correct);
    zo_put_text(b, scores);
    zo_put_text(b, row->source);
    zo_status status = zo_db_step(b, err);
    zo_free(scores);
    return status;
}

zo_status zo_results_samples(zo_results *r, int64_t run, int64_t step, const char *split, const zo_sample_row *row, int32_t n, zo_err *err)
{
    zo_status status = zo_db_begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_binder b;
    status = zo_db_prepare(r, "INSERT OR REPLACE INTO samples (run, step, split, row, label, choice, loss, text, correct, scores, source)"
                              " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &b, err);
    for (int32_t i = 0; i < n && status == ZO_OK; i++) {
        status = insert_sample(&b, run, step, split, i, &row[i], err);
    }
    sqlite3_finalize(b.s);
    return zo_db_end(r, status, err);
}

zo_status zo_results_has_samples(zo_results *r, int64_t run, bool *has, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "SELECT 1 FROM samples WHERE run = ? LIMIT 1", &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, run);
        *has = sqlite3_step(b.s) == SQLITE_ROW;
        sqlite3_finalize(b.s);
    }
    return status;
}
