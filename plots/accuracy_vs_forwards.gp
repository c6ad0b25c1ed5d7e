# title: Dev accuracy against forward passes
# caption: mean over seeds; band: lowest to highest seed
# needs: runs with dev evaluations (dev > 0 and eval_every > 0)
# sql: SELECT r.cell AS panel, r.label, avg(e.forwards) AS x,
#             100 * avg(e.accuracy) AS y, 100 * min(e.accuracy) AS low, 100 * max(e.accuracy) AS high
#      FROM evaluations e JOIN trained r USING (run) WHERE e.split = 'dev' AND e.forwards > 0
#      GROUP BY panel, r.label, e.step ORDER BY panel, r.label, e.step
@begin
set xlabel "forward passes of one batch (log scale)"; set ylabel "dev accuracy (%)"
set logscale x
do for [panel = 1:panels] {
    @frame
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:3:4 with filledcurves linecolor rgb colour_of(s) fillstyle transparent solid 0.12 noborder, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s
}
@legend
plot for [s = 1:series] NaN with linespoints linestyle s title series_title[s] noenhanced
