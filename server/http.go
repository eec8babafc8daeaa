package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	pb "google.golang.org/protobuf/proto"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// routes is the HTTP side. Whatever is added to it is served to known hosts alone.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.handleHealthz)
	mux.HandleFunc("GET /readyz", s.handleReadyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.deps.Gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /v1/results", s.handleResults)
	mux.HandleFunc("GET /v1/results/{id}", s.handleResult)
	mux.HandleFunc("GET /v1/results/{id}/image", s.handleImage)
	mux.HandleFunc("GET /v1/results/{id}/heatmap", s.handleHeatmap)
	s.routeVersions(mux)
	if s.cfg.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index) // and every profile that has a name
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	known := onlyKnownHosts(s.cfg.Hosts, mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff") // what a camera sent is never run as anything
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		h.Set("Cache-Control", "no-store")
		known.ServeHTTP(w, r)
	})
}

// handleHealthz: the process is alive. Whether it is of use is readyz's word.
func (s *Server) handleHealthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// handleReadyz: 200 while frames that are taken are judged and recorded, else 503, both with the reasons and the warnings.
func (s *Server) handleReadyz(w http.ResponseWriter, r *http.Request) {
	st := s.status(r.Context())
	httpStatus := http.StatusOK
	if !st.Ready {
		httpStatus = http.StatusServiceUnavailable
	}
	writeJSON(w, httpStatus, struct {
		Ready    bool     `json:"ready"`
		Reasons  []string `json:"reasons"`
		Warnings []string `json:"warnings"`
	}{st.Ready, orEmpty(st.Reasons), orEmpty(st.Warnings)})
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (s *Server) handleResults(w http.ResponseWriter, r *http.Request) {
	req, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		s.failHTTP(w, r, err)
		return
	}
	resp, err := s.listResults(r.Context(), req)
	if err != nil {
		s.failHTTP(w, r, err)
		return
	}
	s.writeMessage(w, r, resp)
}

func (s *Server) handleResult(w http.ResponseWriter, r *http.Request) {
	resp, err := s.getResult(r.Context(), &assayv1.GetResultRequest{Id: r.PathValue("id")})
	if err != nil {
		s.failHTTP(w, r, err)
		return
	}
	s.writeMessage(w, r, resp)
}

// handleImage sends an image's bytes as the camera sent them.
func (s *Server) handleImage(w http.ResponseWriter, r *http.Request) {
	id := inspection.ResultID(r.PathValue("id"))
	if err := validID(id); err != nil {
		s.failHTTP(w, r, err)
		return
	}
	content, info, err := s.deps.Images.Open(r.Context(), id)
	switch {
	case errors.Is(err, inspection.ErrNotFound) && info.State == inspection.ImageShed:
		writeError(w, http.StatusGone, outcome{code: codes.NotFound, text: "the image of result " + string(id) + " was given up by rule"})
		return
	case err != nil:
		s.failHTTP(w, r, fmt.Errorf("image of result %s: %w", id, err))
		return
	}
	defer func() { _ = content.Close() }()
	imageHeader(w.Header(), id, info)
	http.ServeContent(w, r, "", time.Time{}, content)
}

func imageHeader(h http.Header, id inspection.ResultID, info inspection.ImageInfo) {
	contentType, ending := "application/octet-stream", "raw"
	switch info.Format {
	case inspection.FormatJPEG:
		contentType, ending = "image/jpeg", "jpg"
	case inspection.FormatPNG:
		contentType, ending = "image/png", "png"
	case inspection.FormatUnknown: // an image that could not be read, kept all the same
	case inspection.FormatRaw:
		h.Set("X-Image-Width", strconv.Itoa(info.Width))
		h.Set("X-Image-Height", strconv.Itoa(info.Height))
		h.Set("X-Image-Stride", strconv.Itoa(info.Stride))
		h.Set("X-Image-Pixel-Format", fmt.Sprintf("0x%08X", uint32(info.PixelFormat))) // PFNC
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", string(id)+"."+ending))
	if info.SHA256 != "" {
		h.Set("ETag", `"`+strings.ToLower(info.SHA256)+`"`)
	}
	h.Set("Cache-Control", "private, max-age=31536000, immutable") // an id always names the same bytes
}

// handleHeatmap sends the picture of a result's first heatmap. What it covers, and which scores its grey values stand for, is
// in its headers.
func (s *Server) handleHeatmap(w http.ResponseWriter, r *http.Request) {
	id := inspection.ResultID(r.PathValue("id"))
	if err := validID(id); err != nil {
		s.failHTTP(w, r, err)
		return
	}
	res, err := s.deps.Results.Get(r.Context(), id)
	if err != nil {
		s.failHTTP(w, r, fmt.Errorf("heatmap of result %s: %w", id, err))
		return
	}
	i := slices.IndexFunc(res.Judgements, func(j inspection.Judgement) bool { return j.Heatmap != nil })
	if i < 0 {
		s.failHTTP(w, r, fmt.Errorf("heatmap of result %s: %w: its model gave none", id, inspection.ErrNotFound))
		return
	}
	m, h := res.Judgements[i].Heatmap, w.Header()
	h.Set("X-Heatmap-Area", fmt.Sprintf("%g %g %g %g", m.Area.X1, m.Area.Y1, m.Area.X2, m.Area.Y2))
	h.Set("X-Heatmap-Low", strconv.FormatFloat(m.Low, 'g', -1, 64))
	h.Set("X-Heatmap-High", strconv.FormatFloat(m.High, 'g', -1, 64))
	h.Set("Content-Type", "image/png")
	h.Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", string(id)+".heatmap.png"))
	h.Set("Cache-Control", "private, max-age=31536000, immutable") // judgements are only ever added behind it
	_, _ = w.Write(m.PNG)
}

// writeMessage writes a message as JSON. Fields at zero are written too: a reader must see VERDICT_UNDETERMINED.
func (s *Server) writeMessage(w http.ResponseWriter, r *http.Request, m pb.Message) {
	b, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		s.failHTTP(w, r, fmt.Errorf("write %s: %w", m.ProtoReflect().Descriptor().Name(), err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

// failHTTP answers with an error as google.rpc.Status is written in JSON.
func (s *Server) failHTTP(w http.ResponseWriter, r *http.Request, err error) {
	o := code(err)
	if o.http >= http.StatusInternalServerError {
		s.logFault(r.Context(), o, r.Method+" "+r.URL.Path, err)
	}
	writeError(w, o.http, o)
}

func writeError(w http.ResponseWriter, httpStatus int, o outcome) {
	writeJSON(w, httpStatus, struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{int(o.code), o.text})
}

func writeJSON(w http.ResponseWriter, httpStatus int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus)
	_ = json.NewEncoder(w).Encode(v) // to a client that may be gone
}
