//go:build gocv_specific_modules

package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// TestKilledNodesLoseNothingAndJudgeNothingTwice streams 500 frames to the real program and kills it again and again: at
// random moments while frames are in flight, and between a commit and its reply, where a node knows something that nobody
// was told yet. The record then holds every frame once, all that the camera was told, and no PASS that no model spoke.
//
// The kills are spread over the run: a frame that is in flight at two of them in a row would rightly be poison (ADR 0004).
func TestKilledNodesLoseNothingAndJudgeNothingTwice(t *testing.T) {
	const frames = 500
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	began := time.Now()
	s := newSite(t, "", generous)
	src := newParts(t, frames)
	node := s.start().ready()
	stream := s.connect()

	var answered, repeats atomic.Int64
	outcomes := map[uint64]camera.Outcome{}
	streamed := make(chan error, 1)
	running, stop := context.WithCancel(t.Context())
	defer func() { stop(); <-streamed }()
	go func() {
		err := stream.Run(running, src, func(_ camera.Shot, o camera.Outcome) error {
			outcomes[o.Frame.Key.Seq] = o
			if o.Answer != nil && o.Answer.Repeated {
				repeats.Add(1)
			}
			answered.Add(1)
			return nil
		})
		streamed <- err
		streamed <- err // for the one who waits at the end
	}()

	kills := map[string]int{}
	for round := range 4 {
		if round%2 == 0 {
			s.killInFlight(node, stream, &answered, answered.Load()+40+random.Int64N(50), time.Duration(random.Int64N(int64(60*time.Millisecond))))
			kills["in flight"]++
			s.keptIsKept(src)
			node = s.start(fmt.Sprintf("ASSAY_FAILPOINT=after-commit:%d", 40+random.IntN(50)))
			continue
		}
		node.ended("at its failpoint", patience)
		if exitStatus(node.err) != -1 || !strings.Contains(node.log.String(), "is committed and not answered") {
			t.Fatalf("the program ended with %v, want SIGKILL between a commit and its reply\n%s", node.err, node.log)
		}
		kills["after commit"]++
		s.keptIsKept(src)
		node = s.start()
	}
	var err error
	select {
	case err = <-streamed:
	case <-time.After(2 * patience):
		t.Fatalf("%d of %d frames are settled after %v", answered.Load(), frames, 2*patience)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.closeStream(stream)
	listed := s.list(stream.Session())
	node.terminate(patience)

	sum := s.prove(expected{session: stream.Session(), outcomes: outcomes, picture: src.picture})
	s.sameAsListed(listed, frames)
	switch {
	case len(outcomes) != frames || sum.rows != frames:
		t.Errorf("%d outcomes and %d effective results, want %d of each", len(outcomes), sum.rows, frames)
	case sum.judged*100 < frames*99:
		t.Errorf("%d of %d frames were judged by the model, want at least 99 %%; the others: %v", sum.judged, frames, sum.unjudged)
	case repeats.Load() == 0:
		t.Error("no frame was answered from the record although the node was killed between a commit and its reply")
	case sum.kept < frames-4*64: // what a node had in memory when it was killed is lost, and is called so
		t.Errorf("%d images are kept, %d lost, %d shed: want nearly all of %d", sum.kept, sum.lost, sum.shed, frames)
	}
	if t.Failed() {
		return // the sum below says that all is well
	}
	t.Logf("%d frames over %d kills (%d in flight, %d between commit and reply): %d results, lost 0, double 0, PASS without inference 0; "+
		"%.1f %% judged by the model, %d answered from the record, %d sent again; images %d kept, %d lost; %.1f s, seed %d",
		frames, kills["in flight"]+kills["after commit"], kills["in flight"], kills["after commit"], sum.rows,
		100*float64(sum.judged)/frames, repeats.Load(), int(stream.Stats().Sends)-frames, sum.kept, sum.lost, time.Since(began).Seconds(), seed)
}

// killInFlight kills the node a moment after so many frames are settled, while others are on their way.
func (s *site) killInFlight(node *process, stream *camera.Stream, answered *atomic.Int64, at int64, later time.Duration) {
	s.t.Helper()
	s.until(fmt.Sprintf("%d frames are settled", at), func() bool { return answered.Load() >= at })
	<-time.After(later) // not to wait for anything: the moment must not depend on an answer's coming
	if stream.Stats().Kept == 0 {
		s.t.Fatal("no frame is in flight: the kill would prove nothing")
	}
	node.kill()
}

// keptIsKept looks at a killed node's directory before anybody tidied it up: every image that a row calls kept is there.
func (s *site) keptIsKept(src *parts) {
	s.t.Helper()
	rows, err := readRecord(s.data)
	if err != nil {
		s.t.Fatal(err)
	}
	kept := 0
	for _, r := range rows {
		if r.imageState != "kept" {
			continue
		}
		kept++
		if p := checkKept(s.data, r, src.picture(int(r.key.Seq)-1)); p != "" {
			s.t.Errorf("after a kill, %s: called kept, but %s", r.key, p)
		}
	}
	if kept == 0 {
		s.t.Errorf("after a kill, none of %d images is kept: nothing was looked at", len(rows))
	}
}

// list pages through the results of a session.
func (s *site) list(session string) []*assayv1.Result {
	s.t.Helper()
	client := assayv1.NewResultServiceClient(s.dial())
	var all []*assayv1.Result
	for cursor := ""; ; {
		page, err := client.ListResults(s.t.Context(), &assayv1.ListResultsRequest{
			Filter: &assayv1.ResultFilter{Session: session}, PageSize: 64, Cursor: cursor, Ascending: true,
		})
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, page.GetResults()...)
		if cursor = page.GetNextCursor(); cursor == "" {
			return all
		}
	}
}

// sameAsListed compares what ResultService gave with the tables.
func (s *site) sameAsListed(listed []*assayv1.Result, want int) {
	s.t.Helper()
	rows, err := readRecord(s.data)
	if err != nil {
		s.t.Fatal(err)
	}
	recorded := map[string]inspection.Verdict{}
	for _, r := range rows {
		recorded[r.id] = r.effective
	}
	for _, r := range listed {
		verdict, ok := recorded[r.GetId()]
		if got := proto.ToVerdict(r.GetEffective().GetVerdict()); !ok || got != verdict {
			s.t.Errorf("ResultService lists %s as %s; recorded is %s (%t), or it was listed before", r.GetId(), got, verdict, ok)
		}
		delete(recorded, r.GetId())
	}
	if len(listed) != want || len(recorded) > 0 {
		s.t.Errorf("ResultService lists %d results and leaves out %d, want %d and 0", len(listed), len(recorded), want)
	}
}
