//go:build gocv_specific_modules

package imaging

/*
#cgo pkg-config: libturbojpeg
#include <stdint.h>
#include <turbojpeg.h>
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/assay-vision/assay/inspection"
)

// decodeJPEG writes data's pixels into dst, which has the size that the header declares, or an eighth, quarter or half of it,
// and 1 (grey: libturbojpeg then leaves the colours out) or 3 channels, in its order. Every coefficient is read at every
// scale, and what is missing or damaged is found alike.
// libturbojpeg, unlike OpenCV, can be told to stop where data are missing or damaged. Each picture gets a decoder of its
// own (some microseconds): a reused one remembers the tables of the picture before, lends them to a picture that lost its
// own, and after some damaged pictures refuses good ones.
func decodeJPEG(data []byte, dst *Picture) error {
	handle := C.tjInitDecompress()
	if handle == nil {
		return fmt.Errorf("%w: libturbojpeg gives no decoder: %s", inspection.ErrUnavailable, C.GoString(C.tjGetErrorStr2(nil)))
	}
	defer C.tjDestroy(handle)

	src, n := (*C.uchar)(unsafe.Pointer(unsafe.SliceData(data))), C.ulong(len(data))
	var w, h, subsampling, colours C.int
	if C.tjDecompressHeader3(handle, src, n, &w, &h, &subsampling, &colours) != 0 {
		return failedJPEG(handle)
	}
	if int(w) != dst.frameW || int(h) != dst.frameH {
		return fmt.Errorf("%w: JPEG has two headers: %d x %d and %d x %d px", inspection.ErrImage, dst.frameW, dst.frameH, int(w), int(h))
	}
	if colours == C.TJCS_CMYK || colours == C.TJCS_YCCK {
		return fmt.Errorf("%w: JPEG is in CMYK: send grey or RGB", inspection.ErrImage)
	}
	format := C.int(C.TJPF_GRAY)
	switch {
	case dst.c == 3 && dst.rgb:
		format = C.TJPF_RGB
	case dst.c == 3:
		format = C.TJPF_BGR
	}
	const flags = C.TJFLAG_STOPONWARNING | C.TJFLAG_LIMITSCANS
	out := (*C.uchar)(unsafe.Pointer(unsafe.SliceData(dst.buf)))
	if C.tjDecompress2(handle, src, n, out, C.int(dst.w), C.int(dst.w*dst.c), C.int(dst.h), format, flags) != 0 {
		return failedJPEG(handle)
	}
	return nil
}

func failedJPEG(handle C.tjhandle) error {
	return fmt.Errorf("%w: JPEG does not decode: %s", inspection.ErrImage, C.GoString(C.tjGetErrorStr2(handle)))
}
