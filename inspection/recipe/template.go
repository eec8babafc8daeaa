package recipe

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"

	"github.com/assay-vision/assay/inspection"
)

// Templates returns the recipe's template pictures sorted by key: what Parse takes back.
func Templates(r *inspection.Recipe) []inspection.Template {
	out := make([]inspection.Template, 0, len(r.Reference.Templates))
	for _, t := range r.Reference.Templates {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b inspection.Template) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// digest is SHA-256 over the YAML and every template's key, format and digest, each preceded by its length, so that no
// bytes can move from one to the next. Templates come sorted by key; their paths do not count.
func digest(yaml []byte, templates []inspection.Template) string {
	h := sha256.New()
	write(h, "assay recipe 1")
	write(h, string(yaml))
	for _, t := range templates {
		write(h, t.Key)
		write(h, t.Format.String())
		write(h, t.Digest)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func write(h hash.Hash, s string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(s)))
	h.Write(n[:])
	h.Write([]byte(s))
}

// sniff tells a picture's format by its first bytes.
func sniff(data []byte) inspection.ImageFormat {
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return inspection.FormatPNG
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return inspection.FormatJPEG
	}
	return inspection.FormatUnknown
}

// takeTemplates checks the pictures and adds them to the draft.
func (d *draft) takeTemplates(templates []inspection.Template) {
	node, field := d.ref.node, "reference.folder"
	if node != nil {
		node = d.ref.at("folder")
	}
	switch {
	case d.folder == "" && len(templates) > 0 && node == nil && d.root.node != nil:
		d.fail(d.root.node, field, "name the folder that they came from", "%d template pictures were given to a recipe without a reference", len(templates))
		return
	case d.folder != "" && len(templates) == 0:
		d.fail(node, field, "put a .png, .jpg or .jpeg there for each reference key", "there is no template picture")
		return
	}
	set := map[string]inspection.Template{}
	for _, t := range templates {
		sum := sha256.Sum256(t.Data)
		own := hex.EncodeToString(sum[:])
		name := t.Key
		if t.Path != "" {
			name = t.Path
		}
		other, double := set[t.Key]
		switch {
		case t.Key == "" || inspection.ValidName("key", t.Key) != nil:
			d.fail(node, field, "rename the file to the reference key that frames will send", "template %q has no name that a frame can send", clip(name))
		case double:
			d.fail(node, field, "keep one picture per key", "templates %q and %q both have the key %q", clip(cmp.Or(other.Path, other.Key)), clip(name), t.Key)
		case sniff(t.Data) == inspection.FormatUnknown || sniff(t.Data) != t.Format:
			d.fail(node, field, "save it again as the format that its ending names", "template %q is no %s file by its first bytes", clip(name), t.Format)
		case t.Digest != "" && t.Digest != own:
			d.fail(node, field, "give it without a digest, or with that of its bytes", "template %q has the digest %s, its bytes have %s", clip(name), clip(t.Digest), own)
		default:
			t.Digest = own
			set[t.Key] = t
		}
	}
	if len(set) > 0 {
		d.recipe.Reference.Templates = set
	}
}
