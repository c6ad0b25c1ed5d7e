# title: Dev score against work
# caption: work: floating-point operations of training, backward passes included; mean over seeds; band: lowest to highest seed
# remarks: marks dev_alive starts cut
# x: work in plain forwards of the mean batch (log scale)
# y: dev {metric}
# needs: runs with dev evaluations (dev > 0 and eval_every > 0)
# sql: SELECT panel, label, work AS x, y, low, high, alive, seeds, counted, crossed, 0, runs FROM dev_points WHERE work > 0
#      UNION ALL SELECT panel, label, work, y, NULL, NULL, 0, 0, 0, 0, 0, NULL FROM dev_levels WHERE work > 0 ORDER BY 1, 2, 3
@begin
set logscale x
do for [panel = 1:panels] {
    @frame
    @log_x
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:3:4 with filledcurves linecolor rgb colour_of(s) fillstyle transparent solid 0.12 noborder title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2:(mark($5, $6, $7, $8, $9)) with labels offset 0, 0.8 textcolor rgb colour_of(s) noenhanced title series_title[s]
}
@legend
@key_lines
