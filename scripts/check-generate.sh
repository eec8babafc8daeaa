#!/usr/bin/env bash
# Generates proto/ into a temporary folder and compares: the committed Go must be what the .proto files say, no file
# more and none less. The checkout is not touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/committed" "$work/generated"

(cd proto && find . -name '*.pb.go' -exec cp --parents {} "$work/committed" \;)
scripts/buf.sh generate -o "$work/generated"
if ! (cd "$work" && diff -ruN committed generated); then
  echo "check-generate: the Go in proto/ is not what the .proto files generate. Run 'make generate' and commit the result." >&2
  exit 1
fi
