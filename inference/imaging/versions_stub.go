//go:build !gocv_specific_modules

package imaging

// Versions is empty where the program was built without the native libraries.
func Versions() map[string]string { return nil }
