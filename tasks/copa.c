/* copa.c: Choice of Plausible Alternatives (SuperGLUE): cause or effect of a premise. MeZO trains it by teacher forcing on the right
 * alternative alone and predicts by the mean log-probability of each.
 *
 * The training loss is the mean over all target tokens of the batch, as a language model's loss is in transformers: a long alternative
 * weighs more than a short one. The loss of dev and test is the mean over examples of their means, so the two are not on one scale. */
#include <string.h>

#include "tasks/task_impl.h"

static zo_status check_question(zo_record *record, zo_table *table, const char *where, zo_err *err)
{
    (void)table;
    const char *question = record->field[3];
    if (strcmp(question, "cause") == 0 || strcmp(question, "effect") == 0) {
        return ZO_OK;
    }
    return zo_fail(err, ZO_EINPUT, "%s: the question is \"%.40s\"; \"cause\" or \"effect\" was expected", where, question);
}

#define KEYS .label = "label", .field = {"premise", "choice1", "choice2", "question"}, .finish = check_question

static const zo_source sources[] = {
    ZO_EXPORT(0, "superglue/COPA", KEYS),
    {.format = ZO_FORMAT_END},
};

/* The first word in lower case, "I" excepted. */
static char *lower_first_word(const char *text, zo_table *storage)
{
    size_t word = strcspn(text, " ");
    return zo_text_lower(storage, text, word == 1 && text[0] == 'I' ? 0 : word);
}

static void shape_premise(zo_record *record, zo_table *storage)
{
    const char *premise = record->field[0];
    size_t n = strlen(premise);
    zo_strip_right(premise, &n);
    n -= n && premise[n - 1] == '.';
    record->field[3] = strcmp(record->field[3], "effect") == 0 ? zo_table_printf(storage, "so") : zo_table_printf(storage, "because");
    record->field[0] = zo_table_printf(storage, "%.*s %s", (int)n, premise, record->field[3]);
    record->field[1] = lower_first_word(record->field[1], storage);
    record->field[2] = lower_first_word(record->field[2], storage);
}

const zo_task zo_task_copa = {
    .info = {.name = "copa", .title = "COPA: the likelier cause or effect", .headline = ZO_ACCURACY, .classes = 2, .files = "superglue/COPA/{train,val}.jsonl"},
    .label = {"0", "1"},
    .source = sources,
    .prompt = "{0} ",
    .option = {"{1}", "{2}"},
    .free_prompt = "{3} ",
    .prepare = shape_premise,
    .teacher_forcing = true,
};
