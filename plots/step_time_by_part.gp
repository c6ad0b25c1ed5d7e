# title: Time of the mean training step by what it is spent on
# caption: mean over seeds
# remarks: timing
# x: time of the mean step (ms)
# needs: finished training runs
# sql: SELECT panel, part, label AS x, top - ms AS low, top AS high, disturbed AND place = max(place) OVER (PARTITION BY panel, label) AS starred, runs FROM (
#        SELECT *, sum(ms) OVER (PARTITION BY panel, label ORDER BY place) AS top FROM (
#          SELECT r.cell_text AS panel, coalesce(s.printed, p.part) AS part, s.place, r.label, avg(p.ms) AS ms, max(r.disturbed) AS disturbed, group_concat(run) AS runs
#          FROM parts p JOIN trained r USING (run) LEFT JOIN temp.style s ON s.kind = 'part' AND s.name = p.part WHERE p.ms > 0 GROUP BY panel, p.part, r.label))
#      ORDER BY panel, place, label
array longest[panels]
do for [p = 1:panels] { stats panel_data[p] using 3 nooutput; longest[p] = STATS_max }
@begin
set xrange [0:*]
do for [panel = 1:panels] {
    @frame
    set xtics tic_step(longest[panel])
    plot for [s = 1:series] panel_data[panel] index s - 1 using 2:1:2:3:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb colour_of(s) title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 2:1:2:3:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb hatch_colour(s) fillstyle transparent pattern hatch_of(s) title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 3:1:(mark(1, 1, 0, 0, $4)) with labels left offset 0.3, 0 noenhanced title series_title[s]
}
@legend
@key_hatched
