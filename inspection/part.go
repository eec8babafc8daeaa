package inspection

import (
	"cmp"
	"slices"
	"time"
)

// PartSpec says what makes a part complete.
type PartSpec struct {
	Views []string // the views that must be there; empty: any one frame does
}

// ViewResult is what JoinPart needs of one frame's result.
type ViewResult struct {
	View      string
	RunID     string // the measurement of the part that the frame belongs to; frames without one are one run
	Verdict   Verdict
	At        time.Time // when the frame was received
	ID        ResultID
	Simulated bool
}

// Part is the verdict on a part, joined from the frames of its latest run.
type Part struct {
	Verdict   Verdict
	Complete  bool     // every view of the spec is there
	Missing   []string // the spec's views that are not, in its order
	RunID     string
	Views     []PartView // the spec's views that are there, in its order, then the others by name
	Simulated bool       // only simulated frames were given
}

// PartView is one view of a part.
type PartView struct {
	View    string
	Verdict Verdict    // the most careful of its frames
	Results []ResultID // its frames, by time of receipt, then id
}

// JoinPart joins the results of one part's frames. Only its latest run counts, the one with the newest frame (of equal
// ones the run with the greater id): a measurement made again replaces the earlier one. The verdict is the most careful of
// the run's frames, also of views that the spec does not name; a missing view, and no frame at all, count as UNDETERMINED.
// Simulated frames never stand beside real ones: they are left out unless there are no others.
func JoinPart(spec PartSpec, views []ViewResult) Part {
	frames, simulated := realFrames(views)
	run := latestRun(frames)
	frames = slices.DeleteFunc(frames, func(v ViewResult) bool { return v.RunID != run })
	slices.SortFunc(frames, func(a, b ViewResult) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })

	part := Part{RunID: run, Simulated: simulated, Complete: len(frames) > 0}
	byView := map[string][]ViewResult{}
	for _, f := range frames {
		byView[f.View] = append(byView[f.View], f)
	}
	for _, view := range spec.Views {
		switch fs, ok := byView[view]; {
		case ok:
			part.add(view, fs)
		case !part.has(view) && !slices.Contains(part.Missing, view):
			part.Missing, part.Complete = append(part.Missing, view), false
		}
		delete(byView, view)
	}
	others := make([]string, 0, len(byView))
	for view := range byView {
		others = append(others, view)
	}
	slices.Sort(others)
	for _, view := range others {
		part.add(view, byView[view])
	}
	part.Verdict = part.fold()
	return part
}

func (p *Part) has(view string) bool {
	return slices.ContainsFunc(p.Views, func(v PartView) bool { return v.View == view })
}

func (p *Part) add(view string, frames []ViewResult) {
	v := PartView{View: view, Verdict: frames[0].Verdict}
	for _, f := range frames {
		v.Verdict = MostCareful(v.Verdict, f.Verdict)
		v.Results = append(v.Results, f.ID)
	}
	p.Views = append(p.Views, v)
}

func (p *Part) fold() Verdict {
	var all []Verdict
	for _, v := range p.Views {
		all = append(all, v.Verdict)
	}
	if !p.Complete {
		all = append(all, Undetermined)
	}
	return MostCareful(all...)
}

// realFrames returns a copy of the frames that are not simulated, or of all when there are no others.
func realFrames(views []ViewResult) (frames []ViewResult, simulated bool) {
	for _, v := range views {
		if !v.Simulated {
			frames = append(frames, v)
		}
	}
	if len(frames) == 0 {
		return slices.Clone(views), len(views) > 0
	}
	return frames, false
}

func latestRun(frames []ViewResult) string {
	if len(frames) == 0 {
		return ""
	}
	return slices.MaxFunc(frames, func(a, b ViewResult) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.RunID, b.RunID))
	}).RunID
}
