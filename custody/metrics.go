package custody

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/assay-vision/assay/inspection"
)

type metrics struct {
	frames       *prometheus.CounterVec
	unrecorded   *prometheus.CounterVec
	late         *prometheus.CounterVec
	misses       prometheus.Counter
	repeats      prometheus.Counter
	conflicts    prometheus.Counter
	poison       prometheus.Counter
	forgotten    prometheus.Counter
	commitErrors prometheus.Counter
	commitTime   prometheus.Histogram
	commitGroup  prometheus.Histogram
	receiveTime  prometheus.Histogram
	answerTime   prometheus.Histogram
	inFlight     prometheus.Gauge
}

// newMetrics registers with reg; a nil reg keeps the metrics to themselves.
func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: "assay_custody_" + name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: "assay_custody_" + name, Help: help}, labels)
	}
	return &metrics{
		frames:       vec("frames_total", "Frames that left custody, by what was decided; NOT_RECORDED will come again.", "verdict", "source", "reason", "simulated"),
		unrecorded:   vec("unrecorded_answers_total", "Fallback answers that left without a record.", "reason"),
		late:         vec("late_judgements_total", "Engine answers that came after the desk had decided, by what became of them.", "outcome"),
		misses:       counter("deadline_misses_total", "Answers that left after their deadline."),
		repeats:      counter("repeats_total", "Answers to frames that were delivered before."),
		conflicts:    counter("conflicts_total", "Deliveries of a recorded key with another image."),
		poison:       counter("poison_total", "Frames not judged because too many deliveries ended without an answer."),
		forgotten:    counter("forgotten_announcements_total", "Unrecorded answers that were forgotten before their frame came again."),
		commitErrors: counter("commit_errors_total", "Commits that failed."),
		commitTime: with.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_custody_commit_seconds", Help: "Time of one group commit.", Buckets: prometheus.ExponentialBuckets(0.0002, 2, 15),
		}),
		commitGroup: with.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_custody_commit_entries", Help: "Entries of one group commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		receiveTime: with.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_custody_receive_seconds", Help: "Time from a frame's receipt until the desk began with it.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15),
		}),
		answerTime: with.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_custody_answer_seconds", Help: "Time from a frame's receipt to its answer, repeats left out.", Buckets: prometheus.ExponentialBuckets(0.001, 1.5, 24),
		}),
		inFlight: with.NewGauge(prometheus.GaugeOpts{Name: "assay_custody_in_flight", Help: "Frames in custody that are not recorded yet."}),
	}
}

// count adds one frame under what was decided of it, on its side of the wall between line and simulation.
func (m *metrics) count(j inspection.Judgement, simulated bool) {
	m.frames.WithLabelValues(j.Verdict.String(), j.Source.String(), string(j.Reason), strconv.FormatBool(simulated)).Inc()
}
