/* budgets.c: see budgets.h. */
#include "results/budgets.h"

#include "results/database.h"

zo_status zo_results_budget_begin(zo_results *r, zo_err *err)
{
    return zo_db_begin(r, err);
}

zo_status zo_results_budget_end(zo_results *r, zo_status status, zo_err *err)
{
    return zo_db_end(r, status, err);
}

zo_status zo_results_budget(zo_results *r, const char *plan, double seconds, const zo_budget_row *row, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "INSERT OR REPLACE INTO budgets (plan, seconds, hash, ran, config, why) VALUES (?, ?, ?, ?, ?, ?)", &b, err);
    if (status == ZO_OK) {
        zo_put_text(&b, plan);
        zo_put_real(&b, seconds);
        zo_put_text(&b, row->hash);
        zo_put_text(&b, row->ran);
        zo_put_text(&b, row->config);
        zo_put_text(&b, row->why);
        status = zo_db_step_last(&b, err);
    }
    return status;
}
