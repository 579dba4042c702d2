#!/usr/bin/env bash
# Makes a virtual environment with the python peers of the pool. Prints the python to name with MP_PYTHON.
#   MP_PYTHON=$(tools/bench/python/peers.sh) cargo bench -p mp-bench -- W6
set -euo pipefail
folder=${1:-${TMPDIR:-/tmp}/mp-bench-peers}
[ -x "$folder/bin/python" ] || "${MP_PYTHON:-python3}" -m venv "$folder" >&2
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check mpire loky >&2
echo "$folder/bin/python"
