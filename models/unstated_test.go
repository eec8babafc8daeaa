package models

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// TestParseManifestRefusesWhatIsNotStated: a proposal with something left to state is no manifest, whatever kind of value it is.
func TestParseManifestRefusesWhatIsNotStated(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"task: detect", "task: UNKNOWN", "m.yaml:1: task: UNKNOWN: state it"},
		{"width: 320", "width: UNKNOWN", "m.yaml:5: inputs[0].width: UNKNOWN: state it"},
		{"name: images", "name: UNKNOWN", "m.yaml:3: inputs[0].name: UNKNOWN: state it"},
		{"{scores: s, boxes: b}", "UNKNOWN", "m.yaml:11: output.tensors: UNKNOWN: state it"},
		{"{scores: s, boxes: b}", "{scores: UNKNOWN, boxes: b}", "m.yaml:11: output.tensors.scores: UNKNOWN: state it"},
		{"decoder: ssd", "decoder: ssd\n  background: UNKNOWN", "m.yaml:11: output.background: UNKNOWN: state it"},
		{"[scratch, dent]", "UNKNOWN", "m.yaml:12: labels: UNKNOWN: state it"},
		{"[scratch, dent]", "[scratch, UNKNOWN]", "m.yaml:12: labels[1]: UNKNOWN: state it"},
	} {
		_, err := ParseManifest("m.yaml", []byte(strings.Replace(minimal, c.old, c.new, 1)))
		if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant %s in it", c.new, err, c.want)
		}
	}
}

// TestQuotedUnknownIsAName: a class may be called so.
func TestQuotedUnknownIsAName(t *testing.T) {
	for _, quoted := range []string{`"UNKNOWN"`, `'UNKNOWN'`} {
		got, err := ParseManifest("m.yaml", []byte(strings.Replace(minimal, "scratch, dent", quoted, 1)))
		if err != nil || !reflect.DeepEqual(got.Labels, []string{Unstated}) {
			t.Errorf("%s: got %q, %v; want the label", quoted, got.Labels, err)
		}
	}
}
