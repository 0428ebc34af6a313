#!/bin/bash
# Runs buildpacks over an app's source, inside a build container.
#
# Input, by environment:
#   APP_DIR     the source; becomes the slug
#   CACHE_DIR   kept between builds of the app
#   INPUT_DIR   read-only: order, env/ (a file a config var), buildpacks/<n>/,
#               ca.pem (authorities trusted besides the image's, optional)
#   WORK_DIR    scratch: out/ holds the results, buildpacks/ the cloned ones
# INPUT_DIR/order has a line a buildpack, tab-separated:
#   <n> <kind> <name or URL> <branch>
# MODE is "detect" (the first that detects) or "all" (each must detect).
#
# Results in WORK_DIR/out, for the n-th buildpack used: <n>.name,
# <n>.release (what bin/release printed), <n>.commit (of a cloned one);
# "components" collects what buildpacks say they installed.
#
# Exit: 0 built, 90 nobody detects the app, 91 a chosen buildpack does not
# detect it, 92 a buildpack could not be fetched, 93 a buildpack is broken,
# 137 a compile was killed, 1 it failed.

set -u -o pipefail
umask 022

say() { printf -- '-----> %s\n' "$*"; }
fail() {
  local code=$1
  shift
  printf '\n !     %s\n' "$@" >&2
  exit "$code"
}

out="$WORK_DIR/out"
export ENV_DIR="$INPUT_DIR/env"
export BUILDPACK_COMPONENTS="$out/components"
export TMPDIR="$WORK_DIR/tmp"
mkdir -p "$out" "$WORK_DIR/buildpacks" "$TMPDIR" "$CACHE_DIR"
: >"$BUILDPACK_COMPONENTS"

# fetch N URL BRANCH: clones without asking for anything, over https only.
fetch() {
  local args=(clone --quiet --depth 1)
  [[ -n "$3" ]] && args+=(--branch "$3")
  say "Fetching buildpack $2"
  GIT_TERMINAL_PROMPT=0 timeout 300 git -c protocol.allow=never -c "protocol.${GIT_ALLOW:-https}.allow=always" \
    "${args[@]}" -- "$2" "$WORK_DIR/buildpacks/$1" </dev/null ||
    fail 92 "The buildpack $2 could not be fetched." \
      "The space's outbound rules must allow its host, and it must be public."
  git -C "$WORK_DIR/buildpacks/$1" rev-parse HEAD >"$out/$1.commit"
}

# use N DIR NAME: compiles with one buildpack and keeps what it says.
use() {
  local n=$1 dir=$2
  printf '%s\n' "$3" >"$out/$n.name"
  printf -- '-----> %s app detected\n' "$3"
  local code=0
  "$dir/bin/compile" "$APP_DIR" "$CACHE_DIR" "$ENV_DIR" </dev/null || code=$?
  # Killed by the kernel, most likely for memory: the engine knows.
  ((code == 137)) && exit 137
  ((code == 0)) || fail 1 "The buildpack for $3 failed to build the app."
  if [[ -f "$dir/export" ]]; then
    set +u
    # shellcheck source=/dev/null
    source "$dir/export"
    set -u
  fi
  if [[ -x "$dir/bin/release" ]]; then
    "$dir/bin/release" "$APP_DIR" </dev/null >"$out/$n.release" ||
      fail 93 "bin/release of the buildpack for $3 failed."
  fi
}

if [[ -s "$INPUT_DIR/ca.pem" ]]; then
  cat /etc/ssl/certs/ca-certificates.crt "$INPUT_DIR/ca.pem" >"$WORK_DIR/ca-bundle.pem"
  export NODE_EXTRA_CA_CERTS="$INPUT_DIR/ca.pem"
  export SSL_CERT_FILE="$WORK_DIR/ca-bundle.pem" CURL_CA_BUNDLE="$WORK_DIR/ca-bundle.pem" GIT_SSL_CAINFO="$WORK_DIR/ca-bundle.pem"
fi

cd "$APP_DIR" || exit 93
used=0
while IFS=$'\t' read -r n kind name branch <&3; do
  dir="$INPUT_DIR/buildpacks/$n"
  if [[ "$kind" == git ]]; then
    fetch "$n" "$name" "$branch"
    dir="$WORK_DIR/buildpacks/$n"
  fi
  for script in detect compile; do
    [[ -x "$dir/bin/$script" ]] || fail 93 "$name is not a buildpack: it has no bin/$script that can be executed."
  done
  if ! detected=$("$dir/bin/detect" "$APP_DIR" </dev/null 2>&1); then
    [[ "$MODE" == detect ]] && continue
    fail 91 "The buildpack $name does not recognise this app:" "${detected:0:500}"
  fi
  detected=${detected%%$'\n'*}
  use "$n" "$dir" "${detected:-$name}"
  used=$((used + 1))
  [[ "$MODE" == detect ]] && break
done 3<"$INPUT_DIR/order"

if ((used == 0)); then
  fail 90 "No built-in buildpack recognises this app." \
    "A Node.js app has a package.json in its root directory." \
    "For another language, set a buildpack by the URL of its git repository."
fi
exit 0
