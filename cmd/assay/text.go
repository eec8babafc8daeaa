package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/assay-vision/assay/inspection"
)

// lastColumn is the least room of a table's last column, in characters.
const lastColumn = 16

// terminalWidth returns the columns of the terminal that f is, else those that COLUMNS names, else 0: no limit.
func terminalWidth(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	if w, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && w > 0 {
		return w
	}
	return 0
}

// plain quotes what holds anything but printable characters: names come from files and cameras, and a terminal obeys
// control characters.
func plain(s string) string {
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// oneLine makes a sentence that may span lines fit for a table's cell.
func oneLine(s string) string { return plain(strings.Join(strings.Fields(s), " ")) }

// fit shortens s to n characters; 0: no limit.
func fit(s string, n int) string {
	if n <= 0 || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// column is one column of a grid.
type column struct {
	name  string
	width int // in characters; where the rows are known beforehand, the most that it may take on a terminal (0: no limit)
	drop  int // on a terminal that is too narrow the column with the highest number goes first; 0 stays
}

// grid prints aligned rows that fit the terminal. The last column takes the room that is left.
type grid struct {
	out    io.Writer
	cols   []column
	gone   []bool
	narrow bool // cells are shortened to their column
}

// newGrid lays out columns of fixed widths, for rows that are printed as they come.
func (a *app) newGrid(cols ...column) *grid {
	g := &grid{out: a.out, cols: cols, gone: make([]bool, len(cols)), narrow: a.width > 0}
	last := len(cols) - 1
	if !g.narrow {
		return g
	}
	for {
		room, victim := a.width, -1
		for i, c := range cols[:last] {
			if g.gone[i] {
				continue
			}
			room -= c.width + 2
			if c.drop > 0 && (victim < 0 || c.drop > cols[victim].drop) {
				victim = i
			}
		}
		if room >= min(lastColumn, max(cols[last].width, 1)) || victim < 0 {
			cols[last].width = max(room, 1)
			return g
		}
		g.gone[victim] = true
	}
}

// printGrid lays columns out for rows that are all known, and prints them under their header.
func (a *app) printGrid(cols []column, rows [][]string) error {
	for i := range cols {
		most := cols[i].width
		cols[i].width = utf8.RuneCountInString(cols[i].name)
		for _, r := range rows {
			r[i] = plain(r[i])
			cols[i].width = max(cols[i].width, utf8.RuneCountInString(r[i]))
		}
		if most > 0 && a.width > 0 {
			cols[i].width = min(cols[i].width, most)
		}
	}
	g := a.newGrid(cols...)
	err := g.header()
	for _, r := range rows {
		if err == nil {
			err = g.row(r...)
		}
	}
	return err
}

func (g *grid) header() error {
	names := make([]string, len(g.cols))
	for i, c := range g.cols {
		names[i] = c.name
	}
	return g.row(names...)
}

func (g *grid) row(cells ...string) error {
	var b strings.Builder
	for i, c := range g.cols {
		if g.gone[i] {
			continue
		}
		cell := plain(cells[i])
		if g.narrow {
			cell = fit(cell, c.width)
		}
		b.WriteString(cell)
		if i < len(g.cols)-1 {
			b.WriteString(strings.Repeat(" ", max(c.width-utf8.RuneCountInString(cell), 0)+2))
		}
	}
	_, err := fmt.Fprintln(g.out, strings.TrimRight(b.String(), " "))
	return err
}

// whyColumn heads what told gives.
const whyColumn = "DEFECTS OR REASON"

// told says in short why a frame has its verdict: the called defects where the model decided by them, else the reason and
// its sentence.
func told(byModel bool, called []string, reason, detail string) string {
	names := countNames(called)
	if byModel && (reason == string(inspection.ReasonNone) || reason == string(inspection.ReasonDefect)) {
		return names
	}
	parts := []string{dash(reason)}
	if detail != "" {
		parts = append(parts, oneLine(detail))
	}
	if len(called) > 0 {
		parts = append(parts, names)
	}
	return strings.Join(parts, ": ")
}

// count is how often a text came up.
type count struct {
	text string
	n    int
}

// commonest returns at most n texts, the most frequent first.
func commonest(m map[string]int, n int) []count {
	var all []count
	for text, times := range m {
		all = append(all, count{text, times})
	}
	slices.SortFunc(all, func(a, b count) int {
		if a.n != b.n {
			return b.n - a.n
		}
		return strings.Compare(a.text, b.text)
	})
	return all[:min(n, len(all))]
}
