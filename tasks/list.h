/* list.h: the order of `zo list tasks`, a line a task. CODE(identifier): a task that prepares its text has a C file with a
 * zo_task_<identifier>, and must stand here. DESCRIBED(name): a place for the description NAME.json of this folder; a description without a
 * place comes after all others, by name. */
#define ZO_TASK_LIST(CODE, DESCRIBED) \
    DESCRIBED(sst2)                   \
    DESCRIBED(sst5)                   \
    DESCRIBED(cola)                   \
    DESCRIBED(trec)                   \
    DESCRIBED(mrpc)                   \
    DESCRIBED(qnli)                   \
    DESCRIBED(mnli)                   \
    DESCRIBED(rte)                    \
    DESCRIBED(cb)                     \
    CODE(boolq)                       \
    CODE(wsc)                         \
    DESCRIBED(wic)                    \
    DESCRIBED(multirc)                \
    CODE(copa)                        \
    CODE(record)                      \
    DESCRIBED(squad)                  \
    DESCRIBED(drop)                   \
    DESCRIBED(snli)                   \
    DESCRIBED(qqp)                    \
    DESCRIBED(stsb)                   \
    DESCRIBED(mr)                     \
    DESCRIBED(cr)                     \
    DESCRIBED(mpqa)                   \
    DESCRIBED(subj)                   \
    DESCRIBED(ag_news)                \
    CODE(synth_sentiment)             \
    CODE(synth_entailment)            \
    CODE(synth_acceptability)         \
    CODE(synth_lengths)
