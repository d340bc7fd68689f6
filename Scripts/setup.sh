# SPDX-License-Identifier: Apache-2.0
# Sourced by ./run and ./test: finds the toolchain, installs what is missing, says what it does.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${MARTLET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/martlet}
mkdir -p "$cache"

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; else bold= dim= red= plain=; fi
step() { printf '%s==>%s %s\n' "$bold" "$plain" "$*"; }
note() { printf '    %s%s%s\n' "$dim" "$*" "$plain"; }
die() { printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2; exit 1; }

# need_packages NAME…: installs the Debian packages that are not there yet.
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || die "these packages are needed and apt-get is not there: ${missing[*]}"
  local sudo=()
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null || die "run as root or install sudo, to get: ${missing[*]}"; sudo=(sudo); }
  step "Installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq >/dev/null 2>&1 || note "apt-get update failed; trying with the lists there are"
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >"$cache/apt.log" 2>&1 || { tail -5 "$cache/apt.log" >&2; die "apt-get could not install: ${missing[*]}"; }
}

# need_toolchain: a Swift compiler of at least 6.2 on the PATH.
need_toolchain() {
  command -v swift >/dev/null || PATH=$PATH:/opt/swift/usr/bin:/usr/local/swift/usr/bin:/usr/share/swift/usr/bin
  command -v swift >/dev/null || die "no Swift toolchain found; see https://www.swift.org/install"
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
  case $version in
    6.[2-9]*|6.[1-9][0-9]*|[7-9].*) ;;
    *) die "Swift 6.2 or newer is needed, found '${version:-none}'" ;;
  esac
}

build_packages=(libjpeg-dev libpng-dev zlib1g-dev libyaml-dev libssl-dev pkg-config)

# free_port: a TCP port on 127.0.0.1 that nobody listens on.
free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  die "no free port found"
}

# make_venv FOLDER REQUIREMENTS: a Python environment with exactly these packages (tests only).
make_venv() {
  local folder=$1 requirements=$2 stamp
  stamp=$folder/$(sha256sum "$requirements" | cut -c1-16).ok
  [ -e "$stamp" ] && return 0
  command -v python3 >/dev/null || need_packages python3
  python3 -m venv --clear "$folder" 2>/dev/null || { need_packages python3-venv; python3 -m venv --clear "$folder"; }
  "$folder/bin/pip" install -q --disable-pip-version-check -r "$requirements" || return 1
  touch "$stamp"
}
