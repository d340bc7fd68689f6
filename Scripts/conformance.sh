#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# conformance.sh ENVIRONMENT REQUIREMENTS FOLDER [pytest arguments]: runs a suite of black-box tests
# against the binary MARTLET_BIN, in a Python environment of exactly these packages (kept in the
# cache under that name, made anew when the list changes). The last line is "N passed, M failed".
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
environment=$cache/venv-$1 requirements=$2 folder=$3
shift 3
export MARTLET_BIN=${MARTLET_BIN:-$root/.build/release/martlet}
if [ ! -x "$MARTLET_BIN" ]; then
  echo "no binary at $MARTLET_BIN: build it, or set MARTLET_BIN" >&2
  echo "0 passed, 1 failed"
  exit 1
fi
make_venv "$environment" "$requirements"
report=$(mktemp)
trap 'rm -f "$report"' EXIT
status=0
"$environment/bin/python" -m pytest -q --rootdir "$folder" -p no:cacheprovider --junit-xml "$report" \
  "$@" "$folder" || status=$?
"$environment/bin/python" "$root/Scripts/junit-totals.py" "$report"
exit "$status"
