//go:build gocv_specific_modules

package imaging

import (
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func BenchmarkPair(b *testing.B) {
	w, p := newTestWorker(b), newTestPicture(b)
	im := jpegImage(encodeJPEG(b, board(640, 640, 1), 90))
	tpl, err := w.NewTemplate(inspection.Template{Key: "top", Format: inspection.FormatPNG, Data: encodePNG(b, board(640, 640, 1))}, pairSpec, true)
	if err != nil {
		b.Fatal(err)
	}
	defer tpl.Close()
	dst := cAlloc(pairSpec.SampleBytes())
	defer cFree(dst)
	f := NewFingerprinter()
	if err := w.Decode(im, Gray, p); err != nil {
		b.Fatal(err)
	}
	step := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	step("decode", func() error { return w.Decode(im, Gray, p) })
	step("measure", func() error { _, err := w.Measure(p); return err })
	step("fingerprint", func() error { f.Of(p); return nil })
	step("align", func() error { _, _, err := w.Align(tpl, p); return err })
	step("fill", func() error { _, err := w.Fill(dst, pairSpec, p, tpl, Shift{}); return err })
	step("fill-shifted", func() error { _, err := w.Fill(dst, pairSpec, p, tpl, Shift{X: 3}); return err })
}
