#!/bin/sh
# A small report as LaTeX, compiled with pdflatex: every table is taken as it is printed, in a document that loads booktabs alone.
# usage: tests/report_tex.sh; wants ./zo and pdflatex. Exit status 1: it does not compile, or says less than it should.
set -eu
zo=$(cd "$(dirname "$0")/.." && pwd)/zo
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >c.json <<'CONFIG'
{"model": "shape:opt-tiny", "init": "random", "task": "synth-lengths", "form": "head", "train": 8, "dev": 4, "test": 4, "context": 16, "batch": 4, "steps": 4,
 "eval_every": 2, "seed": [0, 1, 2], "optimizer": ["mezo", "tezo", {"name": "fo-sgd", "lr": 1e-2}]}
CONFIG
"$zo" run c.json --db z.db >run.log 2>&1 || { cat run.log; exit 1; }
"$zo" report --db z.db --format latex >report.tex
"$zo" report --db z.db --format latex --against mezo >against.tex
for part in toprule midrule bottomrule textbf underline; do
    grep -q "\\\\$part" report.tex || { echo "report.tex has no \\$part"; exit 1; }
done
{
    printf '\\documentclass[landscape]{article}\n\\usepackage{booktabs}\n\\begin{document}\n'
    cat report.tex against.tex
    printf '\\end{document}\n'
} >document.tex
pdflatex -halt-on-error -interaction=nonstopmode document.tex >tex.log 2>&1 || { grep -A4 '^!' tex.log; exit 1; }
head -c 5 document.pdf | grep -q '%PDF-' || { echo "document.pdf is no PDF"; exit 1; }
echo "$(grep -c toprule document.tex) tables compile, $(sed -n 's/.*(\([0-9]* page[s]*\).*/\1/p' tex.log | tail -n 1)"
