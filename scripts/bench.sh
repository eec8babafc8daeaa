#!/usr/bin/env bash
# Measures the node against ONNX Runtime alone (benchmarks/), prints the table and keeps the results in build/bench as
# text for benchstat and as JSON. About 35 minutes; the machine must have nothing else to do.
#
#   BENCH=P1,P3        only these
#   BENCH_QUICK=1      one run of 1 s for each figure: that it works, not how fast it is
#   BENCH_PAIRS=7  BENCH_UNIT=5s   A B pairs of a figure, length of one run
#   BENCH_OUT=benchmarks/results   where a run that is to be committed goes
#   BENCH_PROFILES=DIR CPU profiles of the node, for `go tool pprof`; they cost it some speed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

pairs=7 unit=5s
[ -z "${BENCH_QUICK:-}" ] || { pairs=1 unit=1s; }
mkdir -p build/bench
go build -o build/bench/assayd ./cmd/assayd
# The one with the failpoint can leave out the record, which P2 and P10 compare with.
GOFLAGS="${GOFLAGS/-tags=/-tags=assay_failpoint,}" go build -o build/bench/assayd-unrecorded ./cmd/assayd
go build -o build/bench/bench ./benchmarks/cmd/bench
exec build/bench/bench -assayd build/bench/assayd -unrecorded build/bench/assayd-unrecorded \
	-models benchmarks/models -only "${BENCH:-}" -pairs "${BENCH_PAIRS:-$pairs}" -unit "${BENCH_UNIT:-$unit}" \
	-profiles "${BENCH_PROFILES:-}" -out "${BENCH_OUT:-build/bench}" -commit "$(git describe --always --dirty 2>/dev/null || echo unversioned)"
