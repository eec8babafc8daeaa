package store

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the database's; the images have their own.
type metrics struct {
	commitSeconds prometheus.Histogram
	commitEntries prometheus.Histogram
	commitErrors  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		commitSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_store_commit_seconds", Help: "Time from the call until a group of entries was on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		commitEntries: f.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_store_commit_entries", Help: "Entries of a committed group.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		commitErrors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "assay_store_commit_errors_total", Help: "Groups of which nothing was recorded, by cause: disk, refused, other.",
		}, []string{"cause"}),
	}
}
