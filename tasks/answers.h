/* answers.h: an answer in words against the right ones, as SQuAD's and ReCoRD's own scorers compare them (Rajpurkar et al. 2016): small
 * letters, without ASCII punctuation, without the words a, an and the, white space made one space. */
#ifndef ZO_TASKS_ANSWERS_H
#define ZO_TASKS_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an answer is worth: exact match, and an F1 over words of 2 shared / words, with a word counted as often as both have it. F1 is 0
 * where nothing is shared. */
typedef struct zo_credit { bool exact; int32_t shared, words; } zo_credit;

/* The most of each over the right answers gold[n], n >= 1. Texts are UTF-8. */
zo_credit zo_answer_credit(const char *answer, const char *const *gold, int n);
double zo_credit_f1(const zo_credit *credit); /* 0 to 1 */
/* The text as it is compared; the caller zo_frees it. */
char *zo_answer_normal(const char *text);

#ifdef __cplusplus
}
#endif
#endif
