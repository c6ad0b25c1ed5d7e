# title: Peak memory of training against context length
# needs: runs of one model and batch size with at least two context lengths
# sql: WITH p AS (SELECT r.model, r.task, r.form, r.context, r.label, r.batch, avg(k.bytes) / 1e6 AS mb FROM shown r
#                 JOIN peaks k ON k.run = r.run AND k.phase = 'train' GROUP BY r.model, r.task, r.form, r.context, r.label, r.batch)
#      SELECT model || ', ' || task || ', batch ' || batch AS panel, label, context AS x, mb FROM p
#      WHERE (SELECT count(DISTINCT q.context) FROM p q WHERE q.model = p.model AND q.task = p.task AND q.form = p.form AND q.batch = p.batch) > 1
#      ORDER BY panel, label, context
@begin
set xlabel "context length in tokens (log scale)"; set ylabel "peak memory (MB)"; set yrange [0:*]
set logscale x 2
do for [panel = 1:panels] {
    @frame
    plot for [s = 1:series] panel_data[panel] index s - 1 using 1:2 with linespoints linestyle s
}
@legend
plot for [s = 1:series] NaN with linespoints linestyle s title series_title[s]
