# title: Peak memory of training by what it holds
# caption: ledger bytes at the moment of the peak
# x: peak memory (MB)
# needs: finished training runs
# sql: SELECT panel, tag, label AS x, top - mb AS low, top AS high, runs FROM (
#        SELECT panel, tag, place, label, mb, runs, sum(mb) OVER (PARTITION BY panel, label ORDER BY place) AS top FROM (
#          SELECT r.cell_text AS panel, coalesce(s.printed, m.tag) AS tag, s.place, r.label, avg(m.bytes) / 1e6 AS mb, group_concat(run) AS runs
#          FROM memory m JOIN trained r USING (run) LEFT JOIN temp.style s ON s.kind = 'tag' AND s.name = m.tag
#          WHERE m.phase = 'train' AND r.status <> 'oom' GROUP BY panel, m.tag, r.label))
#      ORDER BY panel, place, label
array longest[panels]
do for [p = 1:panels] { stats panel_data[p] using 3 nooutput; longest[p] = STATS_max }
@begin
set xrange [0:*]
do for [panel = 1:panels] {
    @frame
    set xtics tic_step(longest[panel])
    plot for [s = 1:series] panel_data[panel] index s - 1 using 2:1:2:3:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb colour_of(s) title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 2:1:2:3:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb hatch_colour(s) fillstyle transparent pattern hatch_of(s) title series_title[s] noenhanced
}
@legend
@key_hatched
