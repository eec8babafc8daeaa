#!/usr/bin/env bash
# Installs what a build needs and this machine lacks: Debian packages and the ONNX Runtime library. Run it as often as
# you like: it leaves alone what is in place.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

# g++ compiles gocv; a test asks strace whether fdatasync came before the reply.
debian_packages=(libopencv-dev libturbojpeg0-dev pkg-config g++ strace)

# SHA-256 of libonnxruntime.so.1 itself, as it lies in the npm package onnxruntime-node 1.24.3.
onnxruntime_x64=92ba8e44d31b80a34f5e805076a044122c3be1fffe0d88ed790de7267b0b2682
onnxruntime_arm64=33032cb5b91c12edbf028d7c69fa40a31848d66c0095448758af237d5e0b07db

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

need_programs() {
  local program missing=()
  for program in go gcc make npm tar sha256sum; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} -eq 0 ] ||
    die "not on PATH: ${missing[*]}. Install what is named (Go 1.26 or later, Node.js 18 or later with npm, gcc and make), then run this again."
}

install_debian_packages() {
  if ! command -v dpkg-query >/dev/null; then
    command -v pkg-config >/dev/null && pkg-config --exists opencv4 libturbojpeg && return
    die "this is not Debian, and pkg-config does not find opencv4 and libturbojpeg. Install OpenCV 4 and libjpeg-turbo with their headers, pkg-config, g++ and strace, then run this again."
  fi
  local package status missing=()
  for package in "${debian_packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status} ' "$package" 2>/dev/null) || true
    [[ " $status" == *" installed "* ]] || missing+=("$package")
  done
  # Debian's python3 comes without it, and a test runs the Python camera client in a virtual environment.
  if command -v python3 >/dev/null && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=(python3-venv)
  fi
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "Debian packages are missing and there is no sudo. As root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  say "installing Debian packages: ${missing[*]} (OpenCV with what it needs: about 150 MB to download, 1 to 10 minutes)"
  # A fresh machine has no package lists, an old one lists of files that are gone. Where only the refresh fails, the
  # lists on disk may still do.
  "${apt[@]}" update || say "apt-get update failed; trying with the package lists that are here"
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" ||
    die "apt-get could not install: ${missing[*]}. Install them yourself (apt-get install --no-install-recommends ${missing[*]}), then run this again."
  say "Debian packages are in place after ${SECONDS} s"
}

install_onnxruntime() {
  if [ "$ASSAY_ONNXRUNTIME_LIB" != "$ASSAY_ONNXRUNTIME_OWN" ]; then
    [ -r "$ASSAY_ONNXRUNTIME_LIB" ] ||
      die "ASSAY_ONNXRUNTIME_LIB=$ASSAY_ONNXRUNTIME_LIB cannot be read. Point it at a libonnxruntime of version 1.24 or later, or unset it to have $ASSAY_ONNXRUNTIME_VERSION installed."
    say "taking ONNX Runtime from ASSAY_ONNXRUNTIME_LIB=$ASSAY_ONNXRUNTIME_LIB"
    return
  fi
  local arch digest
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) arch=x64 digest=$onnxruntime_x64 ;;
    Linux-aarch64) arch=arm64 digest=$onnxruntime_arm64 ;;
    *) die "no ONNX Runtime for $(uname -s) on $(uname -m) is known here. Set ASSAY_ONNXRUNTIME_LIB to a libonnxruntime of version 1.24 or later." ;;
  esac
  # Never `npm install` of this package: its install script downloads CUDA.
  scripts/npm-file.sh onnxruntime-node "$ASSAY_ONNXRUNTIME_VERSION" "package/bin/napi-v6/linux/$arch/libonnxruntime.so.1" \
    "$digest" "$ASSAY_ONNXRUNTIME_OWN" "86 MB"
}

need_programs
install_debian_packages
install_onnxruntime
