/* main.c: `zo COMMAND ...`. One row of the table below is one command. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/grid.h"
#include "core/conf.h"
#include "core/output.h"
#include "core/text.h"
#include "results/report.h"

static int cmd_help(int argc, char **argv);

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary; /* NULL = not for people */
    const char *help;
    const char *examples; /* lines that may be typed as they stand, each "  zo ...\n"; help ends with them */
} command;

static const command commands[] = {
    {"run", zo_cmd_run, "run the cells of a config that are not done yet",
     "usage: zo run CONFIG.json [--db FILE] [--device NAME] [--model NAME] [--with KEYS] [--data DIR] [--models DIR] [--save DIR] [--samples] [--checkpoint MINUTES] [--checkpoint-steps N] [--only CELL] [--minutes MOST] [--budget TIME] [--cell-limit TIME] [--limit TIME] [--fail-on LIST] [--dry-run] [--redo | --again] [--json]\n"
     "\n"
     "  --db FILE     results database, made when absent (results/zo.db)\n"
     "  --device NAME cpu, cuda, cuda:N or auto, in place of what the config says\n"
     "  --model NAME  in place of every model of the config; --with '{\"batch\": 8, ...}' so with other keys\n"
     "  --data DIR    task files, for instance DIR/glue/SST-2/train.tsv ($ZO_DATA)\n"
     "  --models DIR  where model names are looked up first ($ZO_MODELS)\n"
     "  --samples     keeps what comes of each example in each evaluation: its scores, the choice, which it is (zo samples)\n"
     "  --save DIR    the weights after the last step of each cell that ends, into DIR/HASH: a Hugging Face folder without tokenizer, and of LoRA the\n"
     "                adapter as PEFT's folder. HASH is the cell's (table `cells`; --json)\n"
     "  --checkpoint MINUTES how often a cell writes what it needs to go on when it is killed (10; 0 = never), or by steps: --checkpoint-steps N.\n"
     "                The file stands beside the database (FILE.HASH.checkpoint) until the cell has ended; without it the cell begins anew\n"
     "  --only CELL   of the config's cells those that match a partial cell, as in \"exclude\": --only '{\"task\": \"sst2\"}'\n"
     "  --minutes MOST first time a few steps of each method (their rows: FILE.hours), say how many hours all cells of the config will take, done or not,\n"
     "                and run nothing where that is more\n"
     "  --budget TIME shrinks the config to a time such as 10m: fewer settings of each grid, then fewer seeds, then fewer tasks, and as many steps as fit then,\n"
     "                200 forwards a cell at least, with as many evaluations as before. The plan is kept (table budgets): the same command goes on with it.\n"
     "                `zo compare` calls its runs scaled, and what was cut not run (budget)\n"
     "  --cell-limit TIME a cell that trains and evaluates longer, in all its processes together, is ended behind a step, and the exit code is 1. It has no score, and\n"
     "                its checkpoint stays: with a larger limit, or none, the same command goes on with it\n"
     "  --limit TIME  the whole run ends after that time such as 8h: the cell at work writes a checkpoint, the exit code is 3, and the same command goes on. Not with\n"
     "                --budget\n"
     "  --fail-on LIST cells that ended so, of this config and done before or now, make the exit code 1: --fail-on oom,diverged,dead. Also time, unsupported and\n"
     "                constant (a mark). Without it they are results like others\n"
     "  --dry-run     say what would run and the memory that its training is predicted to take, task files apart, with the first of several seeds;\n"
     "                run nothing\n"
     "  --redo, --again run cells again that are done; the former tries stay in the table `tries`, and the new ones are reported. `zo history` and\n"
     "                `zo diff` see all of them. Trials of a \"tuning\" stay as they are\n"
     "  --json        one JSON object a cell on standard output\n"
     "\n"
     "A cell is done when it ended with these settings and with the same files behind them: with another model, tokenizer, data or task text, or\n"
     "when a key or a figure means something else now, it is run, and the earlier row stays. One that ran out of memory is tried again when\n"
     "more is free. SIGINT, SIGTERM, SIGHUP and SIGUSR1 end a run when what it has is saved: the cell at work writes a checkpoint after its\n"
     "step. A second signal, or a minute, ends it at once. A database of an older schema is brought to this one,\n"
     "and a copy of it stays beside it. A dry run makes no synthetic model.\n"
     "$ZO_MEMORY_LIMIT: most memory of a cell, such as 4G.\n"
     "\n"
     "Exit code: 0 all done, 1 some cell failed or the run was interrupted, 2 the input was wrong, 3 the time of --limit was over.\n"
     "\n"
     "Each key of the config holds a value or a list; cells are the product of all lists. \"optimizer\" is a name or an object with\n"
     "\"name\" and the optimizer's own keys (see `zo list optimizers --json`), where keys of a cell that are marked * may stand too and win. A name\n"
     "that ends with .so or .py, or has a slash, is the path of an estimator of your own, such as ./mine.so (docs/plugins.md). One budget there\n"
     "(keys marked **) replaces all of the top level for that optimizer, not only the one of its name. \"exclude\": [partial cells]; \"include\": [configs that\n"
     "inherit what they do not say]. \"name\" and \"notes\" are not read; \"expect\" is what\n"
     "`zo compare` reads.\n"
     "\"tuning\": {\"seed\": 7, \"rates\": 3, \"factor\": 3.16227766, \"most\": 7} chooses \"lr\" on dev before the cells run: that many values about the one given, each\n"
     "`factor` times the one before, with this seed and no test rows. While the best is the smallest or largest tried, the next one is tried, up to `most`.\n"
     "\n"
     "Keys of a cell:\n",
     "  zo run sst2.json --data data --dry-run\n"
     "  zo run sst2.json --data data --only '{\"seed\": 0}' --save weights\n"},
    {"plan", zo_cmd_plan, "what the cells of a config will take: memory and hours, and what does not fit",
     "usage: zo plan CONFIG.json [--memory] [--db FILE] [--device NAME] [--model NAME] [--with KEYS] [--data DIR] [--models DIR] [--only CELL]\n"
     "               [--format md|csv|json|latex | --json]\n"
     "\n"
     "A row for the cells that differ in the seed and the learning rate alone: the peak of their training by tag in MB, their steps, the wall time of one,\n"
     "and the hours of one cell and of all of them. What would take more than a cell may take, or cannot be run, says why; `zo run` starts no training\n"
     "that does not fit, and its row is oom. Memory is by what each method says of itself, and hours are by timed steps of each setting: their rows\n"
     "stand in FILE.hours. With that file there the same plan comes out; without it, steps are timed again.\n"
     "What is said of each cell is kept. The run that comes after has it in the table `predictions`, and how far it was off in its columns\n"
     "memory_error, hours_error and cpu_error: 0.1 = a tenth too much.\n"
     "  --memory      no timed steps\n"
     "  --db FILE     results database, made when absent (results/zo.db)\n"
     "  --device NAME, --model NAME, --with KEYS, --data DIR, --models DIR, --only CELL\n"
     "                as of `zo run`\n"
     "  --format F    md, csv or json\n"
     "\n"
     "$ZO_MEMORY_LIMIT: most memory of a cell, such as 4G. On a card nothing is said to be too large.\n"
     "\n"
     "Exit code: 0 all fit, 1 some cell does not fit or cannot be run, 2 the input was wrong or no cell can be opened.\n",
     "  zo plan sst2.json --data data\n"
     "  zo plan sst2.json --data data --memory --format csv\n"},
    {"tail", zo_cmd_tail, "what a run does now, and what has ended, until it is over",
     "usage: zo tail [RUN] [--db FILE] [--last N] [--once] [--json]\n"
     "\n"
     "Looks into the database once a second while `zo run` works on it, from anywhere that sees the file: which cells run, their step, loss, best dev metric and the\n"
     "time left of their budget, at the pace so far; a line for each that ends; and how many cells there are of each status. It ends with the run. Elsewhere than on a\n"
     "terminal lines come one below the other, about running cells every 15 seconds. Steps are in the database two seconds after they are made.\n"
     "RUN, the number of a run or the hash of a cell, shows that one alone.\n"
     "  --db FILE     results database (results/zo.db); it is only read\n"
     "  --last N      so many that have ended already (5)\n"
     "  --once        looks once\n"
     "  --json        looks once, as one JSON object: working, running, ended, cells\n"
     "\n"
     "Exit code: 0 done, 2 the input was wrong.\n",
     "  zo tail --once\n"
     "  zo tail --once --json\n"},
    {"samples", zo_cmd_samples, "what came of single examples in a run",
     "usage: zo samples RUN [--rows dev|test] [--step N] [--wrong] [--db FILE] [--format md|csv|json|latex | --json]\n"
     "\n"
     "RUN is the number of a run (column `run`), or the hash of a cell, that kept them (zo run --samples): label and choice from 0, loss, the score of each class\n"
     "or option, which row of which file the example is, and how its first text begins. A score is a class's log-probability, an option's mean over its\n"
     "tokens or, calibrated, what its sum is above that without content.\n"
     "  --rows SPLIT  dev or test (both)\n"
     "  --step N      the evaluation after so many steps (the headline's)\n"
     "  --wrong       those alone that the run had wrong\n"
     "  --db FILE     results database (results/zo.db)\n",
     "  zo samples 1 --rows test --wrong\n"},
    {"export", zo_cmd_export, "the weights of a run as a folder that transformers loads",
     "usage: zo export RUN DIR [--db FILE] [--data DIR] [--models DIR]\n"
     "\n"
     "RUN is the number of a run (column `run`), or the hash of a cell. Its weights after the last step go to the new folder DIR, with the model's\n"
     "tokenizer: a Hugging Face folder, and of LoRA the adapter as PEFT's. They are made again from its journal, as `zo replay` says.\n",
     "  zo export 1 weights/mezo\n"},
    {"replay", zo_cmd_replay, "a zeroth-order run made again from its recorded losses, without a forward",
     "usage: zo replay RUN [--to STEP] [--save DIR] [--db FILE] [--data DIR] [--models DIR]\n"
     "\n"
     "RUN is the number of a run (column `run`), or the hash of a cell. Every zeroth-order run keeps the losses that its method was told (table\n"
     "`journal`). With these, the model and the data it is made again: directions are drawn again, and no forward is run. On the device and with the\n"
     "build that made it the weights have the same bits. First-order methods need their passes again, and are refused.\n"
     "\n"
     "  --to STEP     stop after so many steps\n"
     "  --save DIR    the weights, into a new folder; as zo run --save writes them\n",
     "  zo replay 1 --to 20 --save weights/step20\n"},
    {"profile", zo_cmd_profile, "drift, rank and cosine by layer along a run's way, which is made again",
     "usage: zo profile RUN [--every N] [--no-cosine] [--db FILE] [--data DIR] [--models DIR] [--json]\n"
     "\n"
     "RUN is made again as by `zo replay`, so its training knows nothing of this. Every N steps and at the end these go to the table `profile`, for each\n"
     "transformer block (layer) and for all that is trained; `zo plot` draws them, and a table of the last step is printed:\n"
     "  drift     |w - w0| / |w0|, Frobenius norms; w0 is where training began\n"
     "  rank      the stable rank |D|_F^2 / |D|_2^2 of D = w - w0, mean over the matrices that moved\n"
     "  cosine    between the step and steepest descent on the step's own (first) batch, where it began\n"
     "\n"
     "  --every N     steps; the tenth part of the run's when it is left out\n"
     "  --no-cosine   without the gradient, which takes a forward and a backward pass and the memory of them\n"
     "  --json        every row of the run, not only those of the last step\n",
     "  zo profile 1 --every 10\n"},
    {"report", zo_cmd_report, "tables of what a database holds",
     "usage: zo report [--db FILE] [--format md|csv|json|latex | --json] [--group seed] [--best lr] [--by task] [--metric NAME] [--where SQL] [--since REV]\n"
     "                 [--against METHOD [--times FILE]] [--html FILE [--every SECONDS]]\n"
     "\n"
     "Without --group, markdown and LaTeX (booktabs; the best in bold, the second underlined) are the papers' table: methods by tasks, each cell's own metric, mean and standard deviation over seeds of all\n"
     "runs and how many of them are marked, then what it cost; csv and json have one object a cell. --group seed: one object for the cells\n"
     "that differ in nothing but the seed. Rows from before a figure changed its meaning stand under \"old definition\" (column meaning).\n"
     "\n"
     "  --best KEY[,KEY]  of the settings that differ only in these keys keep the one with the best mean dev metric, or the lowest mean dev loss\n"
     "                    where the cells' `selection` is dev-loss\n"
     "  --by KEY          what the columns of the papers' table are (task)\n"
     "  --metric NAME     accuracy, f1, macro_f1, matthews, exact_match, token_f1, pearson, spearman,\n"
     "                    dev_metric or dev_accuracy in place of the cells' own\n"
     "  --where SQL       a condition on the view `report`, for instance \"model = 'minilm-l6' AND batch = 16\"\n"
     "  --since REV       runs alone that began when the first one of this revision of the program did, or later; REV is what it begins with\n"
     "  --against METHOD  compares the others with this one, seed by seed: the same data, head, batch order and test rows, at the same budget. Differences, their\n"
     "                    intervals over seeds and over rows, Holm's p, the smallest difference that could have been seen, the rates that work, and\n"
     "                    scores at equal seconds. Runs that cannot be paired are named. METHOD may be a label, such as \"mezo eps 0.001\"\n"
     "  --times FILE      with --against: step times from this database, of the same settings at whatever budget (DB.hours of zo run --minutes)\n"
     "  --html FILE       one file that needs no other: what runs, these tables, every picture, what did not end well, machines, configs\n"
     "  --every SECONDS   with --html: writes it again so often, until it is ended; a browser that shows it follows\n",
     "  zo report --best lr --format latex\n"
     "  zo report --db results/zo.db --html report.html\n"},
    {"compare", zo_cmd_compare, "published tables, and what the database has of them",
     "usage: zo compare TABLE.json... [--db FILE] [--model NAME] [--device NAME] [--with KEYS] [--values] [--format md|csv|json|latex] [--plot FILE]\n"
     "\n"
     "A published table is a config with \"expect\": its values, each with the text it was read in and how sure the reading is. Beside each stands what the\n"
     "runs of its cells have, with the difference, its 95 % interval and a verdict:\n"
     "  agrees        the 90 % interval of the difference lies within 2 points\n"
     "  differs       the 95 % one excludes 0, and the difference is more than 2 points\n"
     "  cannot tell   neither\n"
     "Intervals hold both spreads over seeds, both test sets and rounding. Runs of another model or with other keys are \"scaled\", and memory and times\n"
     "are of another definition: they stand beside, without a verdict.\n"
     "  --db FILE     results database (results/zo.db)\n"
     "  --model NAME, --device NAME, --with KEYS\n"
     "                as given to the `zo run` that made the runs\n"
     "  --values      the published values alone; no database is read\n"
     "  --format F    md, csv, json or latex (rules of booktabs); csv and json have every figure\n"
     "  --plot FILE   a picture too, .png, .svg or .pdf: each published value with its spread over seeds, and ours beside it\n"
     "\n"
     "Exit code: 0, 1 where a value that was read in the paper differs, 2 the input was wrong.\n",
     "  zo compare paper_configs/mezo/table1.json --values\n"
     "  zo compare paper_configs/mezo/table1.json --db results/zo.db --plot table1.svg\n"},
    {"plot", zo_cmd_plot, "pictures of what a database holds",
     "usage: zo plot [--db FILE] [--out DIR] [--only NAME,NAME] [--format png,svg,pdf]\n"
     "               [--size column|text|slide] [--json]\n"
     "\n"
     "  --db FILE     results database (results/zo.db)\n"
     "  --out DIR     where the pictures go (results/plots)\n"
     "  --only NAMES  of `zo list plots`, without blanks (all)\n"
     "  --format      some of png, svg and pdf (all)\n"
     "  --size S      text: as wide as a page's text, 5.5 inches; column: one of two columns, 3.25; slide: 10 inches, in larger print (text)\n"
     "  --json        what was drawn, as JSON\n"
     "\n"
     "Exit code: 0 drawn, 1 there was nothing to draw, 2 the input was wrong, or a picture could not be drawn or written (the others are).\n",
     "  zo plot --db results/zo.db --only accuracy_vs_work,memory_by_tag --out pictures\n"},
    {"sql", zo_cmd_sql, "one read-only SQL statement",
     "usage: zo sql [--db FILE] \"SELECT ...\" [--format md|csv|json|latex | --json]\n"
     "\n"
     "  --db FILE     results database (results/zo.db)\n"
     "\n"
     "The tables are documented in results/schema.sql, and in the database itself: zo sql \"SELECT name, sql FROM sqlite_master\". The views\n"
     "`every` (all runs with a result) and `shown` (of several learning rates the best, as plots show them) are in docs/measuring.md.\n",
     "  zo sql \"SELECT optimizer, count(*), avg(metric_value) FROM runs GROUP BY optimizer\"\n"
     "  zo sql --db results/zo.db \"SELECT name FROM sqlite_master WHERE type = 'table'\" --format csv\n"},
    {"diff", zo_cmd_diff, "two databases or revisions, cell by cell",
     "usage: zo diff A B [--db FILE] [--by revision|binary|host|device|compiler|kernel] [--format md|csv|json|latex | --json]\n"
     "\n"
     "A and B are two database files; or, with --db or --by, what the revision (or the host ...) of runs in one database begins with.\n"
     "A row is a setting, a pair a run of each side of one of its cells. Are the losses the same bits? Score, time of a step and the part of it that\n"
     "changed most, training peak and the tag that changed most, work to a common target: with 95 % intervals over the pairs (the seeds).\n"
     "  --db FILE     results database (results/zo.db)\n"
     "  --by COLUMN   what A and B are values of (revision)\n"
     "\n"
     "Of several runs of a cell by one revision the last with a result is taken. To have a cell run by another revision in the same database: zo run --redo.\n"
     "\n"
     "Exit code: 0 done, whatever the difference is; 2 the input was wrong, or nothing is in both.\n",
     "  zo diff monday.db tuesday.db\n"
     "  zo diff 0a1b2c 3d4e5f --db results/regress.db --by revision\n"},
    {"regress", zo_cmd_regress, "is this program worse than another one?",
     "usage: zo regress --baseline REF SUITE.json [--program FILE] [--pairs N] [--budget TIME] [--effect PERCENT] [--memory PERCENT] [--points N]\n"
     "                  [--level P] [--other-bits] [--disturbed] [--db FILE] [--data DIR] [--models DIR] [--junit FILE] [--github]\n"
     "                  [--format md|csv|json|latex | --json]\n"
     "\n"
     "Runs the cells of SUITE.json, a config, by two programs in turn on this machine: A B, B A, A B ... REF is the path of another zo program, or a git\n"
     "revision of the tree in this folder, which is built in a clone below build/regress. Verdicts, for each setting:\n"
     "  bits          are all logged losses and evaluations the same? Other bits are a verdict of their own\n"
     "  outcome       how the runs ended, their marks, and whether each has a partner\n"
     "  score         the difference over the seeds\n"
     "  cpu, step, form, gemm ...  processor time of a step, its wall time, and that of its parts\n"
     "  memory        peaks by phase and tag, which are exact\n"
     "A time is worse where it is so by more than --effect, beyond chance, and in a second set of runs too.\n"
     "  --program FILE the program that is compared with the baseline (this one)\n"
     "  --pairs N     pairs of runs behind each time, of one setting (8)\n"
     "  --budget TIME a limit such as 90s or 10m; building is not in it (none)\n"
     "  --effect PERCENT  by which a time must change (5); --memory PERCENT: a peak (5); --points N: a score (1)\n"
     "  --level P     of the family of tests of times, and of that of scores (0.05)\n"
     "  --other-bits  other losses are said, and are no regression\n"
     "  --disturbed   runs that other work disturbed count too\n"
     "  --db FILE     database of the runs (results/regress.db); the baseline's go to FILE.baseline, and those of a git\n"
     "                revision to FILE.baseline.COMMIT, 12 digits. `zo diff FILE.baseline FILE` looks at them\n"
     "  --data DIR, --models DIR\n"
     "                as of `zo run`\n"
     "  --junit FILE  the verdicts as JUnit's XML; --github: as annotations, on standard error\n"
     "\n"
     "Exit code: 0 same or better, 1 a regression, 2 the input was wrong, or the runs could not be made, 3 it cannot be told: too few pairs count for times.\n",
     "  zo regress --baseline main paper_configs/nightly/seconds.json\n"
     "  zo regress --baseline ./zo-old paper_configs/nightly/minutes.json --budget 10m --junit regress.xml\n"},
    {"history", zo_cmd_history, "a figure over the revisions of a database, and its steps",
     "usage: zo history METRIC [--db FILE] [--where SQL] [--since REV] [--disturbed] [--plot FILE] [--format md|csv|json|latex | --json]\n"
     "\n"
     "For each setting and host a point a revision, in the order in which they first ran: the median of all runs, their quartiles, and where the\n"
     "figure made a step. METRIC is\n"
     "  a column      of the view all_runs that is a number: metric_value, step_ms_median, train_peak_bytes ...\n"
     "  cpu           processor time of a step, ms\n"
     "  a part        of a step: form, gemm, attention, elementwise, head, backward, update, data, other; ms\n"
     "  a peak        by phase and tag, bytes: \"train peak\", \"train activations\" ...\n"
     "\n"
     "  --db FILE     results database (results/zo.db); of `zo regress`: results/regress.db\n"
     "  --where SQL   a condition on the view all_runs, for instance \"optimizer = 'mezo'\"\n"
     "  --since REV   runs alone that began when the first one of this revision did, or later; REV is what it begins with\n"
     "  --disturbed   times of runs that other work disturbed count too\n"
     "  --plot FILE   a picture too, .png, .svg or .pdf: a panel a setting\n"
     "\n"
     "Exit code: 0 done, 2 the input was wrong, or no run has the figure.\n",
     "  zo history cpu --db results/regress.db\n"
     "  zo history \"train peak\" --where \"model = 'synth-tiny'\" --plot peaks.svg\n"},
    {"best", zo_cmd_best, "the settings with the best learning rate, as a config",
     "usage: zo best [--db FILE] [--where SQL] [--seeds LIST]\n"
     "\n"
     "Prints a config that zo run reads: of settings that differ in the learning rate alone the best by dev (dev loss where the cells' `selection` is\n"
     "dev-loss), with all their seeds. Run into the same database it finds every cell done.\n"
     "  --db FILE     results database (results/zo.db)\n"
     "  --where SQL   a condition on the view `shown` (docs/measuring.md): --where \"task = 'sst2'\"\n"
     "  --seeds LIST  these in place of the seeds that they had\n"
     "\n"
     "Exit code: 0 done, 2 the input was wrong.\n",
     "  zo best --db grid.db --seeds 0,1,2 >best.json && zo run best.json\n"},
    {"merge", zo_cmd_merge, "databases brought together into one",
     "usage: zo merge INTO.db FROM.db... [--json]\n"
     "\n"
     "INTO.db, made when absent, gets the runs of the others with all their rows, file by file, each all or not at all. The others are only read.\n"
     "A run that was there already stays one, so merging again changes nothing. A cell that several files have is one cell. Of its runs the\n"
     "last to begin counts that has a result, else the last to begin; the others stay in the table `tries`. Checkpoints are not taken over.\n"
     "\n"
     "Exit code: 0 done, 2 the input was wrong (what was said of the files before stays).\n",
     "  zo merge all.db monday.db tuesday.db\n"},
    {"prune", zo_cmd_prune, "runs taken out of a database that no report reads",
     "usage: zo prune [--db FILE] [--older] [--remove] [--json]\n"
     "\n"
     "Says how many tries do not count, since a later one of their cell does. Without --remove nothing is removed.\n"
     "  --db FILE     results database (results/zo.db)\n"
     "  --older       also the cells whose figures have an older definition, which reports show apart\n"
     "  --remove      removes them, and makes the file smaller. There is no way back\n"
     "\n"
     "Exit code: 0 done, 2 the input was wrong.\n",
     "  zo prune --db results/zo.db --older\n"
     "  zo prune --db results/zo.db --remove\n"},
    {"get", zo_cmd_get, "a model or data set from the hub into the cache",
     "usage: zo get MODEL | datasets/NAME\n"
     "\n"
     "MODEL is a name such as facebook/opt-125m. config.json, the tokenizer's files and the weights in one form are fetched, of a data set the files\n"
     "in tsv, csv, jsonl and json, into the cache that Python's libraries use too. What was cut goes on where it ended. Lengths and checksums are\n"
     "looked at. The last line is the folder; a config names the model, and --data takes a data set's folder.\n"
     "  $HF_ENDPOINT  the server (https://huggingface.co)\n"
     "  $HF_HOME      where the cache is (~/.cache/huggingface), or $HF_HUB_CACHE\n"
     "  $HF_TOKEN     the token for what is not public, else the one that huggingface_hub keeps; it goes to that server alone\n"
     "\n"
     "Exit code: 0 done, 2 it was not fetched.\n",
     "  zo get facebook/opt-125m\n"
     "  zo get datasets/SetFit/sst2\n"},
    {"list", zo_cmd_list, "models, tasks, optimizers, oracles, plots or configs",
     "usage: zo list models|tasks|optimizers|oracles|plots|configs [--models DIR] [--plugin FILE] [--json]\n"
     "\n"
     "  --models DIR  where models are listed too ($ZO_MODELS)\n"
     "  --plugin FILE optimizers: the estimator of this file, .so or .py, behind them (docs/plugins.md)\n"
     "  --json        all that is known, as JSON\n",
     "  zo list optimizers\n"
     "  zo list tasks --json\n"},
    {"show", zo_cmd_show, "all that is known of a run; or rows of a task as a model reads them",
     "usage: zo show RUN [--db FILE] [--json]\n"
     "       zo show TASK MODEL [--form head|prompt] [--rows train|dev|test] [--n 3] [--from 0] [--context N] [--split SCHEME] [--data DIR] [--models DIR]\n"
     "               [--json]\n"
     "\n"
     "RUN is the number of a run (column `run`), or the hash of a cell, whose try that counts is meant: how it ended, its work, times and memory by tag and part,\n"
     "evaluations, environment, the cell's other tries, and its config.\n"
     "  --db FILE     results database (results/zo.db)\n"
     "\n"
     "TASK MODEL: tokens as they go in, with the one that the head reads in [brackets]; label words; options, with what is scored between bars; how many tokens\n"
     "were cut. The rows are those of a run with the same keys, in its order.\n"
     "  --form FORM   as in a config (head)\n"
     "  --rows SPLIT  train, dev or test (test)\n"
     "  --n N         how many (3), from row --from on (0)\n"
     "  --context N   as in a config (128 of head, the model's positions of prompt)\n"
     "  --split S     drawn, first, kshot or mezo, as in a config (drawn)\n"
     "  --data DIR    task files ($ZO_DATA)\n"
     "  --models DIR  where model names are looked up first ($ZO_MODELS)\n"
     "  --json        one JSON object, with ids\n",
     "  zo show 3\n"
     "  zo show sst2 minilm-l6 --rows dev --n 2 --data data\n"},
    {"tokenize", zo_cmd_tokenize, "lines of text to lines of token ids",
     "usage: zo tokenize MODEL [FILE] [--json] [--no-special] [--models DIR]\n"
     "\n"
     "For each line of FILE (or of standard input) one line of token ids with blanks between them.\n"
     "  --json        a line of input is a JSON string, so that a text may hold line ends; the output stays lines of ids\n"
     "  --no-special  without the tokenizer's special tokens\n"
     "  --models DIR  where model names are looked up first ($ZO_MODELS)\n",
     "  zo tokenize minilm-l6 lines.txt\n"},
    {"score", zo_cmd_score, "hidden states and log-probabilities of lines of text",
     "usage: zo score MODEL [FILE] [--json] [--no-special] [--bf16] [--models DIR]\n"
     "\n"
     "One JSON object for each line of FILE (or of standard input): \"ids\", \"hidden\" (the last hidden state at the first token of an\n"
     "encoder, the last of a causal model) and, for causal models, \"logprob\" of each token given those before it.\n"
     "  --json        a line is a JSON string, so that a text may hold line ends\n"
     "  --no-special  without the tokenizer's special tokens\n"
     "  --bf16        matrix products in bf16 (f32)\n"
     "  --models DIR  where model names are looked up first ($ZO_MODELS)\n",
     "  zo score minilm-l6 lines.txt --bf16\n"},
    {"inspect", zo_cmd_inspect, "what a model is, and the memory that a step would take",
     "usage: zo inspect MODEL [--batch N] [--context N] [--rank N] [--storage f32|bf16|f16] [--quantised none|int8|int4] [--quantised-group N]\n"
     "                 [--tune VIEW] [--plugin FILE] [--models DIR] [--json]\n"
     "\n"
     "Family, layers, parameters, types on disk, and the bytes by tag that a training step of each method is predicted to take.\n"
     "  --batch N     examples of the step (16)\n"
     "  --context N   tokens of an example (128, at most the model's positions)\n"
     "  --rank N      of TeZO's factors (8)\n"
     "  --storage T   how weights are held: f32, bf16 or f16 (f32)\n"
     "  --quantised T the blocks' matrices as integers: none, int8 or int4 (none); --quantised-group N: columns that share a scale (64)\n"
     "  --tune VIEW   the parameters that are trained, as in a config's \"tune\": \"last layers 4\" (full)\n"
     "  --plugin FILE the estimator of this file, .so or .py, behind the others (docs/plugins.md)\n"
     "  --models DIR  where model names are looked up first ($ZO_MODELS)\n"
     "  --json        all of it as one JSON object\n",
     "  zo inspect shape:opt-13b --batch 1 --context 512\n"
     "  zo inspect minilm-l6 --tune \"last layers 1\" --json\n"},
    {"bench", zo_cmd_bench, "micro-benchmarks", ZO_BENCH_HELP,
     "  zo bench step synth-tiny --task synth-acceptability --form prompt --optimizer tezo --steps 5\n"
     "  zo bench rng --threads 1\n"},
    {"demo", zo_cmd_demo, "pretrain a small model and fine-tune it by all methods; no data needed",
     "usage: zo demo [--short] [--db FILE] [--out DIR]\n"
     "\n"
     "Pretrains a small encoder on a synthetic language (kept in results/cache), runs a matrix of methods, tasks and seeds and a memory\n"
     "sweep into results/demo.db, and draws the plots into results/demo. --short: a smaller one in seconds (results/demo-short), to see that\n"
     "everything works.\n",
     "  zo demo --short\n"},
    {"help", cmd_help, "this text, or that of a command", "usage: zo help [COMMAND]\n",
     "  zo help run\n"},
    {"version", zo_cmd_version, "release, revision, backends and libraries of this program", "usage: zo version [--json]\n       zo --version\n",
     "  zo version --json\n"},
    {"cell", zo_cmd_cell, NULL, "zo cell: a cell's own process, started by `zo run`\n", NULL},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int unknown(const char *given)
{
    char name[61];
    snprintf(name, sizeof name, "%s", given);
    zo_text_plain(name);
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
    }
    const char *near = zo_nearest(name, names, COMMANDS);
    if (near != NULL) {
        fprintf(stderr, "zo: there is no command \"%s\"; did you mean \"zo %s\"?\n", name, near);
    } else {
        fprintf(stderr, "zo: there is no command \"%s\"; `zo help` lists them\n", name);
    }
    return 2;
}

/* Further lines of a list's entry ("  --db FILE     results database") begin under the text of its first. */
static int hanging_indent(const char *line)
{
    const char *gap = line[0] == ' ' ? strstr(line + strspn(line, " "), "  ") : NULL;
    return gap != NULL ? (int)(gap + strspn(gap, " ") - line) : line[0] == ' ' ? 4 : 0;
}

/* key, with * where it may stand in the optimizer's object, what may stand there, its default in brackets (none where the help says what absence means) */
static void show_keys(int columns)
{
    zo_cell cell = {.seed = 0};
    zo_opt_defaults(zo_cell_keys(), &cell);
    cJSON *defaults = zo_opt_write(zo_cell_keys(), &cell);
    static const char *const kind[] = {"whole number", "number", "true|false", "text", ""};
    for (const zo_opt *k = zo_cell_keys(); k->key != NULL; k++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(defaults, k->key);
        char *text = cJSON_PrintUnformatted(value), line[1000], name[64];
        bool has = !(cJSON_IsNumber(value) && value->valuedouble < 0) && strcmp(text, "\"\"") != 0;
        snprintf(name, sizeof name, "%s%s", k->key, (k->flags & ZO_KEY_BUDGET) != 0 ? "**" : (k->flags & ZO_KEY_OVERRIDE) != 0 ? "*" : "");
        snprintf(line, sizeof line, "  %-17s %s%s%s%s: %s", name, k->type == ZO_OPT_CHOICE ? k->choices : kind[k->type], has ? " (" : "",
                 has ? text : "", has ? ")" : "", k->help);
        zo_paragraph_print(stdout, line, hanging_indent(line), columns);
        cJSON_free(text);
    }
    cJSON_Delete(defaults);
}

/* On a terminal the lines of a paragraph run on, and lists are folded. */
static void show_text(const char *text, int columns)
{
    if (columns == 0) {
        fputs(text, stdout);
        return;
    }
    char paragraph[4000] = "";
    for (const char *line = text; *line != '\0';) {
        int n = (int)strcspn(line, "\n");
        const char *next = line + n + (line[n] == '\n');
        if (n == 0) {
            putchar('\n');
        } else {
            size_t at = strlen(paragraph);
            snprintf(paragraph + at, sizeof paragraph - at, "%s%.*s", at > 0 ? " " : "", n, line);
            if (line[0] == ' ' || *next == '\0' || *next == '\n' || *next == ' ' || line[n - 1] == ':') { /* the next does not run on */
                zo_paragraph_print(stdout, paragraph, hanging_indent(paragraph), columns);
                paragraph[0] = '\0';
            }
        }
        line = next;
    }
}

static void show_help(const command *c)
{
    int columns = zo_terminal_columns(STDOUT_FILENO);
    show_text(c->help, columns);
    if (c->run == zo_cmd_run) {
        show_keys(columns);
    }
    if (c->examples != NULL) {
        printf("\n%s:\n%s", strchr(c->examples, '\n')[1] == '\0' ? "Example" : "Examples", c->examples);
    }
}

static int cmd_help(int argc, char **argv)
{
    if (argc > 1) {
        const command *c = find(argv[1]);
        if (c == NULL) {
            return unknown(argv[1]);
        }
        show_help(c);
        return 0;
    }
    printf("zo: zeroth-order and first-order fine-tuning of language models, measured\n\n");
    for (int i = 0; i < COMMANDS; i++) {
        if (commands[i].summary != NULL) {
            printf("  zo %-10s %s\n", commands[i].name, commands[i].summary);
        }
    }
    printf("\n`zo help COMMAND` says more. `zo demo` needs no data and no download.\n");
    return 0;
}

/* OpenMP's threads wait for each other by spinning, by default for milliseconds: on a machine that does anything else the time slices
 * of waiting threads are taken from the one that works, and a step takes ten times as long. Some twenty microseconds bridge the gaps
 * between the parts of a step as well. libgomp reads this before main() begins, so the program starts itself once more. */
static void bound_spinning(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") == NULL && getenv("OMP_WAIT_POLICY") == NULL && setenv("GOMP_SPINCOUNT", "1000", 1) == 0) {
        execv("/proc/self/exe", argv); /* where this fails, all is as it was */
    }
}

/* A closed descriptor 0, 1 or 2 would be given to the next file opened, and what is meant for people would land in a database. What is
 * put in its place cannot be written to either. */
static void occupy_standard_descriptors(void)
{
    int got;
    do {
        got = open("/dev/null", O_RDONLY);
    } while (got >= 0 && got <= 2);
    if (got > 2) {
        close(got);
    }
}

int main(int argc, char **argv)
{
    occupy_standard_descriptors();
    bound_spinning(argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is a full disk: an error of write, not a death */
    if (argc < 2) {
        cmd_help(0, NULL);
        return zo_output_end("help", 2);
    }
    const char *name = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? "help"
                       : strcmp(argv[1], "--version") == 0                          ? "version"
                                                                                    : argv[1];
    const command *c = find(name);
    if (c == NULL) {
        return unknown(argv[1]);
    }
    if (argc > 2 && (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0)) {
        show_help(c);
        return zo_output_end(name, 0);
    }
    return zo_output_end(name, c->run(argc - 1, argv + 1));
}
