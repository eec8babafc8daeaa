package ort

/*
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

// What every ONNX Runtime exports first, whatever its version.
typedef struct {
	const void *(*GetApi)(uint32_t version);
	const char *(*GetVersionString)(void);
} assay_api_base;

// assay_version loads the library and returns its version, or NULL and why not. A library that is no ONNX Runtime is
// unloaded again.
static const char *assay_version(const char *path, const char **why) {
	void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!handle) {
		*why = dlerror();
		return NULL;
	}
	const assay_api_base *(*base)(void) = (const assay_api_base *(*)(void))dlsym(handle, "OrtGetApiBase");
	if (!base) {
		dlclose(handle);
		*why = "it is no ONNX Runtime: it exports no OrtGetApiBase";
		return NULL;
	}
	return base()->GetVersionString();
}
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"github.com/assay-vision/assay/inspection"
)

// LibraryEnv names the environment variable that says where the library is.
const LibraryEnv = "ASSAY_ONNXRUNTIME_LIB"

// The oldest ONNX Runtime that will do: the Go binding speaks API 24.
const minMajor, minMinor = 1, 24

const remedy = "run `make setup`, or install ONNX Runtime 1.24 or newer and name its libonnxruntime.so in models.onnxruntime or " + LibraryEnv

// candidates returns where the library may be, in the order of preference. A place that somebody named is the only one:
// to go on with another library would hide the mistake.
func candidates(configured string) []string {
	if configured != "" {
		return []string{configured}
	}
	if env := os.Getenv(LibraryEnv); env != "" {
		return []string{env}
	}
	names := []string{"libonnxruntime.so.1", "libonnxruntime.so"}
	var paths []string
	if exe, err := os.Executable(); err == nil {
		for _, n := range names {
			if p := filepath.Join(filepath.Dir(exe), n); isFile(p) {
				paths = append(paths, p)
			}
		}
	}
	return append(paths, names...) // the system loader's own search
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// findLibrary returns the first library that loads and its version. The error wraps inspection.ErrUnavailable, says what
// was tried and what to do.
func findLibrary(configured string) (path, version string, err error) {
	var tried []string
	for _, p := range candidates(configured) {
		v, err := libraryVersion(p)
		if err != nil {
			tried = append(tried, err.Error())
			continue
		}
		if !newEnough(v) {
			return "", "", fmt.Errorf("%w: ONNX Runtime %s in %s is too old, %d.%d or newer is needed: %s", inspection.ErrUnavailable, v, p, minMajor, minMinor, remedy)
		}
		return p, v, nil
	}
	return "", "", fmt.Errorf("%w: ONNX Runtime was not found (%s): %s", inspection.ErrUnavailable, strings.Join(tried, "; "), remedy)
}

func libraryVersion(path string) (string, error) {
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	var why *C.char
	v := C.assay_version(c, &why)
	if v == nil {
		return "", fmt.Errorf("%s: %s", path, C.GoString(why))
	}
	return C.GoString(v), nil
}

func newEnough(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > minMajor || major == minMajor && minor >= minMinor)
}
