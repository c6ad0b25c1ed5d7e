/* migrate.h: databases of older schemas brought to this one: on disk by writers, in memory by readers. Private to results/. */
#ifndef ZO_RESULTS_MIGRATE_H
#define ZO_RESULTS_MIGRATE_H

#include "results/database.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const char zo_schema_sql[]; /* results/schema.sql */

zo_status zo_db_set_version(zo_results *r, zo_err *err); /* and the application's number */

/* Is everything there that the migration from schema 1 or 2 reads? Another program's file may have the same user_version. */
bool zo_migrate_takes(zo_results *r);

/* From schema `version`, 1 to 4. A writer's file is changed, and a copy of it as it was stays beside it; a reader's is copied into memory first. */
zo_status zo_migrate(zo_results *r, int64_t version, zo_err *err);
zo_status zo_migrate_in_memory(zo_results *r, int64_t version, zo_err *err);

#ifdef __cplusplus
}
#endif

#endif
