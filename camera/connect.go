package camera

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
)

// run keeps the stream connected until it is closed.
func (s *Stream) run() {
	defer close(s.gone)
	defer s.old.Wait()
	backoff := s.cfg.BackoffMin
	for s.wanted() {
		useful := false
		for l := s.connect(); l != nil; {
			l, useful = s.serve(l)
		}
		if useful { // it worked until now: try at once
			backoff = s.cfg.BackoffMin
			continue
		}
		// The upper half at random: cameras that lost one node do not come back as one.
		if !pause(s.ctx, backoff/2+rand.N(backoff/2+1)) {
			return
		}
		backoff = min(2*backoff, s.cfg.BackoffMax)
	}
}

// wanted reports whether there is, or may come, anything to do.
func (s *Stream) wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ctx.Err() == nil && !(s.closed && s.drained())
}

// pause waits for so long, and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect tries every address once, home first, and returns the first link, or nil.
func (s *Stream) connect() *link {
	var errs []error
	lasting := 0
	addrs := s.addresses()
	for _, addr := range addrs {
		l, err := s.dial(s.ctx, addr)
		if err == nil && !s.ready(l) {
			err = fmt.Errorf("connect to %s: recipe %s: %w", addr, s.cfg.Recipe, inspection.ErrNotReady)
			l.close(err)
		}
		if err == nil {
			return l
		}
		if s.ctx.Err() != nil {
			return nil
		}
		errs = append(errs, err)
		if lastingRefusal(err) {
			lasting++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr = errors.Join(errs...)
	s.refused = lasting == len(addrs)
	s.log.Warn("no node can be reached; frames are kept and answered by the camera's own fallback", "error", s.lastErr, "kept", len(s.frames))
	s.ring()
	return nil
}

// warm reports whether a node says that it will judge the stream's frames. A recipe that it does not know will not become
// ready: the node records that.
func (s *Stream) warm(l *link) bool {
	for _, r := range l.welcome.GetRecipes() {
		if r.GetName() == s.cfg.Recipe && !r.GetReady() {
			return false
		}
	}
	return true
}

// ready reports whether a node is warm, or nodes that are not were passed over for long enough.
func (s *Stream) ready(l *link) bool {
	warm := s.warm(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case warm:
		return true
	case s.unready.IsZero():
		s.unready = time.Now()
	}
	return time.Since(s.unready) >= s.cfg.ReadyWait
}

// addresses returns the configured nodes, then the peers that a node named.
func (s *Stream) addresses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := slices.Clone(s.cfg.Addrs)
	for _, p := range s.peers {
		if p != "" && !slices.Contains(addrs, p) {
			addrs = append(addrs, p)
		}
	}
	return addrs
}

// lastingRefusal reports whether a node said no in a way that waiting does not mend.
func lastingRefusal(err error) bool {
	var s interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &s) {
		return false
	}
	switch s.GRPCStatus().Code() {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.Unimplemented, codes.PermissionDenied, codes.Unauthenticated:
		return true
	default:
		return false
	}
}

// serve works on one link until it ends, or until there is a link to home that takes its place; the old one then brings
// its last answers beside the new one. useful says that it has brought an answer.
func (s *Stream) serve(l *link) (next *link, useful bool) {
	s.begin(l)
	l.work.Go(func() { s.write(l) })
	l.ended = make(chan error, 1)
	l.work.Go(func() { l.ended <- s.read(l) })

	home := s.homeward(l)
	next = s.tend(l, home.found)
	home.stop()
	if next != nil {
		s.retire(l)
		s.old.Go(func() { s.tend(l, nil) })
		return next, true
	}
	return home.late(), l.useful
}

// tend looks after a link until it ends, and puts it away then, or until the way home is found.
func (s *Stream) tend(l *link, found <-chan *link) (home *link) {
	look := time.NewTicker(max(min(s.cfg.Stall/4, time.Second), time.Millisecond))
	defer look.Stop()
	for {
		select {
		case err := <-l.ended:
			l.close(err)
			l.work.Wait()
			s.end(l, err)
			return nil
		case <-look.C:
			s.lookAfter(l)
		case home = <-found:
			return home
		}
	}
}

// begin makes l the stream's link.
func (s *Stream) begin(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.refused, s.lastErr, s.unready = l, false, nil, time.Time{}
	s.stats.Connects++
	s.learn(l.welcome)
	s.log.Info("connected", "node", l.welcome.GetNode(), "addr", l.addr, "credits", l.credits)
	s.ring()
}

// end takes back what is without an answer.
func (s *Stream) end(l *link, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, k := range s.frames {
		if k.link == l {
			s.unanswered(k)
			n++
		}
	}
	if s.link == l {
		s.link = nil
		s.notes.again(0)
	}
	if !(s.closed && s.drained()) && !errors.Is(err, errGoingHome) {
		s.lastErr = fmt.Errorf("connection to %s: %w", l.addr, err)
		s.log.Warn("connection lost", "node", l.welcome.GetNode(), "addr", l.addr, "error", err, "frames_without_answer", n)
	}
	s.ring()
}

var (
	errStalled   = errors.New("a frame had no answer long after its deadline")
	errGoingHome = errors.New("going home")
)

// lookAfter ends a link that does not answer, and sends notes again that were not acknowledged.
func (s *Stream) lookAfter(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes.again(noteRetry)
	if len(s.notes.waiting) > 0 {
		s.ring()
	}
	now := time.Now()
	for _, overdue := range l.flying {
		if now.After(overdue) {
			l.cancel(errStalled)
			return
		}
	}
}

// retire lets a link bring its last answers and sends no more on it.
func (s *Stream) retire(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.retiring = true
	l.leave()
	s.ring()
}

// leave ends a retiring link once nothing is without an answer on it. The caller holds the stream's mu.
func (l *link) leave() {
	if l.retiring && len(l.flying) == 0 {
		l.cancel(errGoingHome)
	}
}

// homeward is the way home while another node serves: found brings the link.
type homeward struct {
	found chan *link
	stop  func()        // ends the looking, and a dial that is on its way
	done  chan struct{} // closed when it has ended
}

// homeward tries home every HomeRetry while l leads elsewhere.
func (s *Stream) homeward(l *link) homeward {
	h := homeward{found: make(chan *link, 1), done: make(chan struct{})}
	ctx, stop := context.WithCancel(s.ctx)
	h.stop = stop
	if s.cfg.HomeRetry == 0 || l.addr == s.cfg.Addrs[0] {
		close(h.done)
		return h
	}
	found := h.found
	go func() {
		defer close(h.done)
		for {
			if !pause(ctx, s.cfg.HomeRetry/2+rand.N(s.cfg.HomeRetry/2+1)) {
				return
			}
			next, err := s.dial(ctx, s.cfg.Addrs[0])
			if err == nil && s.warm(next) { // no wait ends here: a node that works is not left for one that would fall back
				found <- next
				return
			} else if err == nil {
				next.close(inspection.ErrNotReady)
			}
		}
	}()
	return h
}

// late returns a link that was found in the moment in which the old one ended.
func (h homeward) late() *link {
	<-h.done
	select {
	case l := <-h.found:
		return l
	default:
		return nil
	}
}
