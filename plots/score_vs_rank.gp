# title: Final score against the rank of the directions
# caption: mean over seeds; band: lowest to highest seed
# remarks: selected marks cut
# x: rank (log scale)
# y: {metric}
# needs: runs that differ in nothing but the rank, at least two of them
# sql: WITH p AS (SELECT cell_text || metric_note AS panel, json_extract(config, '$.optimizer.rank') AS x, 100 * metric_value AS value, label, marked, run
#                 FROM trained WHERE metric_value IS NOT NULL),
#           q AS (SELECT panel, replace(label, ' rank ' || x, '') AS line, x, avg(value) AS y, min(value) AS low, max(value) AS high,
#                       max(marked) AS crossed, group_concat(run) AS runs FROM p WHERE x > 0 GROUP BY 1, 2, 3)
#      SELECT panel, line, x, y, low, high, crossed, runs FROM q WHERE (SELECT count(*) FROM q o WHERE o.panel = q.panel AND o.line = q.line) > 1 ORDER BY panel, line, x
@octaves
@begin
set logscale x 2
do for [panel = 1:panels] {
    @frame
    set xtics octave_from[panel], octave_by[panel]
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:3:4 with filledcurves linecolor rgb colour_of(s) fillstyle transparent solid 0.12 noborder title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 1:2:(mark(1, 1, 0, $5, 0)) with labels offset 0, 0.8 textcolor rgb colour_of(s) noenhanced title series_title[s]
}
@legend
@key_lines
