package benchmarks

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/assay-vision/assay/camera/synthetic"
)

// networks are those that were made for benchmarks.
func networks() (all []string) {
	for _, k := range kinds() {
		all = append(all, k.networks...)
	}
	return all
}

// writeRecipes writes the recipes of all benchmarks. PASS images are not kept. The budget is long: a benchmark that has a
// deadline states it with each frame.
func writeRecipes(dir string, series *synthetic.Series) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, name := range networks() {
		text := fmt.Sprintf("name: %s\nmodel: %s\nreport_at: %v\nbudget: 60s\nfallback: REVIEW\nkeep: {pass: none}\n"+
			"classes:\n  hot: {review_at: 0.3, reject_at: 0.6}\n  warm: {ignore: true}\n", name, name, reportAt)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	// What the boards show is reported and not called, so that all of them pass and no image is kept.
	text := fmt.Sprintf("name: pcb-pair\nmodel: pcb-pair\nreference: {folder: templates, align: none}\nreport_at: %v\nbudget: 60s\nfallback: REVIEW\n"+
		"keep: {pass: none}\nclasses:\n  \"*\": {ignore: true}\n", reportAt)
	if err := os.WriteFile(filepath.Join(dir, "pcb-pair.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	return series.WriteTemplates(filepath.Join(dir, "templates"))
}
