# title: Training loss against device-hours
# caption: evaluation excluded; mean over seeds, moving average of 10 rows; a frame ends at 3 times the largest first loss
# remarks: marks alive timing cut
# needs: finished training runs with at least two recorded steps
# sql: SELECT panel, label, hours AS x, y, alive, seeds, counted, crossed, starred, most FROM loss_points WHERE hours > 0 ORDER BY panel, label, step
array most[panels]
do for [p = 1:panels] { stats panel_data[p] using 8 nooutput; most[p] = STATS_max }
@begin
set xlabel "device-hours (log scale)"; set ylabel "training loss"
set logscale x; set format x "10^{%T}"
do for [panel = 1:panels] {
    @frame
    set yrange [*:* < most[panel]]
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with lines linestyle s, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2:(mark($3, $4, $5, $6, $7)) with labels offset 0, 0.8 textcolor rgb colour_of(s) noenhanced
}
@legend
plot for [s = 1:series] NaN with lines linestyle s title series_title[s] noenhanced
