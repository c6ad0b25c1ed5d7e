/* list.h: every task, one line each: X(identifier of its zo_task_<identifier>). The order is that of `zo list tasks`. */
#define ZO_TASK_LIST(X)   \
    X(sst2)               \
    X(sst5)               \
    X(cola)               \
    X(trec)               \
    X(mrpc)               \
    X(qnli)               \
    X(mnli)               \
    X(rte)                \
    X(cb)                 \
    X(boolq)              \
    X(wsc)                \
    X(wic)                \
    X(copa)               \
    X(synth_sentiment)    \
    X(synth_entailment)   \
    X(synth_acceptability) \
    X(synth_lengths)
