# title: Time of a training step
# caption: mean over seeds; whisker: lower to upper quartile of steps
# remarks: timing
# x: time of a step (ms, log scale)
# needs: finished training runs
# sql: WITH kind AS (
#        SELECT run, cell_text, label, 1 AS place, 'mean' AS kind, step_ms AS ms, NULL AS low, NULL AS high, disturbed FROM trained
#        UNION ALL SELECT run, cell_text, label, 2, 'median and quartiles', step_ms_median, step_ms_q1, step_ms_q3, disturbed FROM trained
#        UNION ALL SELECT run, cell_text, label, 3, 'mean of full-batch steps', full_step_ms, NULL, NULL, disturbed FROM trained WHERE full_steps > 0
#        UNION ALL SELECT run, cell_text, label, 4, 'mean of the other steps', other_step_ms, NULL, NULL, disturbed FROM trained WHERE full_steps > 0)
#      SELECT cell_text AS panel, kind, label AS x, avg(ms) AS y, avg(low) AS low, avg(high) AS high, place = 1 AND max(disturbed) AS starred, group_concat(run) AS runs
#      FROM kind WHERE ms > 0 GROUP BY panel, place, label ORDER BY panel, place, label
log_column = 2
@begin
set logscale x
at(x, s) = x + 0.16 * (s - (series + 1) / 2.0)
do for [panel = 1:panels] {
    @frame
    @log_x
    plot for [s = 1:series] panel_data[panel] index s - 1 using 3:(at($1, s)):($4 - $3):(0) with vectors nohead linestyle s title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 2:(at($1, s)) with points linestyle s title series_title[s] noenhanced, \
         for [s = 1:series] panel_data[panel] index s - 1 using 2:(at($1, s)):(mark(1, 1, 0, 0, $5)) with labels left offset 0.6, 0 noenhanced title series_title[s]
}
@legend
@key_points
