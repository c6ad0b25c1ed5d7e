# title: Training loss against device-hours
# caption: evaluation excluded; mean over seeds, moving average of 10 rows
# needs: finished training runs with at least two recorded steps
# sql: SELECT cell AS panel, label, avg(hours) AS x, avg(smooth) AS y
#      FROM (SELECT s.run, s.step, r.cell, r.label, s.train_seconds / 3600.0 AS hours,
#                   avg(s.loss) OVER (PARTITION BY s.run ORDER BY s.step ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS smooth
#            FROM steps s JOIN trained r USING (run) WHERE s.loss IS NOT NULL)
#      GROUP BY panel, label, step ORDER BY panel, label, step
@begin
set xlabel "device-hours (log scale)"; set ylabel "training loss"
set logscale x; set format x "10^{%T}"
do for [panel = 1:panels] {
    @frame
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with lines linestyle s
}
@legend
plot for [s = 1:series] NaN with lines linestyle s title series_title[s] noenhanced
