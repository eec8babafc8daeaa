package main

import (
	"fmt"
	"html/template"
	"io"
	"math"
)

// The plot's area in px.
const (
	plotLeft, plotTop     = 70.0, 20.0
	plotWidth, plotHeight = 640.0, 320.0
)

// plotLine is one curve with its points, in px.
type plotLine struct {
	Name, Colour, Path string
	Points             []plotPoint
}

type plotPoint struct {
	X, Y  float64
	Title string
	Void  bool
}

// plotTick is one line of the grid.
type plotTick struct {
	At   float64
	Text string
}

type plotData struct {
	Report           sweepReport
	Lines            []plotLine
	X, Y             []plotTick
	Left, Top        float64
	Right, Bottom    float64
	Middle, MiddleY  float64
	LabelY, LegendX  float64
	Width, AllHeight float64
}

// plotPage writes a page with latency against load, which needs nothing but itself. Latencies are on a scale of powers of
// ten: p50 and p99 lie far apart where the load comes near the capacity.
func plotPage(w io.Writer, r sweepReport) error {
	low, high, most := math.Inf(1), 0.0, 0.0
	for _, p := range r.Points {
		most = max(most, p.Load)
		for _, v := range [...]float64{p.P50, p.P99} {
			if v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if math.IsInf(low, 1) {
		low, high = 1, 10
	}
	from, to := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	if to <= from {
		to = from + 1
	}
	d := plotData{
		Report: r, Left: plotLeft, Top: plotTop, Right: plotLeft + plotWidth, Bottom: plotTop + plotHeight,
		Middle: plotLeft + plotWidth/2, MiddleY: plotTop + plotHeight/2, LabelY: plotTop + plotHeight + 45, LegendX: plotLeft + 12,
		Width: plotLeft + plotWidth + 20, AllHeight: plotTop + plotHeight + 60,
	}
	x := func(load float64) float64 { return plotLeft + plotWidth*load/(1.05*most) }
	y := func(v float64) float64 {
		return plotTop + plotHeight*(1-(math.Log10(max(v, math.Pow(10, from)))-from)/(to-from))
	}
	for e := from; e <= to; e++ {
		d.Y = append(d.Y, plotTick{y(math.Pow(10, e)), fmt.Sprintf("%g", math.Pow(10, e))})
	}
	for _, l := range []struct {
		name, colour string
		of           func(sweepPoint) float64
	}{
		{"p50", "#1f6feb", func(p sweepPoint) float64 { return p.P50 }}, {"p99", "#cf222e", func(p sweepPoint) float64 { return p.P99 }},
	} {
		line := plotLine{Name: l.name, Colour: l.colour}
		for i, p := range r.Points {
			verb := "L"
			if i == 0 {
				verb = "M"
			}
			px, py := x(p.Load), y(l.of(p))
			line.Path += fmt.Sprintf("%s%.1f %.1f ", verb, px, py)
			line.Points = append(line.Points, plotPoint{px, py, fmt.Sprintf("load %.2f: %s %.1f ms", p.Load, l.name, l.of(p)), p.Void != ""})
		}
		d.Lines = append(d.Lines, line)
	}
	for _, p := range r.Points {
		d.X = append(d.X, plotTick{x(p.Load), fmt.Sprintf("%.2g", p.Load)})
	}
	return plotTemplate().Execute(w, d)
}

func plotTemplate() *template.Template {
	return template.Must(template.New("plot").Funcs(template.FuncMap{"add": func(a float64, b float64) float64 { return a + b }}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Latency against load: {{.Report.Recipe}}</title>
<style>body{font:14px sans-serif;margin:2em;max-width:60em}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}text{font:12px sans-serif;fill:#333}</style>
<h1>Latency against load</h1>
<p>Recipe {{.Report.Recipe}}, {{.Report.Streams}} cameras, pictures of {{.Report.Bytes}} bytes. Load 1 is {{printf "%.1f" .Report.Capacity}} frames/s, the capacity of a closed loop. Times count from when a frame was due ({{.Report.Pattern}}). Hollow points are void.{{with .Report.Warning}} <strong>The capacity is too low, and so is every load: {{.}}.</strong>{{end}}</p>
<svg width="{{.Width}}" height="{{.AllHeight}}" role="img" aria-label="p50 and p99 latency against load">
{{range .Y}}<line x1="{{$.Left}}" x2="{{$.Right}}" y1="{{.At}}" y2="{{.At}}" stroke="#ddd"/><text x="{{add $.Left -8}}" y="{{add .At 4}}" text-anchor="end">{{.Text}}</text>
{{end}}{{range .X}}<line x1="{{.At}}" x2="{{.At}}" y1="{{$.Top}}" y2="{{$.Bottom}}" stroke="#eee"/><text x="{{.At}}" y="{{add $.Bottom 18}}" text-anchor="middle">{{.Text}}</text>
{{end}}{{range $i, $l := .Lines}}<path d="{{$l.Path}}" fill="none" stroke="{{$l.Colour}}" stroke-width="2"/>
{{range $l.Points}}<circle cx="{{.X}}" cy="{{.Y}}" r="4" stroke="{{$l.Colour}}" fill="{{if .Void}}#fff{{else}}{{$l.Colour}}{{end}}"><title>{{.Title}}</title></circle>
{{end}}{{end}}<text x="{{.LegendX}}" y="36"><tspan fill="#1f6feb">p50</tspan> <tspan fill="#cf222e">p99</tspan></text>
<text x="{{.Middle}}" y="{{.LabelY}}" text-anchor="middle">load</text><text transform="translate(16 {{.MiddleY}}) rotate(-90)" text-anchor="middle">latency, ms</text>
</svg>
<table><tr><th>load<th>frames/s<th>frames<th>judged in time<th>p50 ms<th>p99 ms<th>p99.9 ms<th>max ms<th>lag p99 ms<th></tr>
{{range .Report.Points}}<tr><td>{{printf "%.2f" .Load}}<td>{{printf "%.1f" .Offered}}<td>{{.Frames}}<td>{{printf "%.4f" .Goodput}}<td>{{printf "%.1f" .P50}}<td>{{printf "%.1f" .P99}}<td>{{printf "%.1f" .P999}}<td>{{printf "%.1f" .Max}}<td>{{printf "%.2f" .LagP99}}<td>{{.Void}}</tr>
{{end}}</table></html>
`))
}
