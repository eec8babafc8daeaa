#!/usr/bin/env bash
# Builds every program of cmd/ into bin/, with the version that git gives in main.version, and lays ONNX Runtime beside
# them: a copy of bin/ runs on any machine that has Debian's OpenCV and libturbojpeg.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unversioned)}
mkdir -p bin
go build -o bin/ -ldflags "-X main.version=$version" ./cmd/...

# A library of the user's own (ASSAY_ONNXRUNTIME_LIB) stays where it is: a GPU build has further files beside it.
library=bin/$(basename "$ASSAY_ONNXRUNTIME_OWN")
if [ "$ASSAY_ONNXRUNTIME_LIB" = "$ASSAY_ONNXRUNTIME_OWN" ] && ! cmp -s "$ASSAY_ONNXRUNTIME_OWN" "$library"; then
  install -m 0644 "$ASSAY_ONNXRUNTIME_OWN" "$library"
fi
echo "built $version:" bin/*
