/* identity.h: what makes two runs runs of the same thing: the settings, and fingerprints of what they name on this machine now. */
#ifndef ZO_BENCH_MATRIX_IDENTITY_H
#define ZO_BENCH_MATRIX_IDENTITY_H

#include "bench/cell/setup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fingerprints that were made, so that the cells of one model or one set of rows ask once. */
typedef struct zo_identities zo_identities;
zo_identities *zo_identities_new(const zo_setup_dirs *dirs); /* borrows */
void zo_identities_free(zo_identities *identities);          /* NULL is allowed */

/* Never fails: what cannot be read (a model that is not made yet, files that are not there) is "" and left to the cell itself, which says what is
 * wrong. `folder` stands for the model's folder where its name leads nowhere; NULL or "" = none. */
zo_identity zo_identity_of(zo_identities *identities, const zo_cell *cell, const char *folder);

/* Which part tells two identities of one hash apart, in words: "another model", "other data"; "" where none does. */
const char *zo_identity_difference(const zo_identity *a, const zo_identity *b);

#ifdef __cplusplus
}
#endif
#endif
