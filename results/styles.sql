-- styles.sql: how what stands in pictures is printed, and its one colour and mark there: temp.style, before results/views.sql and open to `zo sql`.
-- Embedded into the program (results/views.c).
--
-- kind, name  method (an optimizer), task, metric, tag (of the ledger), part (of a step); `spare` has colours for what has no row here
-- printed     the name in the papers' spelling
-- colour      #rrggbb: Okabe and Ito's palette, which colour-blind readers can tell apart, with brown, greys, indigo and wine in place of yellow
-- mark        gnuplot's point type: 1 +, 4 square, 5 full square, 6 circle, 7 full circle, 9 full triangle, 11 triangle upside down, 12 diamond, 13 full diamond
-- place       the order of the rows: that of stacks and legends
--
-- A method without a row is printed by its own name and gets a spare colour. One that is in the papers' figures should have a row.

DROP TABLE IF EXISTS temp.style;
CREATE TEMP TABLE style (place INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, printed TEXT NOT NULL, colour TEXT, mark INTEGER, UNIQUE (kind, name));
INSERT INTO style (kind, name, printed, colour, mark) VALUES
    ('method', 'zero-shot', 'zero-shot', '#8C8C8C', 1),
    ('method', 'mezo', 'MeZO', '#0072B2', 7),
    ('method', 'mezo-svrg', 'MeZO-SVRG', '#D55E00', 5),
    ('method', 'mezo-adam', 'MeZO-Adam', '#332288', 13),
    ('method', 'mezo-m', 'MeZO-m', '#56B4E9', 7),
    ('method', 'zo-sign', 'ZO-Sign', '#E69F00', 11),
    ('method', 'zo-cons', 'ZO-Cons', '#7A4B00', 5),
    ('method', 'kerzoo', 'KerZOO', '#009E73', 6),
    ('method', 'meazo', 'MEAZO', '#CC79A7', 7),
    ('method', 'mezo-bcd', 'MeZO-BCD', '#0072B2', 12),
    ('method', 'fzoo', 'FZOO', '#000000', 9),
    ('method', 'bszo', 'BSZO', '#332288', 11),
    ('method', 'zo-svrg', 'ZO-SVRG', '#D55E00', 4),
    ('method', 'zo-adamu', 'ZO-AdaMU', '#56B4E9', 4),
    ('method', 'conmezo', 'ConMeZO', '#882255', 7),
    ('method', 'hizoo', 'HiZOO', '#AA4499', 9),
    ('method', 'lezo', 'LeZO', '#7A4B00', 12),
    ('method', 'tezo', 'TeZO', '#009E73', 9),
    ('method', 'tezo-m', 'TeZO-m', '#56B4E9', 11),
    ('method', 'tezo-adam', 'TeZO-Adam', '#CC79A7', 13),
    ('method', 'fo-sgd', 'FO-SGD', '#E69F00', 4),
    ('method', 'fo-adamw', 'FO-AdamW', '#000000', 6),
    ('tag', 'params', 'params', '#0072B2', 5),
    ('tag', 'grads', 'grads', '#D55E00', 5),
    ('tag', 'opt_state', 'opt_state', '#CC79A7', 5),
    ('tag', 'snapshot', 'snapshot', '#E69F00', 5),
    ('tag', 'activations', 'activations', '#009E73', 5),
    ('tag', 'workspace', 'workspace', '#56B4E9', 5),
    ('tag', 'data', 'data', '#7A4B00', 5),
    ('tag', 'other', 'other', '#C4C4C4', 5),
    ('part', 'form', 'form', '#0072B2', 5),
    ('part', 'gemm', 'gemm', '#D55E00', 5),
    ('part', 'attention', 'attention', '#009E73', 5),
    ('part', 'elementwise', 'elementwise', '#CC79A7', 5),
    ('part', 'head', 'head', '#E69F00', 5),
    ('part', 'backward', 'backward', '#000000', 5),
    ('part', 'update', 'update', '#56B4E9', 5),
    ('part', 'data', 'data', '#7A4B00', 5),
    ('part', 'other', 'other', '#C4C4C4', 5),
    ('metric', 'accuracy', 'accuracy', NULL, NULL),
    ('metric', 'f1', 'F1 of class 1', NULL, NULL),
    ('metric', 'macro_f1', 'macro-F1', NULL, NULL),
    ('metric', 'matthews', 'Matthews correlation', NULL, NULL),
    ('task', 'sst2', 'SST-2', NULL, NULL),
    ('task', 'sst5', 'SST-5', NULL, NULL),
    ('task', 'mrpc', 'MRPC', NULL, NULL),
    ('task', 'mnli', 'MNLI', NULL, NULL),
    ('task', 'qnli', 'QNLI', NULL, NULL),
    ('task', 'rte', 'RTE', NULL, NULL),
    ('task', 'cb', 'CB', NULL, NULL),
    ('task', 'cola', 'CoLA', NULL, NULL),
    ('task', 'trec', 'TREC', NULL, NULL),
    ('task', 'boolq', 'BoolQ', NULL, NULL),
    ('task', 'copa', 'COPA', NULL, NULL),
    ('task', 'wic', 'WiC', NULL, NULL),
    ('task', 'wsc', 'WSC', NULL, NULL),
    ('spare', '1', '', '#0072B2', 7),
    ('spare', '2', '', '#D55E00', 5),
    ('spare', '3', '', '#009E73', 9),
    ('spare', '4', '', '#CC79A7', 13),
    ('spare', '5', '', '#E69F00', 4),
    ('spare', '6', '', '#56B4E9', 11),
    ('spare', '7', '', '#000000', 6),
    ('spare', '8', '', '#7A4B00', 8),
    ('spare', '9', '', '#C4C4C4', 12);
