package camera

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// FrameRow is one row of a frames.csv.
type FrameRow struct {
	Line  int              // in the file, from 1; the header is line 1
	File  string           // as written: a path from the pictures' folder
	Frame inspection.Frame // what the row says, without image
}

// frameColumns are the columns that a frames.csv may have, and how a cell that is not empty is read.
var frameColumns = []struct {
	name string
	set  func(row *FrameRow, cell string) error
}{
	{"file", func(r *FrameRow, s string) error { r.File = s; return nil }},
	{"serial", text("serial", func(f *inspection.Frame) *string { return &f.Serial })},
	{"view", text("view", func(f *inspection.Frame) *string { return &f.View })},
	{"reference", text("reference", func(f *inspection.Frame) *string { return &f.Reference })},
	{"run_id", text("run_id", func(f *inspection.Frame) *string { return &f.RunID })},
	{"lot", text("lot", func(f *inspection.Frame) *string { return &f.Lot })},
	{"work_order", text("work_order", func(f *inspection.Frame) *string { return &f.WorkOrder })},
	{"product", text("product", func(f *inspection.Frame) *string { return &f.Product })},
	{"recipe", text("recipe", func(f *inspection.Frame) *string { return &f.Recipe })},
	{"encoder", setEncoder},
	{"captured_at", setCapturedAt},
	{"budget", setBudget},
}

func text(name string, field func(*inspection.Frame) *string) func(*FrameRow, string) error {
	return func(r *FrameRow, cell string) error {
		*field(&r.Frame) = cell
		return inspection.ValidName(name, cell)
	}
}

func setEncoder(r *FrameRow, cell string) error {
	n, err := strconv.ParseInt(cell, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: encoder %q: write a whole number of 64 bits, such as 120345", inspection.ErrInvalid, cell)
	}
	r.Frame.Encoder = &n
	return nil
}

func setCapturedAt(r *FrameRow, cell string) error {
	t, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		return fmt.Errorf("%w: captured_at %q: write RFC 3339, such as 2026-03-01T08:15:00.250+01:00", inspection.ErrInvalid, cell)
	}
	r.Frame.CapturedAt = t
	return nil
}

func setBudget(r *FrameRow, cell string) error {
	d, err := time.ParseDuration(cell)
	if err != nil || d <= 0 {
		return fmt.Errorf("%w: budget %q: write a time above 0 with its unit, such as 150ms, or leave it empty for the recipe's", inspection.ErrInvalid, cell)
	}
	r.Frame.Budget = d
	return nil
}

// FrameColumns lists the columns that a frames.csv may have.
func FrameColumns() []string {
	names := make([]string, len(frameColumns))
	for i, c := range frameColumns {
		names[i] = c.name
	}
	return names
}

// ReadFramesCSV reads a frames.csv: a header row with column names out of FrameColumns in any order, of which file is
// required, and a row for each frame. An empty cell says nothing. Spaces around cells are cut, a byte-order mark and CRLF
// are taken. It reads on after a bad row; the error, an inspection.ErrInvalid, lists the faults with their lines. columns are
// those that the header has.
func ReadFramesCSV(r io.Reader) (rows []FrameRow, columns []string, err error) {
	in := bufio.NewReader(r)
	if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\uFEFF")) {
		_, _ = in.Discard(3) // cannot fail: they were just seen
	}
	table := csv.NewReader(in)
	table.ReuseRecord = true
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%w: the file is empty: write a header row with columns out of %s", inspection.ErrInvalid, strings.Join(FrameColumns(), ", "))
	} else if err != nil {
		return nil, nil, csvError(err)
	}
	indices, err := readHeader(header)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range indices {
		columns = append(columns, frameColumns[k].name)
	}
	var found faults
	for {
		cells, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			found.add(csvError(err))
			if errors.Is(err, csv.ErrFieldCount) {
				continue
			}
			break // the rest cannot be told apart any more
		}
		line, _ := table.FieldPos(0)
		row, err := readRow(indices, cells)
		if err != nil {
			found.add(fmt.Errorf("line %d: %w", line, err))
			continue
		}
		row.Line = line
		rows = append(rows, row)
	}
	if err := found.err(); err != nil {
		return nil, nil, err
	}
	return rows, columns, nil
}

// readHeader gives for each column of the file its index in frameColumns.
func readHeader(cells []string) ([]int, error) {
	allowed := strings.Join(FrameColumns(), ", ")
	var indices []int
	for i, cell := range cells {
		name := strings.TrimSpace(cell)
		k := slices.Index(FrameColumns(), name)
		switch {
		case k < 0 && len(cells) == 1 && strings.Contains(name, ";"):
			return nil, fmt.Errorf("%w: line 1: the header %q has semicolons: separate columns by commas", inspection.ErrInvalid, name)
		case k < 0:
			return nil, fmt.Errorf("%w: line 1: column %d is %q: the columns are %s", inspection.ErrInvalid, i+1, name, allowed)
		case slices.Contains(indices, k):
			return nil, fmt.Errorf("%w: line 1: column %d is %q for the second time: leave one of them out", inspection.ErrInvalid, i+1, name)
		}
		indices = append(indices, k)
	}
	if !slices.Contains(indices, 0) {
		return nil, fmt.Errorf("%w: line 1: the column file is missing: add it, with each picture's path from the folder; the columns are %s", inspection.ErrInvalid, allowed)
	}
	return indices, nil
}

func readRow(indices []int, cells []string) (FrameRow, error) {
	var row FrameRow
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		if cell == "" {
			continue
		}
		if err := frameColumns[indices[i]].set(&row, cell); err != nil {
			return FrameRow{}, fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	if row.File == "" {
		return FrameRow{}, fmt.Errorf("%w: file is empty: name the picture, or delete the row", inspection.ErrInvalid)
	}
	return row, nil
}

func csvError(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		switch {
		case errors.Is(p.Err, csv.ErrFieldCount):
			return fmt.Errorf("%w: line %d: another number of columns than the header: put cells with a comma in double quotes", inspection.ErrInvalid, p.StartLine)
		default:
			return fmt.Errorf("%w: line %d, byte %d: %w: put cells with a quote or a comma in double quotes and double the quotes inside", inspection.ErrInvalid, p.Line, p.Column, p.Err)
		}
	}
	return fmt.Errorf("read: %w", err)
}

// maxFaults bounds a list of faults: whoever has more made one mistake many times.
const maxFaults = 20

// faults collects what is wrong with a file, so that it is put right in one go.
type faults struct {
	kept []error
	more int
}

func (f *faults) add(err error) {
	if len(f.kept) == maxFaults {
		f.more++
		return
	}
	f.kept = append(f.kept, err)
}

func (f *faults) err() error {
	if f.more > 0 {
		return fmt.Errorf("%w\nand %d more", errors.Join(f.kept...), f.more)
	}
	return errors.Join(f.kept...)
}
