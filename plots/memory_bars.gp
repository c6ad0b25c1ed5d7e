# title: Peak memory of training by model and method
# caption: mean over seeds
# x: peak memory (MB)
# bars: beside
# needs: finished training runs
# sql: SELECT task_text || ', ' || form || filled || ', batch ' || batch || ', context ' || context AS panel, over_models, model AS x, avg(k.bytes) / 1e6 AS mb,
#             group_concat(r.run) AS runs
#      FROM trained r JOIN peaks k ON k.run = r.run AND k.phase = 'train' WHERE r.status <> 'oom' GROUP BY panel, model, over_models ORDER BY panel, model, over_models
array longest[panels]
do for [p = 1:panels] { stats panel_data[p] using 2 nooutput; longest[p] = STATS_max }
@begin
do for [panel = 1:panels] {
    @frame
    set xrange [0:1.08 * longest[panel]]; set xtics tic_step(longest[panel])
    mark_place = 0.025 * longest[panel]
    @side_bars
}
@legend
@key_boxes
