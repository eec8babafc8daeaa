package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inference/ort"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// GoldenPicture is a picture of a golden set: PNG or JPEG.
type GoldenPicture struct {
	Name      string // of its file, without ending: a-z, 0-9, _ and -
	Image     []byte
	Reference []byte // its template; nil where the model compares with none
}

// GoldenSet is what a model said of pictures, as a part of its version.
type GoldenSet struct {
	Manifest []byte            // the manifest with its golden section
	Section  string            // that section alone
	Files    map[string][]byte // by path within the version's folder
	stale    []string          // files of the set before
}

// RecordGolden asks the model version that lies in the folder dir (.../NAME/VERSION) about pictures, here and now, and makes its
// golden set of the answers: candidates from reportAt on, or from what a golden set needs at least. The version need be in no
// repository, and its own golden set is not looked at but for the tolerance, which is kept. Nothing is written. cfg says which
// library runs the model and what happens without its execution provider. Errors wrap inspection.ErrInvalid or ErrUnavailable.
func RecordGolden(ctx context.Context, cfg Config, dir string, reportAt float64, pictures []GoldenPicture, log *slog.Logger) (*GoldenSet, error) {
	v, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(v.copy) }()
	set := v.manifest.Golden
	if len(set.Pictures) == 0 {
		set.Tolerance = models.Tolerance{Score: 0.02, BoxPx: 2, MaskIoU: 0.9, Heatmap: 0.02}
	}
	set.ReportAt, set.Pictures = max(reportAt, v.manifest.Output.ScoreFloor+set.Tolerance.Score), nil
	answers, err := v.ask(ctx, cfg, set.ReportAt, pictures, log)
	if err != nil {
		return nil, err
	}
	out := &GoldenSet{Files: map[string][]byte{}, stale: v.manifest.Files()}
	for i, a := range answers {
		p := models.GoldenPicture{Image: inference.GoldenFile(pictures[i].Name, pictures[i].Image), Expect: a.Expect}
		out.Files[p.Image] = pictures[i].Image
		if r := pictures[i].Reference; r != nil {
			p.Reference = inference.GoldenFile(pictures[i].Name+"-reference", r)
			out.Files[p.Reference] = r
		}
		if a.Heatmap != nil {
			p.Heatmap = models.GoldenHeatmap{File: inference.GoldenFile(pictures[i].Name+"-heatmap", a.Heatmap), Low: a.Low, High: a.High}
			out.Files[p.Heatmap.File] = a.Heatmap
		}
		set.Pictures = append(set.Pictures, p)
	}
	out.Section = set.Text()
	out.Manifest = slices.Concat([]byte(strings.TrimRight(string(v.text), "\n")+"\n\n"), []byte(out.Section))
	if _, err := models.ParseManifest(models.ManifestFile, out.Manifest); err != nil {
		return nil, fmt.Errorf("the golden set: %w", err)
	}
	return out, nil
}

// Write puts the set into the folder of its version, in place of the one before.
func (s *GoldenSet) Write(dir string) error {
	for _, name := range s.stale {
		if ext := filepath.Ext(name); ext == ".onnx" || name == models.ManifestFile {
			continue
		}
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the golden set before: %w", err)
		}
	}
	for name, data := range s.Files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return fmt.Errorf("write the golden set: %w", err)
		}
		if err := os.WriteFile(at, data, 0o644); err != nil { //nolint:gosec // a picture for everybody, as the graph beside it
			return fmt.Errorf("write the golden set: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, models.ManifestFile), s.Manifest, 0o644); err != nil { //nolint:gosec // as above
		return fmt.Errorf("write the golden set: %w", err)
	}
	return nil
}

// folder is a version's folder and a copy of it without its golden set.
type folder struct {
	name, version string
	manifest      models.Manifest
	text          []byte // of the manifest without its golden section
	copy          string // a repository of this version alone
}

// openFolder copies a version without its golden set: the graphs by links, the manifest without the section.
func openFolder(dir string) (folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return folder{}, err
	}
	v := folder{version: filepath.Base(dir), name: filepath.Base(filepath.Dir(dir))}
	text, err := os.ReadFile(filepath.Join(dir, models.ManifestFile))
	if err != nil {
		return v, fmt.Errorf("%w: %s is no folder of a model version: %w", inspection.ErrInvalid, dir, err)
	}
	if v.manifest, err = models.ParseManifest(filepath.Join(dir, models.ManifestFile), text); err != nil {
		return v, err
	}
	v.text = models.Without(text, "golden")
	if v.copy, err = os.MkdirTemp("", "assay-golden-"); err != nil {
		return v, fmt.Errorf("copy the version: %w", err)
	}
	to := filepath.Join(v.copy, v.name, v.version)
	err = os.MkdirAll(to, 0o750)
	for _, name := range v.manifest.Files() {
		if err == nil && filepath.Ext(name) == ".onnx" {
			err = os.Symlink(filepath.Join(dir, name), filepath.Join(to, name))
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(to, models.ManifestFile), v.text, 0o600)
	}
	if err != nil {
		return v, errors.Join(fmt.Errorf("copy the version: %w", err), os.RemoveAll(v.copy))
	}
	return v, nil
}

// ask runs the pictures through an engine of its own.
func (v folder) ask(ctx context.Context, cfg Config, reportAt float64, pictures []GoldenPicture, log *slog.Logger) (answers []inference.GoldenPicture, err error) {
	repo, err := models.Open(models.Dir(v.copy))
	if err != nil {
		return nil, err
	}
	rt, err := ort.New(ort.Config{Library: cfg.Models.OnnxRuntime, RefuseFallback: cfg.Models.OnMissingProvider == "refuse"}, log, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()
	e, err := inference.New(inference.Config{
		Threads: 1, Image: imaging.Limits{MaxPixels: cfg.Limits.FramePixels, MaxBytes: int(cfg.Limits.FrameBytes)},
	}, rt, repo, "golden", log, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	inputs := make([]inference.GoldenInput, len(pictures))
	for i, p := range pictures {
		inputs[i] = inference.GoldenInput{Name: p.Name, Image: p.Image, Reference: p.Reference}
	}
	return e.RecordGolden(ctx, v.name, v.version, reportAt, inputs)
}
