# title: Stable rank of the way by layer
# caption: the way of each matrix up to the last step looked at, mean over those of a layer; mean over seeds; band: lowest to highest seed
# x: transformer block
# y: stable rank (log scale)
# needs: runs that zo profile has looked at
# sql: SELECT r.cell_text AS panel, r.label, p.layer AS x, avg(p.value) AS y, min(p.value) AS low, max(p.value) AS high, group_concat(run) AS runs
#      FROM profile p JOIN trained r USING (run)
#      WHERE p.figure = 'rank' AND p.layer >= 0 AND p.step = (SELECT max(step) FROM profile q WHERE q.run = p.run) GROUP BY panel, label, p.layer ORDER BY panel, label, p.layer
array longest[panels]
do for [p = 1:panels] { stats panel_data[p] using 1 nooutput; longest[p] = STATS_max }
@begin
set logscale y
do for [panel = 1:panels] {
    @frame
    set xtics larger(1, tic_step(longest[panel]))
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:3:4 with filledcurves linecolor rgb colour_of(s) fillstyle transparent solid 0.12 noborder title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s title series_title[s] noenhanced
}
@legend
@key_lines
