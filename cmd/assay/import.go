package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/models/onnx"
	"github.com/assay-vision/assay/models/proposal"
)

// importFlags are the flags of assay models import.
type importFlags struct {
	name, out, decoder, labels, labelsFile, task, size string
	again                                              bool
}

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import file.onnx",
		Short: "Propose the manifest of a foreign graph, and lay both out as a model version",
		Long: "Read what an ONNX file says of itself (inputs, outputs, metadata), propose its manifest, and write both to\n" +
			"OUT/NAME/VERSION, VERSION being the next free number. Nothing is run, and no node is needed. Each value of the manifest\n" +
			"says where it comes from: known from the file, assumed because it is usual for the family, or UNKNOWN. As long as anything\n" +
			"is UNKNOWN the manifest is refused.\n\n" +
			"Refused are graphs with data in other files, with operators that ONNX Runtime does not have, for a newer ONNX Runtime,\n" +
			"above 1 GiB, or without a picture input.\n\n" +
			"Exit status: 0 the manifest is complete, 1 an error, 2 wrong usage, 3 something is left to state.",
		Example: "  assay models import best.onnx --name scratch-net\n  assay models import yolox.onnx --labels-file coco.txt --out my-models\n" +
			"  assay models import head.onnx --decoder yolov5 --labels scratch,dent --input-size 640x640",
		Args: args(1, 1, "one ONNX file"),
		RunE: func(_ *cobra.Command, args []string) error { return a.importModel(args[0], f) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.name, "name", "", "the model's name (default: that of the file)")
	fs.StringVar(&f.out, "out", "models", "the folder of models to write to")
	fs.StringVar(&f.decoder, "decoder", "", "read the outputs so, where the file leaves that open")
	fs.StringVar(&f.labels, "labels", "", "class names in the order of the graph's classes, comma-separated")
	fs.StringVar(&f.labelsFile, "labels-file", "", "a file of class names, one a line")
	fs.StringVar(&f.task, "task", "", "detect, classify, anomaly or segment, where the file leaves that open")
	fs.StringVar(&f.size, "input-size", "", "WIDTHxHEIGHT of the picture input, where the graph leaves it open")
	fs.BoolVar(&f.again, "force", false, "import a graph again that is the newest version already; nothing is overwritten")
	return cmd
}

// imported is what an import made, as --json prints it.
type imported struct {
	Dir string `json:"dir"`
	*proposal.Proposal
	Complete bool `json:"complete"`
}

func (a *app) importModel(file string, f importFlags) error {
	options, err := f.options()
	if err != nil {
		return err
	}
	name, err := f.modelName(file)
	if err != nil {
		return err
	}
	graph, m, err := readGraph(file)
	if err != nil {
		return err
	}
	p, err := proposal.Propose(m, options)
	if err != nil {
		return fmt.Errorf("import %s: %w", file, err)
	}
	text := p.Manifest(filepath.Base(file))
	dir, err := writeVersion(filepath.Join(f.out, name), graph, text, f.again)
	if err != nil {
		return fmt.Errorf("import %s: %w", file, err)
	}
	manifest := filepath.Join(dir, models.ManifestFile)
	faults := fits(manifest, text, m)
	if a.json {
		err = a.printJSON(imported{dir, p, faults == nil})
	} else {
		err = a.printImport(p, dir, name, faults == nil)
	}
	switch left := len(p.Left()); {
	case err != nil:
		return err
	case left == 1:
		return &notWell{fmt.Sprintf("1 value is left to state in %s", manifest)}
	case left > 1:
		return &notWell{fmt.Sprintf("%d values are left to state in %s", left, manifest)}
	case faults != nil:
		return &notWell{fmt.Sprintf("%s needs a correction: %v", manifest, faults)}
	}
	return nil
}

// fits holds a proposal against parser and graph, as a node does.
func fits(file string, text []byte, m *onnx.Model) error {
	manifest, err := models.ParseManifest(file, text)
	if err != nil {
		return err
	}
	return manifest.Check(models.InfoOf(m))
}

// readGraph reads a graph of a size that nodes take, and checks that it is one.
func readGraph(file string) ([]byte, *onnx.Model, error) {
	info, err := os.Stat(file)
	if err == nil && info.IsDir() {
		err = errors.New("it is a folder: name the .onnx file in it")
	}
	if err == nil {
		err = models.CheckGraphSize(info.Size())
	}
	var graph []byte
	if err == nil {
		graph, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("import %s: %w", file, err)
	}
	m, err := models.CheckGraph(graph)
	if err != nil {
		return nil, nil, fmt.Errorf("import %s: %w", file, err)
	}
	return graph, m, nil
}

// options reads the flags. The error wraps errUsage.
func (f importFlags) options() (proposal.Options, error) {
	o := proposal.Options{Decoder: f.decoder, Task: models.Task(f.task)}
	if f.size != "" {
		w, h, ok := strings.Cut(f.size, "x")
		var errW, errH error
		o.Width, errW = strconv.Atoi(w)
		o.Height, errH = strconv.Atoi(h)
		if !ok || errW != nil || errH != nil || o.Width < 1 || o.Height < 1 {
			return o, fmt.Errorf("%w: --input-size %q: want WIDTHxHEIGHT, as in 640x480", errUsage, f.size)
		}
	}
	switch {
	case f.labels != "" && f.labelsFile != "":
		return o, fmt.Errorf("%w: --labels and --labels-file say the same: give one", errUsage)
	case f.labels != "":
		o.Labels = strings.Split(f.labels, ",")
	case f.labelsFile != "":
		text, err := os.ReadFile(f.labelsFile)
		if err != nil {
			return o, fmt.Errorf("read labels: %w", err)
		}
		o.Labels = strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
		if len(o.Labels) == 0 {
			return o, fmt.Errorf("read labels: %s is empty: write one class name a line", f.labelsFile)
		}
	}
	for i, l := range o.Labels {
		o.Labels[i] = strings.TrimSpace(l)
	}
	return o, nil
}

// modelName is the name that is given, or one made of the file's.
func (f importFlags) modelName(file string) (string, error) {
	name := f.name
	if name == "" {
		base := strings.ToLower(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
		name = strings.Trim(strings.Map(func(r rune) rune {
			if models.ValidName(string(r)) || r == '_' {
				return r
			}
			return '-'
		}, base), "-_")
	}
	if !models.ValidName(name) {
		return "", fmt.Errorf("%w: model name %q: use a-z, 0-9, _ and -, and begin with a letter or digit (--name)", errUsage, name)
	}
	return name, nil
}

// printImport says what was recognised, what is assumed and left, and what comes next.
func (a *app) printImport(p *proposal.Proposal, dir, name string, complete bool) error {
	family := p.Family
	if family == "" {
		family = "not recognised"
	}
	fmt.Fprintf(a.out, "%s: %s\n", plain(dir), plain(family))
	for _, r := range p.Reasons {
		fmt.Fprintf(a.out, "  %s\n", plain(r))
	}
	for _, s := range []struct {
		standing proposal.Standing
		title    string
	}{
		{proposal.Known, "Known from the file, or from you:"}, {proposal.Assumed, "Assumed, check them:"},
		{proposal.Unknown, "Left to state:"},
	} {
		if err := a.printFields(s.title, p.With(s.standing), s.standing, p.Reasons); err != nil {
			return err
		}
	}
	manifest := filepath.Join(dir, models.ManifestFile)
	fmt.Fprintln(a.out, "\nNext:")
	if !complete {
		fmt.Fprintf(a.out, "  edit %s: it is refused until nothing in it is %s\n", plain(manifest), models.Unstated)
	}
	fmt.Fprintf(a.out, "  assay models push %s\n", plain(dir))
	_, err := fmt.Fprintf(a.out, "  assay models activate %s@%s --reason imported\n", name, filepath.Base(dir))
	return err
}

// printFields lists fields of one standing. What reasons say already is not said again.
func (a *app) printFields(title string, fields []proposal.Field, s proposal.Standing, reasons []string) error {
	if len(fields) == 0 {
		return nil
	}
	fmt.Fprintf(a.out, "\n%s\n", title)
	width := 0
	for _, f := range fields {
		width = max(width, len(f.Path))
	}
	for _, f := range fields {
		said := oneLine(f.Why)
		if slices.Contains(reasons, strings.TrimSuffix(f.Why, ", check")) {
			said = "as said above"
		}
		switch s {
		case proposal.Known:
			said = fit(oneLine(f.Value), 60)
		case proposal.Assumed:
			said = fmt.Sprintf("%s: %s", oneLine(f.Value), strings.TrimSuffix(said, ", check"))
		case proposal.Unknown:
		}
		if _, err := fmt.Fprintf(a.out, "  %-*s  %s\n", width, f.Path, said); err != nil {
			return err
		}
	}
	return nil
}

// writeVersion writes a version's two files into the next free number below home, and returns the folder. It lies there whole or
// not at all, and on disk. A graph that is the newest version's already is refused unless it comes again on purpose.
func writeVersion(home string, graph, manifest []byte, again bool) (string, error) {
	out := filepath.Dir(home)
	if err := os.MkdirAll(home, 0o750); err != nil {
		return "", fmt.Errorf("write the model: %w: name another folder with --out", err)
	}
	newest, err := newestVersion(home)
	if err != nil {
		return "", fmt.Errorf("write the model: %w", err)
	}
	if newest > 0 && !again {
		at := filepath.Join(home, strconv.Itoa(newest))
		same, err := holds(filepath.Join(at, models.GraphFile), graph)
		switch {
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return "", fmt.Errorf("compare with version %d: %w", newest, err)
		case same:
			return "", fmt.Errorf("the graph is %s already: edit %s there, or give --force for a further version", at, models.ManifestFile)
		}
	}
	tmp, err := os.MkdirTemp(out, ".import-")
	if err != nil {
		return "", fmt.Errorf("write the model: %w: name another folder with --out", err)
	}
	defer os.RemoveAll(tmp)
	err = errors.Join(os.Chmod(tmp, 0o750), //nolint:gosec // a folder is entered
		writeOnDisk(filepath.Join(tmp, models.GraphFile), graph), writeOnDisk(filepath.Join(tmp, models.ManifestFile), manifest), syncFolder(tmp))
	if err != nil {
		return "", fmt.Errorf("write the model: %w", err)
	}
	for version := newest + 1; ; version++ {
		dir := filepath.Join(home, strconv.Itoa(version))
		switch err := os.Rename(tmp, dir); {
		case errors.Is(err, os.ErrExist): // another import was faster; a folder with files is never replaced
			continue
		case err != nil:
			return "", fmt.Errorf("write the model: %w", err)
		}
		return dir, errors.Join(syncFolder(home), syncFolder(out))
	}
}

// newestVersion returns the highest number that is taken below home, 0 for none.
func newestVersion(home string) (int, error) {
	entries, err := os.ReadDir(home)
	newest := 0
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			newest = max(newest, n)
		}
	}
	return newest, err
}

// holds reports whether a file has just these bytes.
func holds(file string, want []byte) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := io.ReadFull(f, buf)
		if !bytes.HasPrefix(want, buf[:n]) {
			return false, nil
		}
		want = want[n:]
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return len(want) == 0, nil
		case err != nil:
			return false, err
		}
	}
}

// writeOnDisk writes a file and waits until it is on disk.
func writeOnDisk(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
