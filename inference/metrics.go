package inference

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are what the engine counts. Labels are few and fixed: nothing in them grows with frames.
type metrics struct {
	queueWait prometheus.Histogram
	depth     prometheus.Gauge
	batchSize prometheus.Histogram
	steps     *prometheus.HistogramVec
	expired   prometheus.Counter
	dropped   *prometheus.CounterVec
	refused   prometheus.Counter
	retried   prometheus.Counter
	panics    prometheus.Counter
	drift     *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	seconds := prometheus.ExponentialBuckets(0.0001, 2, 16) // 0.1 ms to 3.3 s
	return &metrics{
		queueWait: f.NewHistogram(prometheus.HistogramOpts{Name: "assay_queue_wait_seconds", Help: "Time that samples waited for a worker.", Buckets: seconds}),
		depth:     f.NewGauge(prometheus.GaugeOpts{Name: "assay_queue_depth", Help: "Samples that wait for a worker now."}),
		batchSize: f.NewHistogram(prometheus.HistogramOpts{Name: "assay_batch_size", Help: "Samples in a tensor batch, padding not counted.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64}}),
		steps:     f.NewHistogramVec(prometheus.HistogramOpts{Name: "assay_inference_step_seconds", Help: "Time of each step of judging a frame.", Buckets: seconds}, []string{"step"}),
		expired:   f.NewCounter(prometheus.CounterOpts{Name: "assay_expired_before_run_total", Help: "Samples whose deadline passed before a worker began with them."}),
		dropped:   f.NewCounterVec(prometheus.CounterOpts{Name: "assay_early_dropped_total", Help: "Samples answered before their deadline because they could no longer be judged by then."}, []string{"class"}),
		refused:   f.NewCounter(prometheus.CounterOpts{Name: "assay_queue_refused_total", Help: "Samples refused because the queue was full."}),
		retried:   f.NewCounter(prometheus.CounterOpts{Name: "assay_batch_retried_total", Help: "Batches that failed as a whole and were run again sample by sample."}),
		drift:     f.NewGaugeVec(prometheus.GaugeOpts{Name: "assay_plan_drift_ratio", Help: "Time that a model's runs take over the time that was measured when it was planned; 1 where that is true."}, []string{"model", "version"}),
		panics:    f.NewCounter(prometheus.CounterOpts{Name: "assay_inference_panics_total", Help: "Panics contained while judging; each is a bug."}),
	}
}

func (m *metrics) step(name string, d time.Duration) {
	m.steps.WithLabelValues(name).Observe(d.Seconds())
}
