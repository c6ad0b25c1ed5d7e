# title: Final score by method and task
# caption: mean over seeds; whisker: one standard deviation
# remarks: selected marks cut
# x: {metric}
# bars: beside
# needs: finished runs with an evaluation
# sql: SELECT model || ', ' || form || filled || ', batch ' || batch || ', context ' || context || metric_note AS panel, label, task_text AS x,
#             100 * avg(metric_value) AS y,
#             100 * sqrt(max(0, avg(metric_value * metric_value) - avg(metric_value) * avg(metric_value)) * count(*) / max(1, count(*) - 1)) AS deviation,
#             max(marked) AS crossed, group_concat(run) AS runs
#      FROM trained WHERE metric_value IS NOT NULL GROUP BY panel, label, task, metric ORDER BY panel, task_text, label
@begin
set xrange [* < 0:105]; set xtics tic_step(100)
mark_place = 2.5
do for [panel = 1:panels] {
    @frame
    @side_bars, \
         for [s = 1:series] panel_data[panel] index s - 1 using ($2 - $3):(middle(panel, $1, s)):(2 * $3):(0) with vectors nohead linecolor rgb "#444444" linewidth 1 title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using (past_mark($2, $2 + $3)):(middle(panel, $1, s)):(mark(1, 1, 0, $4, 0)) with labels left offset 0.4, 0 noenhanced title series_title[s]
}
@legend
@key_boxes
