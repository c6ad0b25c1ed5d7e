# title: Time of a training step by model and method
# caption: mean over seeds
# remarks: timing
# x: time of the mean step (ms)
# bars: beside
# needs: finished training runs
# sql: SELECT task_text || ', ' || form || filled || ', batch ' || batch || ', context ' || context AS panel, over_models, model AS x, avg(step_ms) AS ms, max(disturbed) AS starred,
#             group_concat(run) AS runs
#      FROM trained WHERE step_ms > 0 GROUP BY panel, model, over_models ORDER BY panel, model, over_models
array longest[panels]
do for [p = 1:panels] { stats panel_data[p] using 2 nooutput; longest[p] = STATS_max }
@begin
do for [panel = 1:panels] {
    @frame
    set xrange [0:1.08 * longest[panel]]; set xtics tic_step(longest[panel])
    mark_place = 0.025 * longest[panel]
    @side_bars, \
         for [s = 1:series] panel_data[panel] index s - 1 using (past_mark($2, $2)):(middle(panel, $1, s)):(mark(1, 1, 0, 0, $3)) with labels left offset 0.4, 0 noenhanced title series_title[s]
}
@legend
@key_boxes
