-- schema.sql: the results database, schema version 8. PRAGMA user_version has that number, and PRAGMA application_id says that the file is zo's.
-- This text is part of the program, which applies it to a new file in one transaction. WAL and foreign keys are on.
--
-- A row of `cells` is one cell of the matrix. A row of `tries` is one attempt to run it. No run deletes anything: `runs` shows the one try of each
-- cell that counts, and `tries` keeps the others.
--
-- Units stand in the names or beside the column. NULL = not measured. "Training" time is the wall time of optimizer steps alone. It is taken when
-- the device has finished. Packing the batch is in it, evaluation is not.
--
-- A figure keeps its definition. Where one changes, `meaning` is raised; ZO_MEANING in results/results.h lists the changes. Rows of different
-- meanings are never in one mean or picture. Reports show older rows under "old definition".

CREATE TABLE cells (
    cell              INTEGER PRIMARY KEY,
    identity          TEXT NOT NULL UNIQUE,  -- two runs of one identity are runs of the same thing: 64-bit FNV-1a, 16 hex digits, over hash,
                                             -- meaning and the fingerprints below
    hash              TEXT NOT NULL,         -- the same over `config`
    meaning           INTEGER NOT NULL,      -- of keys, defaults and figures
    model_fingerprint     TEXT NOT NULL,     -- over config.json, and over headers, sizes and samples of the weights files; '' = not known
    tokenizer_fingerprint TEXT NOT NULL,     -- over all files that its tokenizer is read from
    rows_fingerprint      TEXT NOT NULL,     -- over texts and labels of the rows used, split by split, in order
    task_fingerprint      TEXT NOT NULL,     -- over the task's templates, label words and limits
    plugin_fingerprint    TEXT NOT NULL,     -- over an estimator's shared object; '' = the estimator is part of the program
    shown             INTEGER REFERENCES tries (run), -- the try that `runs` shows: the last that ended with a result, else the last
    config            TEXT NOT NULL,         -- canonical JSON of the cell, defaults filled in
    -- settings, as in the config
    model             TEXT NOT NULL,
    task              TEXT NOT NULL,         -- a name of `zo list tasks`, or the path of a description (docs/tasks.md)
    form              TEXT NOT NULL,         -- head, prompt
    optimizer         TEXT NOT NULL,         -- its name
    optimizer_options TEXT NOT NULL,         -- JSON object of the optimizer's own keys
    batch             INTEGER NOT NULL,      -- examples
    context_asked     INTEGER NOT NULL,      -- most tokens of a sequence; 0 = as many as the model has positions
    steps_budget      INTEGER NOT NULL,      -- 0 = none
    forwards_budget   INTEGER NOT NULL,      -- 0 = none
    work_budget       REAL NOT NULL,         -- 0 = none; the unit is that of `work`
    seconds_budget    REAL NOT NULL,         -- of training; 0 = none
    lr                REAL NOT NULL,
    eps               REAL NOT NULL,         -- perturbation radius; 0 for methods that probe nothing: first-order ones with gradients alone
    seed              INTEGER NOT NULL,      -- of directions, batch order and a fresh head
    precision         TEXT NOT NULL,         -- f32, bf16, tf32, f16 (inputs of products)
    realisation       TEXT NOT NULL,         -- inplace, streamed, sidepath
    storage           TEXT NOT NULL,         -- f32, bf16, f16: how weights are held
    accumulate        TEXT NOT NULL,         -- weights, log: where updates go
    decoder           TEXT NOT NULL,         -- default, tied, untied: of a masked language model's head
    algorithms        TEXT NOT NULL,         -- first, timed: how the CUDA backend chooses among products (cpu: first)
    device_kind       TEXT NOT NULL,         -- cpu, cuda, cuda:N, auto
    split             TEXT NOT NULL,         -- drawn, first, kshot, mezo (tasks/task.h)
    train_split_seed  INTEGER NOT NULL,      -- which rows train and dev are
    test_split_seed   INTEGER NOT NULL,      -- which rows test is
    k                 INTEGER NOT NULL,      -- of kshot; 0 elsewhere
    kshot_folder      TEXT NOT NULL,         -- of kshot; '' elsewhere
    eval_every        INTEGER NOT NULL,      -- steps; 0 = only at the end; -1 = at each tenth of the budget
    metric            TEXT NOT NULL,         -- a column of `evaluations` from accuracy to spearman: what is reported and, with dev-metric, selected by
    selection         TEXT NOT NULL,         -- dev-metric, dev-loss, last, best-test: which evaluation the headline is
    train             INTEGER NOT NULL,      -- examples at most; -1 = all
    dev               INTEGER NOT NULL,
    test              INTEGER NOT NULL,
    tune              TEXT NOT NULL DEFAULT 'full' -- which parameters are trained: full, head, bias, last layers N, pattern on P (docs/tune.md)
) STRICT;

CREATE TABLE tries (
    run               INTEGER PRIMARY KEY,
    try               TEXT NOT NULL UNIQUE,  -- 128 random bits, 32 hex digits: the same try in every copy of the database
    cell              INTEGER NOT NULL REFERENCES cells (cell),
    status            TEXT NOT NULL CHECK (status IN ('running', 'done', 'diverged', 'dead', 'oom', 'time', 'unsupported', 'failed', 'killed')),
                                             -- diverged: a loss was not finite, or it was above 10 times its start. That must hold on 20 logged
                                             --   steps or two dev evaluations in a row; at the very end 3 logged steps or one evaluation are enough.
                                             -- dead: the projected gradient was exactly 0 on max(50, 5 %) steps in a row, or on the last half.
                                             -- oom: the ledger's limit was reached, or the device's memory; or more than the limit was predicted, and
                                             --   nothing was started.
                                             -- time: the budget in seconds ended before another one.
                                             -- unsupported: this program cannot do the combination.
                                             -- failed: an error or a crash. killed: the run was interrupted, or marked limited: `zo run --cell-limit` ended it.
                                             -- Cells that are running, failed or killed are run again; oom, when more memory is free.
    message           TEXT,                  -- why, one sentence; NULL when done
    marks             TEXT NOT NULL DEFAULT '', -- comma-separated: diverged, dead, constant; or limited (killed). constant: one class on all test rows of the
                                             -- headline, where that class is below 95 % of them. Marked runs stay in every mean, and tables count them
    fault_step        INTEGER,               -- step at which `diverged` or `dead` began; evaluations from there on do not compete
    -- provenance
    revision          TEXT,                  -- git revision of the program
    binary            TEXT,                  -- 64-bit FNV-1a of the program's file
    compiler          TEXT,
    flags             TEXT,
    host              TEXT,
    kernel            TEXT,
    device            TEXT,                  -- processor or accelerator
    driver            TEXT,                  -- nothing writes it yet
    threads           INTEGER,
    promise           TEXT,                  -- bits: another run has the same figures in every bit on this kind of processor, whatever the threads.
                                             -- pass: the same where the passes are the same (batch, eval_batch), and to rounding elsewhere
    model_folder      TEXT,                  -- where `model` was found
    data_folder       TEXT,                  -- --data or $ZO_DATA as given; NULL = none was given
    began             TEXT NOT NULL,         -- UTC
    ended             TEXT,
    context           INTEGER,               -- most tokens of a sequence, resolved
    train_rows        INTEGER,               -- examples that there were
    dev_rows          INTEGER,
    test_rows         INTEGER,
    cut_sequences     INTEGER,               -- of them, sequences that `context` cut
    decoder_used      TEXT,                  -- tied, untied; NULL where there is no such head
    -- outcome. The headline is the evaluation that `selected` names, before fault_step. A marked run that has none gets chance.
    accuracy          REAL,                  -- 0..1
    f1                REAL,                  -- F1 of class 1 (GLUE's F1); NULL where there are more than two classes
    macro_f1          REAL,                  -- mean of the classes' F1
    matthews          REAL,
    metric_value      REAL,                  -- the metric that `metric` names
    selected          TEXT,                  -- test@best-dev (dev metric), best-dev (no test examples), test@best-dev-loss, best-dev-loss, last-test
                                             -- (selection last, or no dev examples), last-dev, best-test, chance
    best_step         INTEGER,               -- step of the headline
    dev_accuracy      REAL,                  -- dev accuracy at best_step
    dev_metric        REAL,                  -- dev `metric` at best_step
    dev_loss          REAL,                  -- dev loss at best_step
    steps             INTEGER,               -- steps done
    forwards          INTEGER,               -- passes of one batch at one point, in training. A MeZO step has 2. A full-batch pass counts
                                             -- ceil(N / batch) for every point. A gradient counts 1
    flops             REAL,                  -- of training: products and attention in probes, full batches, trial steps, backward passes and
                                             -- recomputation. No evaluation (bench/cell/roofline.c)
    work              REAL,                  -- flops / flops of one plain forward over the run's mean batch: the axis on which methods compare
    paper_queries     REAL,                  -- queries as the method's paper counts them (zo list optimizers); NULL where it does not
    sequences         INTEGER,               -- sequences that the papers' code would have run in `forwards` (one an option)
    tokens            INTEGER,               -- tokens really run
    paper_tokens      INTEGER,               -- real tokens of `sequences`, without sharing of prompts and without padding
    examples          INTEGER,
    weight_bytes_written INTEGER,
    normals           INTEGER,               -- standard normals drawn
    drift_max         REAL,                  -- in place: the largest change that the last step's probe and the way back left in a weight. NULL
                                             -- elsewhere, and where the run ended by a fault
    train_seconds     REAL,
    eval_seconds      REAL,
    load_seconds      REAL,
    step_ms           REAL,                  -- mean wall time of a step, the first one left out when there are more than three
    step_ms_median    REAL,                  -- of the last 4096 of them
    step_ms_q1        REAL,                  -- lower quartile
    step_ms_q3        REAL,
    full_steps        INTEGER,               -- steps that read the whole training set
    full_step_ms      REAL,                  -- mean of these
    other_step_ms     REAL,                  -- mean of the others
    device_hours      REAL,                  -- train_seconds / 3600 x devices (1)
    device_hours_total REAL,                 -- training and evaluation
    -- what else the machine did, from the first step to the last with the evaluations between them. NULL where the system does not tell
    cpu_seconds       REAL,                  -- processor time of this process
    foreign_seconds   REAL,                  -- busy time of other processes on the processors that this one may use
    steal_seconds     REAL,                  -- time that the hypervisor gave to others
    load_average      REAL,                  -- of the last minute, at the end
    switches          INTEGER,               -- context switches that were forced on this process
    disturbed         INTEGER,               -- 1 = others took more than a tenth of the processors that the cell uses, or steal was above 2 %. The
                                             -- timings are marked then
    peak_bytes        INTEGER,               -- largest sum of live bytes in the ledger (core/mem.h), all phases
    train_peak_bytes  INTEGER,               -- the same in training. Evaluation's room is not held while steps run
    rss_peak_bytes    INTEGER,               -- VmHWM of the process, a cross-check
    memory_limit_bytes INTEGER,              -- what the cell could take: memory that was free when it began, or ZO_MEMORY_LIMIT. NULL on a card
    parameters        INTEGER,
    note              TEXT,                  -- notes of dataset and model (files absent, sequences cut, tensors that nothing reads)
    trained_parameters INTEGER,              -- of `parameters`, those that `tune` trains; NULL of a method that trains nothing
    resumed           INTEGER NOT NULL DEFAULT 0, -- how often it went on from a checkpoint of a try that was killed, whose rows it has copies of. Times
                                             -- are those of all that counts: of steps up to the checkpoint there, and of those after it here
    checkpoint_ms     REAL,                  -- wall time of writing checkpoints, in no other time. NULL: of an older schema
    -- metrics that came later
    exact_match       REAL,                  -- share of answers in words that are one of the right ones, as SQuAD's scorer compares them
    token_f1          REAL,                  -- mean F1 over words of these, the most over the right ones
    pearson           REAL,                  -- of scores with gold scores (regression)
    spearman          REAL,                  -- the same of ranks, of equal ones the mean
    -- what was predicted (table `predictions`) over what was measured, less 1: 0.1 = a tenth too much. NULL where either is not there
    memory_error      REAL,                  -- of train_peak_bytes
    hours_error       REAL,                  -- of device_hours_total, that `zo plan` has said
    cpu_error         REAL                   -- of cpu_seconds, that `zo plan` has said; what else the machine does moves it less
) STRICT;
CREATE INDEX tries_of_cell ON tries (cell);

-- Training, thinned in long runs: a row stands for the steps since the row before it. Columns of time are seconds of the mean step.
CREATE TABLE steps (
    run           INTEGER NOT NULL REFERENCES tries (run) ON DELETE CASCADE,
    step          INTEGER NOT NULL,          -- steps done, from 1
    loss          REAL,                      -- mean over those steps of what the method logs (zo list optimizers: loss_is); where the cell has an
                                             -- `objective`, its losses L are 1 - that metric of the batch
    projected     REAL,                      -- projected gradient of the last of them
    lr            REAL,
    full_steps    INTEGER NOT NULL DEFAULT 0, -- of those steps, how many read the whole training set
    seconds       REAL,                      -- wall time
    form          REAL,                      -- drawing z, forming W + cZ, moving the weights to a point
    gemm          REAL,
    attention     REAL,
    elementwise   REAL,
    head          REAL,
    backward      REAL,
    "update"      REAL,
    data          REAL,                      -- packing the batch
    forwards      INTEGER,                   -- so far
    work          REAL,                      -- so far
    train_seconds REAL,                      -- so far
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
    run           INTEGER NOT NULL REFERENCES tries (run) ON DELETE CASCADE,
    step          INTEGER NOT NULL,          -- 0 = before training
    split         TEXT NOT NULL,             -- dev, test
    examples      INTEGER NOT NULL,
    accuracy      REAL,
    f1            REAL,                      -- as in tries
    macro_f1      REAL,
    matthews      REAL,
    loss          REAL,
    constant      INTEGER,                   -- 1 = one class on all rows
    seconds       REAL,
    forwards      INTEGER,                   -- training forwards so far
    work          REAL,                      -- so far
    train_seconds REAL,                      -- so far
    best          INTEGER NOT NULL,          -- 1 = the best evaluation so far by `selection`, also from fault_step on. Step 0 does not compete
    correct       BLOB,                      -- a bit for each row of the split, in order, the lowest of a byte first: 1 = the choice is right. The
                                             -- ones sum to accuracy x examples. NULL: of an older schema
    exact_match   REAL,                      -- as in tries
    token_f1      REAL,
    pearson       REAL,
    spearman      REAL,
    PRIMARY KEY (run, step, split)
) STRICT, WITHOUT ROWID;

-- Bytes by tag at the moment of the phase's peak. They sum to that peak. The phase 'overall' is the largest of all phases.
CREATE TABLE memory (
    run   INTEGER NOT NULL REFERENCES tries (run) ON DELETE CASCADE,
    phase TEXT NOT NULL,                     -- load, train, eval, overall
    tag   TEXT NOT NULL,                     -- params, grads, opt_state, snapshot, activations, kv_cache, workspace, data, other
    bytes INTEGER NOT NULL,
    PRIMARY KEY (run, phase, tag)
) STRICT, WITHOUT ROWID;

-- Where the training time went, in total. `other` is the rest of the wall time.
CREATE TABLE parts (
    run     INTEGER NOT NULL REFERENCES tries (run) ON DELETE CASCADE,
    part    TEXT NOT NULL,                   -- form, gemm, attention, elementwise, head, backward, update, data, other
    seconds REAL NOT NULL,
    ms      REAL NOT NULL,                   -- of the mean step
    PRIMARY KEY (run, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (                       -- what repeats a run without forwards (zo replay). First-order methods have none
    run   INTEGER NOT NULL REFERENCES tries (run) ON DELETE CASCADE,
    step  INTEGER NOT NULL,                  -- steps done
    entry BLOB NOT NULL,                     -- the losses that the method was told in the steps since the row before, in the order in which it asked: 64-bit
                                             -- floats, little endian
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE samples (                       -- outcomes of single examples, of runs with --samples (zo samples)
    run    INTEGER NOT NULL REFERENCES tries (run) ON DELETE CASCADE,
    step   INTEGER NOT NULL,
    split  TEXT NOT NULL,
    row    INTEGER NOT NULL,                 -- in the split, from 0
    label  INTEGER,                          -- the class, or the right option's number, from 0
    choice INTEGER,                          -- what was predicted
    loss   REAL,                             -- of this example
    text   TEXT,                             -- the beginning of its first text
    correct INTEGER,                         -- 1 = the choice is right: as in evaluations.correct
    scores TEXT,                             -- JSON list: what the choice is the largest of, a number a class or option
    source TEXT,                             -- which example it is: file below the data folder and number of its row there, from 1, as "glue/SST-2/dev.tsv#17"
    PRIMARY KEY (run, step, split, row)
) STRICT, WITHOUT ROWID;
CREATE TABLE predictions (                   -- what was predicted of a run before its first step; and dev_chance, what choosing at random gives as its metric on dev, written at its end
    run       INTEGER NOT NULL REFERENCES tries (run) ON DELETE CASCADE,
    figure    TEXT NOT NULL,                 -- a column of `tries`
    predicted REAL NOT NULL,
    PRIMARY KEY (run, figure)
) STRICT, WITHOUT ROWID;

-- What `zo plan` has said of cells, the last word. A try takes over what there is of its cell when it begins.
CREATE TABLE plans (
    hash      TEXT NOT NULL,                 -- of a cell, as in `cells`
    figure    TEXT NOT NULL,                 -- a column of `tries`
    predicted REAL NOT NULL,
    PRIMARY KEY (hash, figure)
) STRICT, WITHOUT ROWID;

-- What `zo run --budget` has made of a table: a row for each of its cells. It stays as it is first written, so that a second start goes on with it.
CREATE TABLE budgets (
    plan    TEXT NOT NULL,                   -- 64-bit FNV-1a, 16 hex digits, over the hashes of the table's cells and the budget
    seconds REAL NOT NULL,                   -- the budget
    hash    TEXT NOT NULL,                   -- of a cell of the table as it stands there
    ran     TEXT,                            -- hash of the cell that is run in its place; NULL = none is
    config  TEXT,                            -- of that cell, as in `cells`
    why     TEXT NOT NULL,                   -- what was cut, in words; '' = nothing
    PRIMARY KEY (plan, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX cells_by_hash ON cells (hash);

-- The views, from here to the end.
-- Every try with its cell's settings.
CREATE VIEW all_runs AS
    SELECT t.run, t.try, c.cell, c.shown, c.identity, c.hash, c.meaning, c.config, t.status, t.message, t.marks, t.fault_step,
           c.model, c.task, c.form, c.optimizer, c.optimizer_options, c.batch, coalesce(t.context, c.context_asked) AS context, c.context_asked,
           c.steps_budget, c.forwards_budget, c.work_budget, c.seconds_budget, c.lr, c.eps, c.seed, c.precision, c.realisation, c.storage,
           c.accumulate, c.decoder, c.algorithms, c.device_kind, c.split, c.train_split_seed, c.test_split_seed, c.k, c.kshot_folder, c.eval_every,
           c.metric, c.selection, c.train, c.dev, c.test, c.tune, c.model_fingerprint, c.tokenizer_fingerprint, c.rows_fingerprint, c.task_fingerprint,
           c.plugin_fingerprint, t.revision, t.binary, t.compiler, t.flags, t.host, t.kernel, t.device, t.driver, t.threads, t.promise,
           t.model_folder, t.data_folder, t.began, t.ended, t.train_rows, t.dev_rows, t.test_rows, t.cut_sequences, t.decoder_used,
           t.accuracy, t.f1, t.macro_f1, t.matthews, t.exact_match, t.token_f1, t.pearson, t.spearman, t.metric_value, t.selected, t.best_step, t.dev_accuracy, t.dev_metric, t.dev_loss, t.steps,
           t.forwards, t.flops, t.work, t.paper_queries, t.sequences, t.tokens, t.paper_tokens, t.examples, t.weight_bytes_written, t.normals,
           t.drift_max, t.train_seconds, t.eval_seconds, t.load_seconds, t.step_ms, t.step_ms_median, t.step_ms_q1, t.step_ms_q3, t.full_steps,
           t.full_step_ms, t.other_step_ms, t.device_hours, t.device_hours_total, t.cpu_seconds, t.foreign_seconds, t.steal_seconds,
           t.load_average, t.switches, t.disturbed, t.peak_bytes, t.train_peak_bytes, t.rss_peak_bytes, t.memory_limit_bytes,
           t.parameters, t.trained_parameters, t.resumed, t.checkpoint_ms, t.memory_error, t.hours_error, t.cpu_error, t.note
    FROM cells c JOIN tries t USING (cell);

-- The try of each cell that counts.
CREATE VIEW runs AS SELECT * FROM all_runs WHERE run = shown;

-- Finished cells under the names that reports use.
CREATE VIEW report AS SELECT * FROM runs WHERE status <> 'running';

-- Peak of each phase.
CREATE VIEW peaks AS SELECT run, phase, sum(bytes) AS bytes FROM memory GROUP BY run, phase;
