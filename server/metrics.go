package server

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/assay-vision/assay/inspection"
)

// metrics count what passes the door. How long frames wait and run is counted where that happens.
type metrics struct {
	streams   prometheus.Gauge
	frames    prometheus.Counter
	bytes     prometheus.Counter
	answers   *prometheus.CounterVec
	notes     *prometheus.CounterVec
	protocols *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, inFlight func() float64) *metrics {
	with := promauto.With(reg)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "assay_server_image_bytes_in_flight", Help: "Bytes of images that were received whole and are not released yet.",
	}, inFlight)
	return &metrics{
		streams: with.NewGauge(prometheus.GaugeOpts{
			Name: "assay_server_streams", Help: "Camera streams that said Hello and are open.",
		}),
		frames: with.NewCounter(prometheus.CounterOpts{
			Name: "assay_server_frames_received_total", Help: "Frames received from cameras, repeats included.",
		}),
		bytes: with.NewCounter(prometheus.CounterOpts{
			Name: "assay_server_image_bytes_received_total", Help: "Bytes of images received from cameras.",
		}),
		answers: with.NewCounterVec(prometheus.CounterOpts{
			Name: "assay_server_answers_total", Help: "Answers to cameras by verdict, reason and whether the result is on disk.",
		}, []string{"verdict", "reason", "recorded"}),
		notes: with.NewCounterVec(prometheus.CounterOpts{
			Name: "assay_server_notes_total", Help: "What cameras announced and dropped, by kind and whether it is on disk.",
		}, []string{"kind", "recorded"}),
		protocols: with.NewCounterVec(prometheus.CounterOpts{
			Name: "assay_server_protocol_errors_total", Help: "Camera streams that were ended for what they sent, by gRPC code.",
		}, []string{"code"}),
	}
}

func (m *metrics) answered(a inspection.Answer) {
	m.answers.WithLabelValues(a.Verdict.String(), string(a.Judgement.Reason), strconv.FormatBool(a.Recorded)).Inc()
}

func (m *metrics) noted(kind string, err error) {
	m.notes.WithLabelValues(kind, strconv.FormatBool(err == nil)).Inc()
}
