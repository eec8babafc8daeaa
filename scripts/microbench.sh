#!/usr/bin/env bash
# Runs the benchmarks of every package that has one and keeps the output as build/microbench/<commit>.txt, ready for
# benchstat. BENCH picks by name, BENCH_COUNT (default 6) is how often each runs: benchstat wants six or more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

mapfile -t packages < <(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -r -n 1 dirname | sort -u)
[ ${#packages[@]} -gt 0 ] || { echo "microbench: no package has a benchmark yet"; exit 0; }

mkdir -p build/microbench
out=build/microbench/$(git describe --always --dirty 2>/dev/null || echo unversioned).txt
go test -run '^$' -bench "${BENCH:-.}" -benchmem -count "${BENCH_COUNT:-6}" -timeout 0 "${packages[@]}" | tee "$out"
echo "microbench: kept in $out; compare with: benchstat OLD.txt $out"
