package camera

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assay-vision/assay/inspection"
)

func TestReadFramesCSVNamesEveryFault(t *testing.T) {
	for _, c := range []struct {
		name, csv string
		words     []string
	}{
		{"nothing", "", []string{"empty", "header", "file"}},
		{"only a byte-order mark", "\uFEFF", []string{"empty"}},
		{"unknown column", "file,seriel,view\n", []string{"line 1", "column 2", `"seriel"`, "captured_at", "work_order"}},
		{"large letters", "File\n", []string{"column 1", `"File"`}},
		{"semicolons", "file;serial\n", []string{"semicolons", "commas"}},
		{"column twice", "file,view,view\n", []string{"column 3", "second time"}},
		{"no file column", "serial,view\n", []string{"column file is missing"}},
		{"no file", "file,view\n ,top\n", []string{"line 2", "file is empty"}},
		{"encoder", "file,encoder\na.jpg,1.5\n", []string{"line 2", "column 2", "encoder", "1.5"}},
		{"time without zone", "file,captured_at\na.jpg,2026-03-01 08:15\n", []string{"line 2", "captured_at", "RFC 3339"}},
		{"budget without unit", "file,budget\na.jpg,150\n", []string{"budget", "150ms"}},
		{"no budget left", "file,budget\na.jpg,0s\n", []string{"budget", "above 0"}},
		{"name too long", "file,lot\na.jpg," + strings.Repeat("x", inspection.MaxName+1) + "\n", []string{"line 2", "lot", "129"}},
		{"control character", "file,lot\na.jpg,\"x\x01\"\n", []string{"lot", "control"}},
		{"too few cells", "file,lot\na.jpg\n", []string{"line 2", "number of columns"}},
		{"open quote", "file\n\"a.jpg\n", []string{"line", "quotes"}},
		{"all at once", "file,budget,encoder\na.jpg,x,\nb.jpg\n,1s,1\nc.jpg,,y\n", []string{"line 2", "line 3", "line 4", "line 5", "budget", "encoder"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, _, err := ReadFramesCSV(strings.NewReader(c.csv))
			wantError(t, err, inspection.ErrInvalid, c.words...)
			if rows != nil {
				t.Errorf("%d rows came with the error, want none", len(rows))
			}
		})
	}
}

func TestReadFramesCSVCountsLinesAsAnEditorDoes(t *testing.T) {
	rows, columns, err := ReadFramesCSV(strings.NewReader("serial,file\n\n\"a\",1.jpg\n\nb , 2.jpg \n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"serial", "file"}; !slices.Equal(columns, want) {
		t.Errorf("columns are %q, want %q", columns, want)
	}
	if len(rows) != 2 || rows[0].Line != 3 || rows[1].Line != 5 || rows[1].File != "2.jpg" || rows[1].Frame.Serial != "b" {
		t.Errorf("rows are %+v, want 1.jpg of line 3 and 2.jpg, serial b, of line 5", rows)
	}
}

func FuzzFramesCSV(f *testing.F) {
	f.Add([]byte("file,serial,view\na.jpg,1,top\n"))
	f.Add([]byte("\uFEFFfile,encoder,captured_at,budget\r\na.jpg,-1,2026-03-01T08:15:00Z,150ms\r\n"))
	f.Add([]byte("file\n\"a\"\"b.jpg\"\n"))
	f.Add([]byte("file,lot\n\"a\nb\",x\n,\n"))
	f.Add([]byte("file;lot"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, columns, err := ReadFramesCSV(bytes.NewReader(data))
		if err != nil {
			if rows != nil || columns != nil {
				t.Fatalf("%d rows came with error %v", len(rows), err)
			}
			return
		}
		line := 1
		for _, row := range rows {
			if row.File == "" || row.Line <= line {
				t.Fatalf("row %+v after line %d: want a file, and a later line", row, line)
			}
			line = row.Line
			for _, s := range []string{row.Frame.Serial, row.Frame.View, row.Frame.Reference, row.Frame.RunID, row.Frame.Lot, row.Frame.WorkOrder, row.Frame.Product, row.Frame.Recipe} {
				if err := inspection.ValidName("cell", s); err != nil {
					t.Fatalf("row of line %d holds %q, which no frame may: %v", row.Line, s, err)
				}
			}
			if row.Frame.Budget < 0 || row.Frame.Image.Data != nil {
				t.Fatalf("row of line %d has budget %v and an image of %d bytes", row.Line, row.Frame.Budget, row.Frame.Image.Data.Len())
			}
		}
		wantSameAgain(t, rows, columns)
	})
}

// wantSameAgain writes the rows' files and serials as a plain table and reads them again: nothing may be lost or moved by one.
func wantSameAgain(t *testing.T, rows []FrameRow, columns []string) {
	t.Helper()
	if !slices.Contains(columns, "file") {
		t.Fatalf("columns are %q, want file among them", columns)
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	records := [][]string{{"file", "serial"}}
	for _, r := range rows {
		if !utf8.ValidString(r.File) || strings.ContainsAny(r.File, "\r\n") {
			return // csv.Writer does not keep these as they are
		}
		records = append(records, []string{r.File, r.Frame.Serial})
	}
	if err := w.WriteAll(records); err != nil {
		t.Fatal(err)
	}
	again, _, err := ReadFramesCSV(&out)
	if err != nil || len(again) != len(rows) {
		t.Fatalf("written again, %d rows became %d, error %v", len(rows), len(again), err)
	}
	for i := range rows {
		if again[i].File != rows[i].File || again[i].Frame.Serial != rows[i].Frame.Serial {
			t.Fatalf("row %d became %+v, want %+v", i, again[i], rows[i])
		}
	}
}
