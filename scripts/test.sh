#!/usr/bin/env bash
# Everything that must hold before a change goes in, in stages, the quick ones first. The first stage that fails ends it.
# The seconds of each stage and their total are printed at the end, also after a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

# stage NAME COMMAND...
report=()
current=
since=0
stage() {
  current=$1 since=$SECONDS
  shift
  printf '\n== %s\n' "$current"
  "$@"
  report+=("$(printf '%6d s  %s' $((SECONDS - since)) "$current")")
  current=
}
finish() {
  local status=$?
  printf '\n== stages\n'
  [ ${#report[@]} -eq 0 ] || printf '%s\n' "${report[@]}"
  [ -z "$current" ] || printf '%6d s  %s FAILED\n' $((SECONDS - since)) "$current"
  printf '%6d s  total\n' "$SECONDS"
  exit "$status"
}
trap finish EXIT

check_format() {
  local unformatted
  unformatted=$(gofmt -l .)
  [ -z "$unformatted" ] || { printf 'not formatted, run gofmt -w on:\n%s\n' "$unformatted"; return 1; }
}

# Without our tags gocv is not compiled: this is what somebody gets who types `go build ./...` without OpenCV at hand.
build_untagged() { GOFLAGS=-buildvcs=false go build ./...; }

# The rooms that start real nodes, and kill them, come last.
is_end_to_end() { [[ $1 =~ /(node|cmd|benchmarks)(/|$) ]]; }

# gotestsum shows one line a package, the output of what failed, and every skipped test with its reason. -count=1: the
# test cache does not see the data sets, the ONNX Runtime library and the programs that tests open and start.
run_tests() { # rooms|end-to-end, then flags of go test
  local all package selected=() which=$1
  shift
  all=$(go list ./...)
  for package in $all; do
    if is_end_to_end "$package"; then
      [ "$which" = rooms ] || selected+=("$package")
    else
      [ "$which" = end-to-end ] || selected+=("$package")
    fi
  done
  [ ${#selected[@]} -gt 0 ] || { echo "no package to test: $which"; return 1; }
  go tool -modfile=tools/go.mod gotestsum --format pkgname -- -count=1 "$@" "${selected[@]}"
}

stage setup scripts/setup.sh
stage format check_format
stage compile go build ./...
stage vet go vet ./...
stage "plain build" build_untagged
stage rooms run_tests rooms -timeout=10m
stage "end to end" run_tests end-to-end -timeout=20m
