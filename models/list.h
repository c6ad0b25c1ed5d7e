/* list.h: the model families, one line each. X(suffix): zo_family_<suffix> is defined in models/<suffix>.c and its
 * `name` is config.json's model_type. */
#ifndef ZO_MODELS_LIST_H
#define ZO_MODELS_LIST_H

#define ZO_FAMILY_LIST(X) X(bert) X(roberta) X(distilbert) X(gpt2) X(opt) X(llama) X(mistral) X(qwen2) X(qwen3) X(gemma) X(gemma2) \
    X(gpt_neox) X(gptj) X(phi) X(phi3) X(gpt_neo) X(electra) X(albert) X(modernbert)

#endif
