package camera

import (
	"errors"
	"fmt"
	"testing"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// What a fault of the frame itself decides is UNDETERMINED, whatever the recipe's fallback; the node hears what the gate was
// told, whose part it was and why.
func TestABadPictureIsUndeterminedAndSaysWhy(t *testing.T) {
	node := newNode(t, nil)
	s := connected(t, testStream(t, nil, node.addr))
	why := fmt.Errorf("%w: a.png is empty", ErrShot)
	o := s.Skip(inspection.Frame{Serial: "S-1"}, reasonNoImage, why)
	if o.Verdict != inspection.Undetermined || !o.Dropped || !errors.Is(o.Err, ErrShot) {
		t.Errorf("outcome %+v, want dropped and UNDETERMINED", o)
	}
	closeDrained(t, s)
	announced, dropped := node.notes()
	if len(announced) != 1 || announced[0].Verdict != assayv1.Verdict_VERDICT_UNDETERMINED {
		t.Errorf("announced %v, want UNDETERMINED", announced)
	}
	if len(dropped) != 1 || dropped[0].Serial != "S-1" || dropped[0].Recipe != "board" || dropped[0].Detail != why.Error() {
		t.Errorf("dropped %v, want serial S-1, recipe board and why", dropped)
	}
}
