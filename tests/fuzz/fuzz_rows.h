/* fuzz_rows.h: bytes read as a file of a task: what must hold of every row that comes out, and of every refusal. Test code only. */
#ifndef ZO_TESTS_FUZZ_ROWS_H
#define ZO_TESTS_FUZZ_ROWS_H

#include <string.h>
#include <utf8proc.h>

#include "core/mem.h"
#include "tasks/task_impl.h"

/* The first byte chooses among the sources of all tasks whose format is in `formats` (a bit each), the others are the file. */
static inline void fuzz_rows(const uint8_t *data, size_t size, unsigned formats)
{
    const zo_task_info *info;
    const zo_task *task = NULL;
    const zo_source *source = NULL;
    int n = zo_task_list(&info), sources = 0;
    for (int pass = 0; pass < 2 && size > 0; pass++) {
        int chosen = pass ? data[0] % sources : -1, at = 0;
        for (int k = 0; k < n && !source; k++) {
            task = zo_task_find(info[k].name, NULL, NULL);
            for (const zo_source *s = task->source; s && s->format != ZO_FORMAT_END; s++) {
                if (formats >> s->format & 1 && at++ == chosen) {
                    source = s;
                    break;
                }
            }
        }
        sources = at;
    }
    if (!source) {
        return;
    }
    char *text = zo_alloc(ZO_HOST, ZO_TAG_DATA, size); /* of its very length, so that a reader beyond it is seen */
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    zo_table table = {0}, storage = {0};
    zo_err err = {0};
    if (zo_source_parse(task, source, "file", text, size - 1, &table, &err)) {
        ZO_CHECK(err.status && err.text[0] && !strchr(err.text, '\n'), "a refusal of task %s says \"%s\"", task->info.name, err.text);
    } else {
        for (int64_t k = 0; k < table.n; k++) {
            zo_record *record = &table.record[k];
            int32_t classes = record->own ? record->own->n : task->info.writes ? 1 : task->info.classes;
            ZO_CHECK(record->label >= 0 && record->label < classes && record->share >= 0 && record->share <= 1, "label %d of task %s", record->label, task->info.name);
            ZO_CHECK(!record->own == !source->candidates && (!record->own || record->own->right[record->label]), "candidates of task %s", task->info.name);
            if (task->prepare) {
                task->prepare(record, &storage);
            }
            for (int f = 0; f < ZO_TASK_FIELDS && source->field[f]; f++) {
                const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)record->field[f];
                utf8proc_int32_t c;
                for (utf8proc_ssize_t step; *at; at += step) {
                    step = utf8proc_iterate(at, -1, &c);
                    ZO_CHECK(step > 0, "field %d of task %s is not UTF-8", f, task->info.name);
                }
            }
        }
    }
    zo_free(text);
    zo_table_free(&table);
    zo_table_free(&storage);
}

#endif
