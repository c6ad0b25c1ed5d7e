# title: Peak memory of training against batch size
# caption: a line joins runs that differ in nothing else and ends where memory did not suffice
# x: batch size (log scale)
# y: peak memory (MB, log scale)
# needs: runs that differ in nothing but the batch size, at least two of them
# sql: WITH p AS (SELECT model || ', ' || task_text || ', ' || form || filled || CASE WHEN study THEN '' ELSE ', evaluated' END || ', context ' || context AS panel,
#                        line, batch AS x, avg(k.bytes) / 1e6 AS mb, group_concat(r.run) AS runs
#                 FROM shown r JOIN peaks k ON k.run = r.run AND k.phase = 'train' WHERE r.status <> 'oom' GROUP BY panel, line, x)
#      SELECT panel, line, x, mb, runs FROM p WHERE (SELECT count(*) FROM p q WHERE q.panel = p.panel AND q.line = p.line) > 1
#      ORDER BY panel, line, x
@octaves
@begin
set logscale x 2; set logscale y
do for [panel = 1:panels] {
    @frame
    set xtics octave_from[panel], octave_by[panel]
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s title series_title[s] noenhanced
}
@legend
@key_lines
