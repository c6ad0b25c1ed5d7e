#!/bin/sh
# A small report as a page, in headless Chromium at 1280 and 400 pixels: it is never wider than its window, every picture is drawn, and none is empty.
# usage: tests/report_page.sh [FOLDER for the screenshots]; wants ./zo, gnuplot and chromium. Exit status 1: something of that is not so.
set -eu
zo=$(cd "$(dirname "$0")/.." && pwd)/zo
shots=${1:-}
[ -z "$shots" ] || { mkdir -p "$shots" && shots=$(cd "$shots" && pwd); }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >c.json <<'CONFIG'
{"model": "shape:opt-tiny", "init": "random", "task": ["synth-lengths", "synth-sentiment"], "form": "head", "train": 8, "dev": 4, "test": 4, "context": 16, "batch": 4,
 "steps": 4, "eval_every": 2, "seed": [0, 1, 2], "optimizer": ["mezo", "tezo", "fo-sgd"]}
CONFIG
"$zo" run c.json --db z.db >run.log 2>&1 || { cat run.log; exit 1; }
"$zo" report --db z.db --html page.html >/dev/null
pictures=$(grep -o '<object ' page.html | wc -l)
[ "$pictures" -ge 8 ] || { echo "the page has $pictures pictures"; exit 1; }
# The page itself has no script; this copy measures it.
cat page.html - >measured.html <<'SCRIPT'
<script>
onload = function () {
    var low = 0, objects = document.querySelectorAll("object");
    for (var i = 0; i < objects.length; i++) {
        var box = objects[i].getBoundingClientRect();
        if (box.height < 60 || box.right > innerWidth) { low++; }
    }
    document.body.innerHTML = "measured " + innerWidth + " " + document.documentElement.scrollWidth + " " + low + " measured";
};
</script>
SCRIPT
browse() { timeout 180 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$dir/profile" --window-size="$1",2600 "$2" "file://$dir/$3" 2>/dev/null; }
for width in 1280 400; do
    said=$(browse $width --dump-dom measured.html | sed -n 's/.*measured \([0-9 ]*\) measured.*/\1/p')
    # shellcheck disable=SC2086
    set -- $said
    [ $# = 3 ] || { echo "chromium measured nothing at $width pixels"; exit 1; }
    [ "$2" -le "$1" ] || { echo "at $width pixels the page is $2 wide in a window of $1"; exit 1; }
    [ "$3" = 0 ] || { echo "at $width pixels $3 pictures are empty or stick out"; exit 1; }
    [ -z "$shots" ] || browse $width --screenshot="$shots/report_$width.png" page.html
done
echo "$pictures pictures, at 1280 and 400 pixels"
