-- The schema of version 2 as it stood when version 3 came (the columns alone matter): tests/results/test_results.c makes a database of it and brings it
-- to the present one.
-- Units stand in the names or beside the column. "Training" time is the wall time of optimizer steps alone (batch packing
-- included, evaluation excluded), measured after the device has finished. NULL = not measured.

CREATE TABLE runs (
    run               INTEGER PRIMARY KEY,
    hash              TEXT NOT NULL UNIQUE,  -- 64-bit content hash of `config`, 16 hex digits
    config            TEXT NOT NULL,         -- canonical JSON of the cell, defaults filled in (but of storage and accumulate)
    status            TEXT NOT NULL CHECK (status IN ('running', 'done', 'diverged', 'oom', 'time', 'unsupported', 'failed', 'killed')),
                                             -- diverged: a loss was not finite; oom: the ledger's limit was reached; time: the
                                             -- budget in seconds ended before the one in steps or forwards; unsupported: this
                                             -- program cannot do the combination; failed: an error or a crash; killed: the run
                                             -- was interrupted. running, failed and killed cells are run again.
    message           TEXT,                  -- why, one sentence; NULL when done
    -- settings, as in the config
    model             TEXT NOT NULL,
    task              TEXT NOT NULL,
    form              TEXT NOT NULL,         -- head, prompt
    optimizer         TEXT NOT NULL,         -- its name
    optimizer_options TEXT NOT NULL,         -- JSON object of the optimizer's own keys
    batch             INTEGER NOT NULL,      -- examples
    context           INTEGER NOT NULL,      -- most tokens of a sequence
    steps_budget      INTEGER NOT NULL,      -- 0 = none
    forwards_budget   INTEGER NOT NULL,      -- 0 = none
    seconds_budget    REAL NOT NULL,         -- of training; 0 = none
    lr                REAL NOT NULL,
    eps               REAL NOT NULL,         -- perturbation radius; 0 for first-order methods
    seed              INTEGER NOT NULL,      -- of directions, batch order and a fresh head
    precision         TEXT NOT NULL,         -- f32, bf16, tf32, f16 (inputs of products)
    realisation       TEXT NOT NULL,         -- inplace, streamed, sidepath
    storage           TEXT NOT NULL DEFAULT 'f32',     -- f32, bf16, f16: how weights are held (since version 2)
    accumulate        TEXT NOT NULL DEFAULT 'weights', -- weights, log: where updates go (since version 2)
    device_kind       TEXT NOT NULL,         -- cpu
    split             TEXT NOT NULL,         -- drawn, first, kshot (tasks/task.h)
    eval_every        INTEGER NOT NULL,      -- steps; 0 = only at the end; -1 = at each tenth of the budget
    selection         TEXT NOT NULL,         -- accuracy, loss: what the best dev evaluation is (key `select`)
    train             INTEGER NOT NULL,      -- examples; -1 = all
    dev               INTEGER NOT NULL,
    test              INTEGER NOT NULL,
    -- provenance
    revision          TEXT,                  -- git revision of the program
    compiler          TEXT,
    flags             TEXT,
    host              TEXT,
    kernel            TEXT,
    device            TEXT,                  -- processor or accelerator
    driver            TEXT,
    threads           INTEGER,
    model_folder      TEXT,                  -- where `model` was found
    model_fingerprint TEXT,                  -- 64-bit FNV-1a, 16 hex digits, over its config.json and headers, sizes and samples of its
                                             -- weights files (models/files/safetensors.h)
    data_folder       TEXT,                  -- --data or $ZO_DATA as given; NULL = none was given
    began             TEXT NOT NULL,         -- UTC
    ended             TEXT,
    -- outcome
    accuracy          REAL,                  -- the headline, 0..1, chosen as `selected` says
    f1                REAL,                  -- macro-F1 of the same evaluation
    matthews          REAL,
    selected          TEXT,                  -- test@best-dev, best-dev (no test examples), last-test (no dev examples); with selection
                                             -- loss: test@best-dev-loss, best-dev-loss
    best_step         INTEGER,               -- step of the headline
    dev_accuracy      REAL,                  -- dev accuracy at best_step: the best one where selection is accuracy
    steps             INTEGER,               -- steps done
    forwards          INTEGER,               -- passes of one batch through the model at one point, in training: a MeZO step has 2, a
                                             -- full-batch pass counts ceil(N / batch) for every point, a gradient counts 1
    sequences         INTEGER,               -- sequences that the papers' code would have run in them (one an option)
    tokens            INTEGER,               -- tokens really run
    paper_tokens      INTEGER,               -- real tokens of `sequences`, without sharing of prompts and without padding
    examples          INTEGER,
    weight_bytes_written INTEGER,
    normals           INTEGER,               -- standard normals drawn
    train_seconds     REAL,
    eval_seconds      REAL,
    load_seconds      REAL,
    step_ms           REAL,                  -- median wall time of a step, the first one left out when there are more than three
    device_hours      REAL,                  -- train_seconds / 3600 x devices (1)
    device_hours_total REAL,                 -- training and evaluation
    peak_bytes        INTEGER,               -- largest sum of live bytes in the ledger (core/mem.h), all phases
    train_peak_bytes  INTEGER,               -- the same, training only
    rss_peak_bytes    INTEGER,               -- VmHWM of the process, a cross-check
    parameters        INTEGER,
    note              TEXT                   -- notes of the dataset (files absent, sequences cut)
) STRICT;

-- Training, thinned for long runs: a row stands for the steps since the row before it. Time columns are seconds of the mean step.
CREATE TABLE steps (
    run           INTEGER NOT NULL REFERENCES runs (run) ON DELETE CASCADE,
    step          INTEGER NOT NULL,          -- steps done, from 1
    loss          REAL,                      -- mean over those steps of what the method logs (zo list optimizers: loss_is)
    projected     REAL,                      -- projected gradient of the last of them
    lr            REAL,
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
    train_seconds REAL,                      -- so far
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
    run           INTEGER NOT NULL REFERENCES runs (run) ON DELETE CASCADE,
    step          INTEGER NOT NULL,          -- 0 = before training
    split         TEXT NOT NULL,             -- dev, test
    examples      INTEGER NOT NULL,
    accuracy      REAL,
    f1            REAL,
    matthews      REAL,
    loss          REAL,
    seconds       REAL,
    forwards      INTEGER,                   -- training forwards so far
    train_seconds REAL,                      -- so far
    best          INTEGER NOT NULL,          -- 1 = the best dev evaluation so far by `selection` (step 0 does not compete)
    PRIMARY KEY (run, step, split)
) STRICT, WITHOUT ROWID;

-- Bytes by tag at the moment of the phase's peak; they sum to that peak. phase 'overall' is the largest of all phases.
CREATE TABLE memory (
    run   INTEGER NOT NULL REFERENCES runs (run) ON DELETE CASCADE,
    phase TEXT NOT NULL,                     -- load, train, eval, overall
    tag   TEXT NOT NULL,                     -- params, grads, opt_state, snapshot, activations, workspace, data, other
    bytes INTEGER NOT NULL,
    PRIMARY KEY (run, phase, tag)
) STRICT, WITHOUT ROWID;

-- Where the training time went, in total. `other` is the rest of the wall time.
CREATE TABLE parts (
    run     INTEGER NOT NULL REFERENCES runs (run) ON DELETE CASCADE,
    part    TEXT NOT NULL,                   -- form, gemm, attention, elementwise, head, backward, update, data, other
    seconds REAL NOT NULL,
    ms      REAL NOT NULL,                   -- of the mean step
    PRIMARY KEY (run, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_cell ON runs (model, task, form, optimizer, seed);

-- Finished cells under the names that reports use.
CREATE VIEW report AS
    SELECT run, hash, model, task, form, optimizer, optimizer_options, batch, context, seed, precision, realisation, storage, accumulate,
           lr, eps, train, dev, test, split, status, message, accuracy, f1, matthews, dev_accuracy, selected, best_step, steps, step_ms,
           device_hours, device_hours_total, peak_bytes, train_peak_bytes, rss_peak_bytes, forwards, sequences, tokens, parameters, note
    FROM runs WHERE status <> 'running';

-- Peak of each phase.
CREATE VIEW peaks AS SELECT run, phase, sum(bytes) AS bytes FROM memory GROUP BY run, phase;
