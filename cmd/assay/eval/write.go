package eval

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// WriteCOCO writes the set to a JSON file, as ReadCOCO reads it.
func (s Set) WriteCOCO(path string) error {
	images, annotations, categories := []any{}, []any{}, []any{}
	for i, im := range s.Images {
		images = append(images, map[string]any{
			"id": i + 1, "file_name": im.File, "width": im.Width, "height": im.Height, "reference": im.Reference, "view": im.View,
		})
	}
	for i, name := range s.Classes {
		categories = append(categories, map[string]any{"id": i + 1, "name": name})
	}
	for i, t := range s.Truths {
		crowd := 0
		if t.Crowd {
			crowd = 1
		}
		annotations = append(annotations, map[string]any{
			"id": i + 1, "image_id": t.Image + 1, "category_id": slices.Index(s.Classes, t.Class) + 1,
			"bbox": []float64{t.Box.X1, t.Box.Y1, t.Box.W(), t.Box.H()}, "area": t.Box.W() * t.Box.H(), "iscrowd": crowd,
		})
	}
	data, err := json.Marshal(map[string]any{"images": images, "annotations": annotations, "categories": categories})
	if err != nil {
		return fmt.Errorf("write the set %s: %w", path, err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write the set: %w", err)
	}
	return nil
}
