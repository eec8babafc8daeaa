#!/usr/bin/env bash
# Runs golangci-lint, building it into .tools first where it is missing. It is built apart from tools/go.mod: its some
# 200 modules would decide the versions of the generators' ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

version=2.15.0
lint="$ASSAY_ROOT/.tools/golangci-lint/$version/golangci-lint"
if [ ! -x "$lint" ]; then
  echo "lint: building golangci-lint $version into .tools (once, 2 to 4 minutes)" >&2
  mkdir -p "$(dirname "$lint")"
  work=$(mktemp -d "$(dirname "$lint")/.part.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  GOFLAGS= GOBIN="$work" go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$version"
  mv -f "$work/golangci-lint" "$lint"
fi
"$lint" "$@"
