#!/bin/sh
# Compare zo's step with PyTorch's on real models and real SST-2 lengths.
#   bench/peers/run.sh DATA MODELS [compare.py's options]
# DATA: folder with glue/SST-2; MODELS: folder with minilm-l6 and smollm2-135m. torch and transformers come from PyPI into
# bench/peers/.venv (ignored by git), or set ZO_PEERS_PYTHON to a Python that has them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=${1:?"bench-peers: DATA is the folder that holds glue/SST-2, for instance make bench-peers DATA=../shared/data MODELS=DIR"}
models=${2:?"bench-peers: MODELS is the folder that holds minilm-l6 and smollm2-135m, for instance make bench-peers DATA=../shared/data MODELS=DIR"}
shift 2
python=${ZO_PEERS_PYTHON:-$here/.venv/bin/python}
if [ ! -x "$python" ]; then
    echo "bench-peers: making $here/.venv with torch and transformers"
    python3 -m venv "$here/.venv"
    "$here/.venv/bin/pip" install -q --disable-pip-version-check torch transformers
fi
cd "$here/../.."
exec "$python" "$here/compare.py" --zo ./zo --data "$data" --models "$models" "$@"
