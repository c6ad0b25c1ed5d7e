# title: Peak memory of training against the size of the model
# caption: a line joins models of one method and setting
# x: parameters of the model (millions, log scale)
# y: peak memory (MB, log scale)
# needs: runs of one method on models of different sizes
# sql: WITH p AS (SELECT task_text || ', ' || form || filled || CASE WHEN study THEN '' ELSE ', evaluated' END || ', batch ' || batch || ', context ' || context AS panel,
#                        over_models, r.parameters / 1e6 AS x, avg(k.bytes) / 1e6 AS mb, group_concat(r.run) AS runs
#                 FROM shown r JOIN peaks k ON k.run = r.run AND k.phase = 'train' WHERE r.status <> 'oom' AND r.parameters > 0 GROUP BY panel, over_models, model, x)
#      SELECT panel, over_models, x, mb, runs FROM p WHERE (SELECT count(DISTINCT x) FROM p q WHERE q.panel = p.panel AND q.over_models = p.over_models) > 1
#      ORDER BY panel, over_models, x
@begin
set logscale xy
do for [panel = 1:panels] {
    @frame
    @log_x
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s title series_title[s] noenhanced
}
@legend
@key_lines
