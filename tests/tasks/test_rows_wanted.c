/* test_rows_wanted.c: which of a task's files are read. Every mixture of split, counts and "only evaluated", over folders that hold the train
 * file, the validation file, both or none: it opens exactly where what it wants is there. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io.h"
#include "tasks/task.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64];

static void put(const char *name, const char *text)
{
    char path[300];
    zo_err err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(zo_write_file(path, text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

START_TEST(only_what_is_wanted_is_read)
{
    static const char rows[] = "sentence\tlabel\na good one\t1\na bad one\t0\na fine one\t1\na poor one\t0\n";
    static const char *const data[] = {"none", "train", "validation", "both"};
    for (int d = 0; d < 4; d++) {
        char path[200];
        zo_err err = {0};
        snprintf(path, sizeof path, "%s/%s/glue/SST-2", folder, data[d]);
        ck_assert_msg(zo_make_dirs(path, &err) == ZO_OK, "%s", err.text);
        for (int file = 0; file < 2; file++) {
            if (d >> file & 1) {
                snprintf(path, sizeof path, "%s/glue/SST-2/%s.tsv", data[d], file ? "dev" : "train");
                put(path, rows);
            }
        }
        snprintf(path, sizeof path, "%s/%s", folder, data[d]);
        for (int setting = 0; setting < 32; setting++) {
            bool first = setting & 1, only = setting & 2, train = setting & 4, dev = setting & 8, test = setting & 16;
            bool wants_train = (train && !only) || (dev && !first), wants_validation = test || (dev && first);
            zo_dataset_spec spec = {.task = "sst2", .form = ZO_FORM_HEAD, .data_dir = path, .context = 16, .evaluate_only = only,
                                    .scheme = first ? ZO_SPLIT_FIRST : ZO_SPLIT_DRAWN,
                                    .count = {[ZO_TRAIN] = train, [ZO_DEV] = dev, [ZO_TEST] = test}};
            uint64_t print;
            zo_err said = {0};
            bool opened = zo_dataset_fingerprint(&spec, &print, &said) == ZO_OK, there = (!wants_train || d & 1) && (!wants_validation || d & 2);
            ck_assert_msg(opened == there, "split %s, train %d, dev %d, test %d%s, files there: %s: %s", first ? "first" : "drawn", train, dev, test,
                          only ? ", only evaluated" : "", data[d], opened ? "opened, and a file that it needs is absent" : said.text);
        }
    }
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "build/test_rows_wanted.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    TCase *t = tcase_create("rows");
    tcase_add_test(t, only_what_is_wanted_is_read);
    Suite *suite = suite_create("rows");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(folder);
    return failed != 0;
}
