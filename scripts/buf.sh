#!/usr/bin/env bash
# Runs buf on proto/, installing it into .tools first where it is missing: buf.sh generate, buf.sh lint, ...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

version=1.75.0
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) package=@bufbuild/buf-linux-x64 digest=fad1e38d6909bbb583a4da81d8c02a01046e2cd663bde7e337dd24277393764b ;;
  Linux-aarch64) package=@bufbuild/buf-linux-aarch64 digest=00eb190aa82df17f393e05b04889cc60a0b13b3259d336e21a87d5f23ab4fd26 ;;
  *) echo "buf.sh: no buf for $(uname -s) on $(uname -m) is known here." >&2; exit 1 ;;
esac

buf="$ASSAY_ROOT/.tools/buf/$version/buf"
scripts/npm-file.sh "$package" "$version" package/bin/buf "$digest" "$buf" "33 MB" >&2
cd proto
exec "$buf" "$@"
