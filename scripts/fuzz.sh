#!/usr/bin/env bash
# Runs every fuzz target that `go test` lists, FUZZTIME (default 20s) each, and names those that failed at the end.
# A failing input lies in the package's testdata/fuzz: commit it with the fix, and `go test` runs it from then on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

fuzztime=${FUZZTIME:-20s}

# `go test -list` prints a package's targets, then "ok <package> <seconds>".
listing=$(go test -list '^Fuzz' ./...) || { printf '%s\n' "$listing" >&2; exit 1; }
mapfile -t targets < <(awk '/^Fuzz/ { name[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, name[i]; n = 0 }' <<<"$listing")
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: no fuzz target found" >&2; exit 1; }

failed=()
for target in "${targets[@]}"; do
  read -r package name <<<"$target"
  printf '\n== %s %s for %s\n' "$package" "$name" "$fuzztime"
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x "$package" || failed+=("$target")
done

printf '\n== %d targets, %d failed\n' ${#targets[@]} ${#failed[@]}
[ ${#failed[@]} -eq 0 ] || { printf '  %s\n' "${failed[@]}"; exit 1; }
