package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func TestTablesFitTheTerminal(t *testing.T) {
	cols := func() []column {
		return []column{{name: "ID"}, {name: "SERIAL", width: 12}, {name: "CAMERA", drop: 2}, {name: "MS", drop: 1}, {name: "WHY"}}
	}
	rows := func() [][]string {
		return [][]string{
			{strings.Repeat("a", 32), "S-1", "line/station/camera", "1.2", "-"},
			{strings.Repeat("b", 32), strings.Repeat("long", 9), "line/station/camera", "10.2", strings.Repeat("a sentence ", 30)},
		}
	}
	for _, c := range []struct {
		width        int
		camera, time bool
	}{{64, false, false}, {70, false, true}, {120, true, true}, {0, true, true}} {
		var out bytes.Buffer
		a := &app{out: &out, width: c.width}
		if err := a.printGrid(cols(), rows()); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if strings.Contains(text, "CAMERA") != c.camera || strings.Contains(text, "MS") != c.time {
			t.Errorf("at %d columns CAMERA must be shown: %v, MS: %v:\n%s", c.width, c.camera, c.time, text)
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); c.width > 0 && n > c.width {
				t.Errorf("a line of %d characters at %d columns: %s", n, c.width, line)
			}
		}
		contains(t, text, strings.Repeat("b", 32))
		if c.width == 0 {
			contains(t, text, strings.Repeat("long", 9), strings.TrimSpace(strings.Repeat("a sentence ", 30)))
		}
	}
}

func TestControlCharactersDoNotReachTheTerminal(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out, width: 80}
	if err := a.printGrid([]column{{name: "A"}, {name: "B"}}, [][]string{{"\x1b[2J", "tab\there"}}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\t") {
		t.Errorf("got %q, want control characters quoted", out.String())
	}
	contains(t, out.String(), `"\x1b[2J"`, `"tab\there"`)
	if got := plain("Prüfling 7 – ok"); got != "Prüfling 7 – ok" {
		t.Errorf("got %s, want what is printable as it is", got)
	}
	if got := oneLine("first\n  second"); got != "first second" {
		t.Errorf("got %q, want one line", got)
	}
}

func TestARowSaysWhyAFrameWasNotJudged(t *testing.T) {
	for _, c := range []struct {
		byModel        bool
		called         []string
		reason, detail string
		want           string
	}{
		{true, nil, "", "", "-"},
		{true, []string{"open", "open", "short"}, "DEFECT", "", "2 open, 1 short"},
		{false, []string{"open"}, "DEFECT", "the picture before again", "DEFECT: the picture before again: 1 open"},
		{true, []string{"open", "open"}, "COUNT", "2 open, 1 may be", "COUNT: 2 open, 1 may be: 2 open"},
		{false, nil, "REFERENCE", "no template\n\"x\"", `REFERENCE: no template "x"`},
		{false, nil, "DEADLINE", "", "DEADLINE"},
	} {
		if got := told(c.byModel, c.called, c.reason, c.detail); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestAResultShowsNoImageForAGapAndNoVerdictForWhatIsNotCalled(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out}
	err := a.describeResult(&assayv1.Result{Id: "x", Judgements: []*assayv1.Judgement{{
		Detail: "two\nlines\x1b", Defects: []*assayv1.Defect{{Class: "open", Verdict: assayv1.Verdict_VERDICT_PASS, Box: &assayv1.Box{}, BoxMm: &assayv1.Box{X2: 1.5}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	contains(t, out.String(), "none came", "BOX (mm)", "1.500", "  two\n", `"lines\x1b"`)
	if strings.Contains(out.String(), "PASS") || strings.Contains(out.String(), "ms:") {
		t.Errorf("got a verdict of what is not called, or times that nobody measured:\n%s", out.String())
	}
}

func TestAnImageShowsTheChecksumsThatItHas(t *testing.T) {
	for want, im := range map[string]*assayv1.ImageInfo{
		"none came": {},
		"jpeg, 7 bytes, xxh128 aa, sha256 bb, kept": {Format: assayv1.ImageFormat_IMAGE_FORMAT_JPEG, Size: 7, Xxh128: "aa", Sha256: "bb", State: assayv1.ImageState_IMAGE_STATE_KEPT},
		"png, 7 bytes, xxh128 aa, shed":             {Format: assayv1.ImageFormat_IMAGE_FORMAT_PNG, Size: 7, Xxh128: "aa", State: assayv1.ImageState_IMAGE_STATE_SHED},
		"raw, 7 bytes, sha256 bb, shed":             {Format: assayv1.ImageFormat_IMAGE_FORMAT_RAW, Size: 7, Sha256: "bb", State: assayv1.ImageState_IMAGE_STATE_SHED},
	} {
		if got := imageOf(im); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
