# title: Training loss against work
# caption: mean over seeds; band: lowest to highest seed; moving average of 10 rows; a frame ends at 3 times the largest first loss
# remarks: marks loss_alive cut
# x: work in plain forwards of the mean batch (log scale)
# y: training loss
# needs: finished training runs with at least two recorded steps
# sql: SELECT panel, label, work AS x, y, low, high, alive, seeds, counted, crossed, 0, most, runs FROM loss_points WHERE work > 0 ORDER BY panel, label, step
array most[panels]
do for [p = 1:panels] { stats panel_data[p] using 10 nooutput; most[p] = STATS_max }
@begin
set logscale x
do for [panel = 1:panels] {
    @frame
    @log_x
    set yrange [*:* < most[panel]]
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:3:4 with filledcurves linecolor rgb colour_of(s) fillstyle transparent solid 0.12 noborder title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2:(mark($5, $6, $7, $8, $9)) with labels offset 0, 0.8 textcolor rgb colour_of(s) noenhanced title series_title[s]
}
@legend
@key_lines
