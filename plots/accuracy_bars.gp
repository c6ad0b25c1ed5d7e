# title: Final score by method and task
# caption: mean over seeds; whisker: one standard deviation
# remarks: selected marks cut
# needs: finished runs with an evaluation
# sql: SELECT model || ', ' || form || filled || ', batch ' || batch || ', context ' || context || metric_note AS panel, label, task_text AS x,
#             100 * avg(metric_value) AS y,
#             100 * sqrt(max(0, avg(metric_value * metric_value) - avg(metric_value) * avg(metric_value)) * count(*) / max(1, count(*) - 1)) AS deviation,
#             max(marked) AS crossed
#      FROM trained WHERE metric_value IS NOT NULL GROUP BY panel, label, task, metric ORDER BY panel, task_text, label
@begin
set ylabel metric_text noenhanced; set yrange [* < 0:105]
width = 0.8 / series
middle(x, s) = x - 0.4 + (s - 0.5) * width
set boxwidth width * 0.92
do for [panel = 1:panels] {
    @frame
    plot for [s = 1:series] panel_data[panel] index s - 1 using (middle($1, s)):2 with boxes linecolor rgb colour_of(s) fillstyle solid solid_of(s), \
         for [s = 1:series] panel_data[panel] index s - 1 using (middle($1, s)):($2 - $3):(0):(2 * $3) with vectors nohead linecolor rgb "#444444" linewidth 1.5, \
         for [s = 1:series] panel_data[panel] index s - 1 using (middle($1, s)):($2 + $3):(mark(1, 1, 0, $4, 0)) with labels offset 0, 0.6 noenhanced
}
@legend
plot for [s = 1:series] NaN with boxes linecolor rgb colour_of(s) fillstyle solid solid_of(s) title series_title[s] noenhanced
