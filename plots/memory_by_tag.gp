# title: Peak memory of training by what it holds
# caption: ledger bytes at the moment of the peak
# needs: finished training runs
# sql: SELECT panel, tag, label AS x, top - mb AS low, top AS high FROM (
#        SELECT panel, tag, place, label, mb, sum(mb) OVER (PARTITION BY panel, label ORDER BY place) AS top FROM (
#          SELECT r.cell_text AS panel, coalesce(s.printed, m.tag) AS tag, s.place, r.label, avg(m.bytes) / 1e6 AS mb
#          FROM memory m JOIN trained r USING (run) LEFT JOIN temp.style s ON s.kind = 'tag' AND s.name = m.tag
#          WHERE m.phase = 'train' AND r.status <> 'oom' GROUP BY panel, m.tag, r.label))
#      ORDER BY panel, place, label
@begin
set ylabel "peak memory (MB)"; set yrange [0:*]
do for [panel = 1:panels] {
    @frame
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:2:($1 - 0.36):($1 + 0.36):2:3 with boxxyerror linecolor rgb colour_of(s)
}
@legend
plot for [s = series:1:-1] NaN with boxes linecolor rgb colour_of(s) title series_title[s] noenhanced
