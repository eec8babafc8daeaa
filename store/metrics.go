package store

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/assay-vision/assay/inspection"
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

// imageMetrics are the image files'. What is a state of the data directory is read when it is asked for.
type imageMetrics struct {
	kept        prometheus.Counter
	given       *prometheus.CounterVec
	lostAtCheck prometheus.Counter
}

func newImageMetrics(reg prometheus.Registerer, im *Images) *imageMetrics {
	f := promauto.With(reg)
	if reg != nil {
		reg.MustRegister(&imageCollector{im: im,
			images: prometheus.NewDesc("assay_images", "Images by state.", []string{"state"}, nil),
			bytes:  prometheus.NewDesc("assay_images_bytes", "Bytes of images by state; only kept ones are on disk.", []string{"state"}, nil),
			queue:  prometheus.NewDesc("assay_images_queue_bytes", "Bytes of images that wait to be written.", nil, nil),
			free:   prometheus.NewDesc("assay_disk_free_bytes", "Free bytes of the data disk.", nil, nil),
			left:   prometheus.NewDesc("assay_disk_days_left", "Days until the image budget is used or the disk is down to its reserve; absent while unknown.", nil, nil),
		})
	}
	return &imageMetrics{
		kept: f.NewCounter(prometheus.CounterOpts{
			Name: "assay_images_kept_total", Help: "Images that were written, synced and marked kept.",
		}),
		given: f.NewCounterVec(prometheus.CounterOpts{
			Name: "assay_images_given_up_total", Help: "Images that were not kept or kept no longer, by state and cause.",
		}, []string{"state", "cause"}),
		lostAtCheck: f.NewCounter(prometheus.CounterOpts{
			Name: "assay_images_found_lost_total", Help: "Images called kept that had no file when files were checked.",
		}),
	}
}

// imageCollector reads the sums at each scrape.
type imageCollector struct {
	im                               *Images
	images, bytes, queue, free, left *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *imageCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.images, c.bytes, c.queue, c.free, c.left} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *imageCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := c.im.Stats(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.images, err)
		return
	}
	for _, s := range []inspection.ImageState{inspection.ImagePending, inspection.ImageKept, inspection.ImageShed, inspection.ImageLost} {
		ch <- prometheus.MustNewConstMetric(c.images, prometheus.GaugeValue, float64(st.Images[s].Count), s.String())
		ch <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(st.Images[s].Bytes), s.String())
	}
	ch <- prometheus.MustNewConstMetric(c.queue, prometheus.GaugeValue, float64(st.QueueBytes))
	ch <- prometheus.MustNewConstMetric(c.free, prometheus.GaugeValue, float64(st.FreeBytes))
	if st.DaysLeft != nil {
		ch <- prometheus.MustNewConstMetric(c.left, prometheus.GaugeValue, *st.DaysLeft)
	}
}
