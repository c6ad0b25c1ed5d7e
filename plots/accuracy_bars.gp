# title: Final accuracy by method and task
# caption: mean over seeds; whisker: one standard deviation
# needs: finished runs with an accuracy
# sql: SELECT model || ', ' || form || filled || ', batch ' || batch || ', context ' || context AS panel, label, task AS x, 100 * avg(accuracy) AS y,
#             100 * sqrt(max(0, avg(accuracy * accuracy) - avg(accuracy) * avg(accuracy)) * count(*) / max(1, count(*) - 1)) AS deviation
#      FROM trained WHERE accuracy IS NOT NULL GROUP BY panel, label, task ORDER BY panel, task, label
@begin
set ylabel "accuracy (%)"; set yrange [0:105]
width = 0.8 / series
@texts
set boxwidth width * 0.92
do for [panel = 1:panels] {
    @frame
    plot for [s = 1:series] panel_data[panel] index s - 1 using ($1 - 0.4 + (s - 0.5) * width):2 with boxes linecolor rgb colour_of(s) fillstyle solid solid_of(s), \
         for [s = 1:series] panel_data[panel] index s - 1 using ($1 - 0.4 + (s - 0.5) * width):($2 - $3):(0):(2 * $3) with vectors nohead linecolor rgb "#444444" linewidth 1.5
}
@legend
plot for [s = 1:series] NaN with boxes linecolor rgb colour_of(s) fillstyle solid solid_of(s) title series_title[s] noenhanced
