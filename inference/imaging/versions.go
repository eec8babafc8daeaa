//go:build gocv_specific_modules

package imaging

// #include <stdio.h>
// #include <jpeglib.h>
// static int assay_turbo_version(void) { return LIBJPEG_TURBO_VERSION_NUMBER; }
import "C"

import (
	"fmt"

	"gocv.io/x/gocv"
)

// Versions returns the versions of the native libraries that this program was built with, by name.
func Versions() map[string]string {
	v := int(C.assay_turbo_version()) // 2001005 is 2.1.5
	return map[string]string{
		"opencv":        gocv.OpenCVVersion(),
		"libjpeg-turbo": fmt.Sprintf("%d.%d.%d", v/1000000, v/1000%1000, v%1000),
	}
}
