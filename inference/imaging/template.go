//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"image"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// Template is a decoded defect-free picture, ready to be compared with frames: prepared at the input's size, and small in
// floats for alignment. It is read-only and may be shared by workers.
type Template struct {
	key    string
	full   Picture
	gray   Picture // empty where full is grey already
	fitted Picture // at the input's size, the shift being zero; empty where it is only cut into tiles
	small  gocv.Mat
	window gocv.Mat
	aligns bool
}

// NewTemplate decodes t for inputs of spec. With aligns it can serve Align too. Close frees it. Errors wrap
// inspection.ErrInvalid and name the template: a broken template is the recipe's fault, not a frame's.
func (w *Worker) NewTemplate(t inspection.Template, spec Spec, aligns bool) (*Template, error) {
	return w.newTemplate(t, spec, aligns, image.Point{})
}

// NewTiledTemplate is NewTemplate for pictures that are cut into tiles of a size in px where they are larger: a template that is
// larger serves FillTile, any other Fill.
func (w *Worker) NewTiledTemplate(t inspection.Template, spec Spec, aligns bool, tile image.Point) (*Template, error) {
	return w.newTemplate(t, spec, aligns, tile)
}

// newTemplate decodes t; tile is zero where it is never cut.
func (w *Worker) newTemplate(t inspection.Template, spec Spec, aligns bool, tile image.Point) (*Template, error) {
	out := &Template{key: t.Key}
	if err := w.fillTemplate(out, t, spec, aligns, tile); err != nil {
		out.Close()
		return nil, fmt.Errorf("%w: template %q (%s): %v", inspection.ErrInvalid, t.Key, t.Path, err) //nolint:errorlint // err may be an ErrImage, which this must not be
	}
	return out, nil
}

func (w *Worker) fillTemplate(out *Template, t inspection.Template, spec Spec, aligns bool, tile image.Point) error {
	im := inspection.Image{Format: t.Format, Data: inspection.NewBuffer(nil, t.Data)}
	if err := w.Decode(im, spec.Colour, &out.full); err != nil {
		return err
	}
	if whole := tile == (image.Point{}) || out.full.w <= tile.X && out.full.h <= tile.Y; whole {
		if err := w.fitInto(&out.fitted, &w.fitted, spec, &out.full); err != nil {
			return err
		}
	}
	if !aligns {
		return nil
	}
	gray := &out.full
	if out.full.c == 3 {
		gray = &out.gray
		if err := gray.convert(&out.full, 1, out.full.toGray()); err != nil {
			return err
		}
	}
	out.small, out.window = gocv.NewMat(), gocv.NewMat()
	out.aligns = true
	if err := w.shrink(gray, &out.small); err != nil {
		return err
	}
	size, _ := coarse(gray.w, gray.h)
	return gocv.CreateHanningWindow(&out.window, size, gocv.MatTypeCV32F)
}

// Key returns the template's reference key.
func (t *Template) Key() string { return t.key }

// Close frees the template's memory. It may be called twice.
func (t *Template) Close() {
	t.full.Close()
	t.gray.Close()
	t.fitted.Close()
	if t.aligns {
		t.small.Close()
		t.window.Close()
		t.aligns = false
	}
}

// sameSize refuses a frame that cannot be laid over the template pixel by pixel. One that was decoded smaller cannot: it was
// brought to its size by another filter.
func (t *Template) sameSize(p *Picture) error {
	if p.w != t.full.w || p.h != t.full.h {
		return fmt.Errorf("%w: picture is %d x %d px, its template %q is %d x %d", inspection.ErrImage, p.w, p.h, t.key, t.full.w, t.full.h)
	}
	return nil
}
