# The build environment, in one place. Source it before running go by hand; the Makefile and the scripts source it too:
#
#     . scripts/env.sh && go test ./inspection/...
#
# Changing a value here changes the key of Go's build cache, so everything with C in it is compiled again (minutes).
# shellcheck shell=bash

ASSAY_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)"
export ASSAY_ROOT

# gocv compiles against Debian's OpenCV 4.6 only as "specific modules": the core, and video input. No VCS stamp: the
# version comes in by -ldflags, and a stamp would make a build depend on who owns the checkout.
export GOFLAGS="-buildvcs=false -tags=gocv_specific_modules,gocv_videoio"

# The ONNX Runtime that scripts/setup.sh installs. It is loaded while running, nothing links against it, and a value
# that is already set wins.
export ASSAY_ONNXRUNTIME_VERSION=1.24.3
export ASSAY_ONNXRUNTIME_OWN="$ASSAY_ROOT/.tools/onnxruntime/$ASSAY_ONNXRUNTIME_VERSION/libonnxruntime.so.1"
export ASSAY_ONNXRUNTIME_LIB="${ASSAY_ONNXRUNTIME_LIB:-$ASSAY_ONNXRUNTIME_OWN}"

# `pkg-config opencv4` names every OpenCV module of the machine, and some drag in GTK, VTK and more. --as-needed links
# the four that are called; Debian's g++ does that by itself, others do not. "-O2 -g" is Go's default, which setting the
# variable would otherwise drop.
export CGO_LDFLAGS="-O2 -g -Wl,--as-needed"
