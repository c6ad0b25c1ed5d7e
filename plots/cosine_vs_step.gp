# title: Cosine of step and steepest descent
# caption: mean over seeds; band: lowest to highest seed; of all that is trained, on the batch of the step
# x: step
# y: cosine
# needs: runs that zo profile has looked at, with the gradient
# sql: SELECT r.cell_text AS panel, r.label, p.step AS x, avg(p.value) AS y, min(p.value) AS low, max(p.value) AS high, group_concat(run) AS runs
#      FROM profile p JOIN trained r USING (run) WHERE p.figure = 'cosine' AND p.layer = -1 GROUP BY panel, label, p.step ORDER BY panel, label, p.step
array longest[panels]
do for [p = 1:panels] { stats panel_data[p] using 1 nooutput; longest[p] = STATS_max }
@begin
do for [panel = 1:panels] {
    @frame
    set xtics tic_step(longest[panel])
    plot 0 with lines linecolor rgb "#666666" linewidth 0.6 notitle, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:3:4 with filledcurves linecolor rgb colour_of(s) fillstyle transparent solid 0.12 noborder title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s title series_title[s] noenhanced
}
@legend
@key_lines
