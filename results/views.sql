-- views.sql: the temporary views of plots and of `zo sql`, beside the tables of results/schema.sql. Embedded into the program (results/views.c).
-- temp.current (meaning, trials) and temp.setting (run, rivals, label, line, over_models) are there before: the meaning of this program, how many
-- trials of learning rates are left out (results/report.h), and the other runs that have a result.
--
-- every     the tries that count, of this meaning and with a result, and no trials: the columns of `runs`, and
--             label        the method as temp.style (results/styles.sql) prints it, and just those settings that differ within one frame of the
--                          plots: one label, one curve or bar
--             line         the same with what differs between frames of other batches and contexts too, but without these two
--             over_models  the same with what differs between frames of other models too, but without the model
--             task_text, metric_text  the names as they are printed
--             rivals       how many other learning rates were worse on dev than this one; NULL = it is one of the worse
--             fill         1 = batches are filled to the context;  filled  ", filled" then, else ""
--             study        1 = there was nothing to evaluate: a study of memory and time
--             marked       1 = diverged, dead or constant
-- shown     those of them with the best of several learning rates: what plots show
-- trained   those of `shown` that were evaluated (all, when none was), with
--             cell_text    model, task, form, batch and context in one text
--             metric_note  ", METRIC" where the runs are scored by several metrics, else ""
--             disturbed    0 where it is not known
-- dev_points, loss_points  means over seeds, one row a point of a curve: panel, label, step, forwards, work, hours, y, low, high, alive (seeds that
--             have a value there and no fault before), seeds, and what is to be marked at the point: counted (fewer are alive than at all points
--             before it), crossed (the same, or the end of the curve, where runs are marked), starred (the end, where timings were disturbed), runs (their
--             numbers, with commas)
-- dev_levels  lines across the frames of dev_points: panel, label (before training, chance), y, and twice each forwards, work, hours: where the frame's curves begin
--             and end. Before training: the evaluation at step 0, which is zero-shot in the form of a prompt. A line is the mean over seeds, and there is none
--             where it would be another for another label of the frame (a prefix begins elsewhere than the full model)
-- drawn     (runs): `runs` of each row of the picture that is being made (plots/plot.c writes it); seen  those runs, with the columns of `every`
-- remark    (name, text): what a caption says where it applies; a script names those that it wants. But for `old` they are of what is drawn
--
-- Nothing is averaged but runs that differ in the seed alone (and in the split seeds where these follow the seed): every key of the config by
-- which runs of one optimizer in one frame of the plots differ stands in the label, and so does what runs of one config were made from where that
-- differs. A frame of the plots is model, task, form, batch, context, fill, study. The learning rate is chosen by dev and by nothing else, as
-- `zo report --best lr` does it. Where there is no dev set it stands in the label.

DROP VIEW IF EXISTS temp.loss_points;
DROP VIEW IF EXISTS temp.dev_levels;
DROP VIEW IF EXISTS temp.dev_points;
DROP VIEW IF EXISTS temp.dev_starts;
DROP VIEW IF EXISTS temp.dev_values;
DROP VIEW IF EXISTS temp.remark;
DROP TABLE IF EXISTS temp.told;
DROP VIEW IF EXISTS temp.seen;
DROP TABLE IF EXISTS temp.drawn;
DROP TABLE IF EXISTS temp.trained;
DROP VIEW IF EXISTS temp.shown;
DROP VIEW IF EXISTS temp.every;

CREATE TEMP VIEW every AS
    SELECT *, iif(fill, ', filled', '') AS filled
    FROM (SELECT r.*, coalesce(m.printed, r.optimizer) || substr(s.label, 1 + length(r.optimizer)) AS label,
                 coalesce(m.printed, r.optimizer) || substr(s.line, 1 + length(r.optimizer)) AS line,
                 coalesce(m.printed, r.optimizer) || substr(s.over_models, 1 + length(r.optimizer)) AS over_models, coalesce(t.printed, r.task) AS task_text,
                 coalesce(k.printed, r.metric) AS metric_text, s.rivals, coalesce(json_extract(r.config, '$.fill'), 0) AS fill, r.dev = 0 AND r.test = 0 AS study,
                 coalesce(r.marks, '') <> '' AS marked
          FROM main.runs r JOIN temp.setting s USING (run) LEFT JOIN temp.style m ON m.kind = 'method' AND m.name = r.optimizer
          LEFT JOIN temp.style t ON t.kind = 'task' AND t.name = r.task LEFT JOIN temp.style k ON k.kind = 'metric' AND k.name = r.metric);

CREATE TEMP VIEW shown AS SELECT * FROM every WHERE rivals IS NOT NULL;

CREATE TEMP TABLE trained AS
    SELECT *, model || ', ' || task_text || ', ' || form || filled || ', batch ' || batch || ', context ' || context AS cell_text,
           '' AS metric_note
    FROM shown
    WHERE study = (SELECT min(study) FROM shown) AND (metric_value IS NOT NULL OR NOT EXISTS (SELECT 1 FROM shown WHERE metric_value IS NOT NULL));
UPDATE trained SET disturbed = coalesce(disturbed, 0);
UPDATE trained SET metric_note = ', ' || metric_text WHERE (SELECT count(DISTINCT metric) FROM trained) > 1;
CREATE INDEX temp.trained_run ON trained (run);

-- The score of each evaluation on dev. turn: which evaluation of the run it is, 0 = before training. Where a budget is evaluated at each tenth, seeds
-- come there at other steps, and a point of a curve is the mean over one turn.
CREATE TEMP VIEW dev_values AS
    SELECT r.cell_text || r.metric_note AS panel, r.label, run, e.step, iif(e.step = 0, 0, row_number() OVER (PARTITION BY run, e.step = 0 ORDER BY e.step)) AS turn, e.forwards, e.work, e.train_seconds / 3600.0 AS hours, r.fault_step IS NULL OR e.step < r.fault_step AS alive,
           100 * CASE r.metric WHEN 'f1' THEN e.f1 WHEN 'macro_f1' THEN e.macro_f1 WHEN 'matthews' THEN e.matthews
                          WHEN 'exact_match' THEN e.exact_match WHEN 'token_f1' THEN e.token_f1 WHEN 'pearson' THEN e.pearson
                          WHEN 'spearman' THEN e.spearman ELSE e.accuracy END AS value
    FROM evaluations e JOIN trained r USING (run) WHERE e.split = 'dev';

CREATE TEMP VIEW dev_points AS
    WITH point AS (
        SELECT panel, label, avg(step) AS step, avg(forwards) AS forwards, avg(work) AS work, avg(hours) AS hours, avg(value) AS y, min(value) AS low, max(value) AS high,
               sum(alive) AS alive, group_concat(run) AS runs
        FROM dev_values WHERE value IS NOT NULL GROUP BY panel, label, turn),
    runs_of AS (
        SELECT cell_text || metric_note AS panel, label, count(*) AS seeds, max(marked) AS marked, max(disturbed) AS disturbed FROM trained WHERE dev <> 0 GROUP BY 1, 2),
    known AS (
        SELECT *, alive < min(seeds, coalesce(min(alive) OVER (PARTITION BY panel, label ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), seeds)) AS counted,
               step = max(step) OVER (PARTITION BY panel, label) AS is_last
        FROM point JOIN runs_of USING (panel, label))
    SELECT panel, label, step, forwards, work, hours, y, low, high, alive, seeds, counted, marked AND (counted OR is_last) AS crossed,
           disturbed AND is_last AS starred, runs
    FROM known;

-- Of each label where it begins, and what choosing at random gives it: (panel, name, label, y).
CREATE TEMP VIEW dev_starts AS
    SELECT panel, 'zero-shot' AS name, label, avg(value) AS y FROM dev_values WHERE step = 0 AND alive AND value IS NOT NULL GROUP BY panel, label
    UNION ALL
    SELECT r.cell_text || r.metric_note, 'chance', r.label, 100 * avg(p.predicted) FROM predictions p JOIN trained r USING (run) WHERE p.figure = 'dev_chance' GROUP BY 1, 3;

-- 1e-9: sums of the same numbers in another order.
CREATE TEMP VIEW dev_levels AS
    WITH level AS (SELECT panel, name, min(y) AS y FROM dev_starts GROUP BY panel, name HAVING max(y) - min(y) < 1e-9),
    place AS (
        SELECT panel, min(forwards) AS forwards, min(work) AS work, min(hours) AS hours FROM dev_points WHERE step > 0 GROUP BY panel
        UNION ALL
        SELECT panel, max(forwards), max(work), max(hours) FROM dev_points WHERE step > 0 GROUP BY panel)
    SELECT panel, s.printed AS label, y, forwards, work, hours FROM level JOIN place USING (panel) JOIN temp.style s ON s.kind = 'line' AND s.name = level.name;

-- The loss is the moving average of 10 rows, of runs that were told losses and no metric (`objective`); `most`: where the frame of the panel may end, 3 times the largest first loss of its curves.
CREATE TEMP VIEW loss_points AS
    WITH value AS (
        SELECT r.cell_text AS panel, r.label, run, s.step, s.forwards, s.work, s.train_seconds / 3600.0 AS hours, r.fault_step IS NULL OR s.step < r.fault_step AS alive,
               avg(s.loss) OVER (PARTITION BY s.run ORDER BY s.step ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS value
        FROM steps s JOIN trained r USING (run) WHERE s.loss IS NOT NULL AND json_extract(r.config, '$.objective') IS NULL),
    point AS (
        SELECT panel, label, step, avg(forwards) AS forwards, avg(work) AS work, avg(hours) AS hours, avg(value) AS y, min(value) AS low, max(value) AS high,
               sum(alive) AS alive, group_concat(run) AS runs
        FROM value GROUP BY panel, label, step),
    runs_of AS (SELECT cell_text AS panel, label, count(*) AS seeds, max(marked) AS marked, max(disturbed) AS disturbed FROM trained GROUP BY 1, 2),
    known AS (
        SELECT *, alive < min(seeds, coalesce(min(alive) OVER (PARTITION BY panel, label ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), seeds)) AS counted,
               step = max(step) OVER (PARTITION BY panel, label) AS is_last, first_value(y) OVER (PARTITION BY panel, label ORDER BY step) AS first
        FROM point JOIN runs_of USING (panel, label))
    SELECT panel, label, step, forwards, work, hours, y, low, high, alive, seeds, counted, marked AND (counted OR is_last) AS crossed,
           disturbed AND is_last AS starred, runs, 3 * max(first) OVER (PARTITION BY panel) AS most
    FROM known;

CREATE TEMP TABLE drawn (runs TEXT PRIMARY KEY);
CREATE TEMP VIEW seen AS SELECT * FROM every WHERE run IN (SELECT j.value FROM drawn, json_each('[' || drawn.runs || ']') j);

-- What does not change from picture to picture.
CREATE TEMP TABLE told (name TEXT PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO told SELECT 'dev_alive', 'n/m: n of m seeds alive from there on' WHERE EXISTS (SELECT 1 FROM dev_points WHERE counted);
INSERT INTO told SELECT 'loss_alive', 'n/m: n of m seeds alive from there on' WHERE EXISTS (SELECT 1 FROM loss_points WHERE counted);
INSERT INTO told
    SELECT 'starts', 'no line before training where methods begin at different scores'
    WHERE EXISTS (SELECT 1 FROM dev_starts WHERE name = 'zero-shot' GROUP BY panel HAVING max(y) - min(y) >= 1e-9);
INSERT INTO told
    SELECT 'old', 'left out: ' || count(*) || CASE count(*) WHEN 1 THEN ' run' ELSE ' runs' END || ' of an old definition'
    FROM main.report WHERE meaning <> (SELECT meaning FROM temp.current) HAVING count(*) > 0;

CREATE TEMP VIEW remark AS
    SELECT name, text FROM told
    UNION ALL -- what the axis of scores says
    SELECT 'metric', CASE WHEN min(metric) <> max(metric) THEN 'metric' ELSE coalesce(min(metric_text), 'score') END || ' (%)' FROM seen
    UNION ALL
    SELECT 'chosen', 'of several learning rates the best on dev' WHERE EXISTS (SELECT 1 FROM seen WHERE rivals > 0) OR (SELECT trials FROM temp.current) > 0
    UNION ALL
    SELECT 'selected', 'taken as ' || replace(group_concat(DISTINCT selected), ',', ', ') FROM seen HAVING count(selected) > 0
    UNION ALL
    SELECT 'marks', '× marked runs, ' || sum(marked) || ' of ' || count(*) || ': ' || substr(
               CASE WHEN sum(instr(marks, 'diverged') > 0) THEN ', ' || sum(instr(marks, 'diverged') > 0) || ' diverged' ELSE '' END ||
               CASE WHEN sum(instr(marks, 'dead') > 0) THEN ', ' || sum(instr(marks, 'dead') > 0) || ' dead (no gradient)' ELSE '' END ||
               CASE WHEN sum(instr(marks, 'constant') > 0) THEN ', ' || sum(instr(marks, 'constant') > 0) || ' constant (one class)' ELSE '' END, 3)
    FROM seen HAVING sum(marked) > 0
    UNION ALL
    SELECT 'timing', '* disturbed timings: ' || sum(disturbed) || ' of ' || count(*) || ' runs shared their processors' FROM seen HAVING sum(disturbed) > 0
    UNION ALL
    SELECT 'cut', sum(cut_sequences) || ' sequences were cut at the context, in ' || sum(cut_sequences > 0) || ' of ' || count(*) || ' runs' FROM seen
    HAVING sum(cut_sequences) > 0
    UNION ALL -- how many runs a value stands for, and where they ran
    SELECT 'runs', 'n = ' || CASE WHEN min(n) = max(n) THEN min(n) ELSE min(n) || ' to ' || max(n) END || CASE WHEN max(n) = 1 THEN ' run' ELSE ' runs' END || ' a value' ||
           coalesce(', on ' || (SELECT group_concat(device, ' and ') FROM (SELECT DISTINCT device FROM seen WHERE device <> '' ORDER BY 1 LIMIT 2)) ||
                    CASE WHEN (SELECT count(DISTINCT device) FROM seen WHERE device <> '') > 2 THEN ' and others' ELSE '' END, '')
    FROM (SELECT (SELECT count(DISTINCT j.value) FROM json_each('[' || drawn.runs || ']') j) AS n FROM drawn) HAVING count(*) > 0;
