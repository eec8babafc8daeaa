package proto_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	pb "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// fill draws a value for every exported field of v, so that a field that is added to a word and forgotten in a conversion
// fails these tests.
func fill(t *rapid.T, v reflect.Value, path string) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		ns := rapid.Int64Range(-1<<60, 1<<60).Draw(t, path)
		if ns == 0 {
			v.Set(reflect.ValueOf(time.Time{}))
		} else {
			v.Set(reflect.ValueOf(time.Unix(0, ns).UTC()))
		}
		return
	case reflect.TypeFor[*inspection.Buffer]():
		return
	case reflect.TypeFor[inspection.Verdict](), reflect.TypeFor[inspection.ImageFormat](), reflect.TypeFor[inspection.ImageState]():
		v.SetUint(rapid.Uint64Range(0, 3).Draw(t, path))
		return
	case reflect.TypeFor[inspection.Source](), reflect.TypeFor[inspection.Role]():
		v.SetUint(rapid.Uint64Range(0, 4).Draw(t, path))
		return
	case reflect.TypeFor[inspection.SimulatedFilter]():
		v.SetUint(rapid.Uint64Range(0, 2).Draw(t, path))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, path); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			fill(t, v.Index(i), path)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, path) {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), path)
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, path))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, path))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, path))
	case reflect.Int:
		v.SetInt(rapid.Int64Range(0, math.MaxInt32).Draw(t, path))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, path))
	case reflect.Uint8: // of []byte; what is an enum was drawn above
		v.SetUint(uint64(rapid.Byte().Draw(t, path)))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64Range(0, math.MaxUint32).Draw(t, path))
	default:
		t.Fatalf("%s: no way to draw a %v", path, v.Type())
	}
}

// roundTrip draws values, lets trim set what the wire does not carry, and sends them there and back.
func roundTrip[W any](t *testing.T, trim func(*W), thereAndBack func(W) W) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		var w W
		fill(t, reflect.ValueOf(&w).Elem(), reflect.TypeFor[W]().Name())
		if trim != nil {
			trim(&w)
		}
		if diff := cmp.Diff(w, thereAndBack(w), cmp.AllowUnexported(inspection.Buffer{}), cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("sent (-) and received (+) differ:\n%s", diff)
		}
	})
}

// wire sends a message through its bytes.
func wire[M pb.Message](m M) M {
	b, err := pb.MarshalOptions{}.Marshal(m)
	if err != nil {
		panic(err)
	}
	out := m.ProtoReflect().New().Interface()
	if err := pb.Unmarshal(b, out); err != nil {
		panic(err)
	}
	return out.(M)
}

func TestRoundTrips(t *testing.T) {
	var key inspection.FrameKey
	t.Run("Frame", func(t *testing.T) {
		roundTrip(t, func(f *inspection.Frame) {
			key = f.Key
			f.Attempt, f.Budget = max(f.Attempt, 1), max(f.Budget, 0)
		}, func(f inspection.Frame) inspection.Frame { return proto.ToFrame(key, wire(proto.FromFrame(f)), nil) })
	})
	t.Run("Answer", func(t *testing.T) {
		roundTrip(t, func(a *inspection.Answer) { key = a.Key },
			func(a inspection.Answer) inspection.Answer { return proto.ToAnswer(key, wire(proto.FromAnswer(a))) })
	})
	t.Run("Announcement", func(t *testing.T) {
		roundTrip(t, func(a *inspection.Announcement) { a.Source = inspection.SourceCamera },
			func(a inspection.Announcement) inspection.Announcement {
				return proto.ToAnnounced(wire(proto.FromAnnounced(3, a, true)))
			})
	})
	t.Run("Drop", func(t *testing.T) {
		roundTrip(t, func(d *inspection.Drop) { d.Key.Seq = 0; key = d.Key },
			func(d inspection.Drop) inspection.Drop { return proto.ToDrop(key, wire(proto.FromDrop(d))) })
	})
	t.Run("Result", func(t *testing.T) {
		roundTrip(t, func(r *inspection.Result) {
			i := &r.Image
			i.Ref = ""
			r.Frame.Image = inspection.Image{Format: i.Format, PixelFormat: i.PixelFormat, Width: i.Width, Height: i.Height, Stride: i.Stride}
		}, func(r inspection.Result) inspection.Result { return proto.ToResult(wire(proto.FromResult(r))) })
	})
	t.Run("Query", func(t *testing.T) {
		roundTrip(t, nil, func(q inspection.Query) inspection.Query {
			back, err := proto.ToQuery(wire(proto.FromQuery(q)))
			if err != nil {
				panic(err)
			}
			return back
		})
	})
}

// Both sides give the same number to the same word.
func TestEnumsAgree(t *testing.T) {
	compare := func(kind string, n int, word, wire func(i int) string) {
		t.Helper()
		for i := range n {
			w := strings.ToUpper(kind + "_" + word(i))
			w = strings.Replace(w, "IMAGE_FORMAT_UNKNOWN", "IMAGE_FORMAT_UNSPECIFIED", 1)
			if got := wire(i); got != w {
				t.Errorf("number %d is %s on the wire and %s here", i, got, w)
			}
		}
		if got := wire(n); !strings.Contains("0123456789", got[:1]) {
			t.Errorf("the wire knows %s, which package inspection does not", got)
		}
	}
	compare("verdict", 4, func(i int) string { return inspection.Verdict(i).String() }, func(i int) string { return assayv1.Verdict(i).String() })
	compare("source", 5, func(i int) string { return inspection.Source(i).String() }, func(i int) string { return assayv1.Source(i).String() })
	compare("role", 5, func(i int) string { return inspection.Role(i).String() }, func(i int) string { return assayv1.Role(i).String() })
	compare("image_format", 4, func(i int) string { return inspection.ImageFormat(i).String() }, func(i int) string { return assayv1.ImageFormat(i).String() })
	compare("image_state", 4, func(i int) string { return inspection.ImageState(i).String() }, func(i int) string { return assayv1.ImageState(i).String() })
}

// A number that this side does not know is the safe one.
func TestUnknownNumbersAreSafe(t *testing.T) {
	for _, n := range []int32{-1, 5, 99, 256, 257, math.MaxInt32, math.MinInt32} {
		if got := proto.ToVerdict(assayv1.Verdict(n)); got != inspection.Undetermined {
			t.Errorf("verdict %d: got %v, want UNDETERMINED", n, got)
		}
		if got := proto.ToSource(assayv1.Source(n)); got != inspection.SourceFallback {
			t.Errorf("source %d: got %v, want fallback", n, got)
		}
		if got := proto.ToRole(assayv1.Role(n)); got != inspection.RolePrimary {
			t.Errorf("role %d: got %v, want primary", n, got)
		}
		if got := proto.ToImageFormat(assayv1.ImageFormat(n)); got != inspection.FormatUnknown {
			t.Errorf("format %d: got %v, want unknown", n, got)
		}
		if got := proto.ToImageState(assayv1.ImageState(n)); got != inspection.ImagePending {
			t.Errorf("state %d: got %v, want pending", n, got)
		}
	}
	if got := proto.FromVerdict(200); got != assayv1.Verdict_VERDICT_UNDETERMINED {
		t.Errorf("FromVerdict(200): got %v, want UNDETERMINED", got)
	}
	if got := proto.ToAnswer(inspection.FrameKey{}, nil); got.Verdict != inspection.Undetermined || got.Recorded {
		t.Errorf("no answer: got %+v, want UNDETERMINED and not recorded", got)
	}
}

// A filter is a question: an unknown number must not turn it into another one.
func TestUnknownNumbersInFilter(t *testing.T) {
	for name, f := range map[string]*assayv1.ResultFilter{
		"verdicts":  {Verdicts: []assayv1.Verdict{assayv1.Verdict_VERDICT_FAIL, 9}},
		"simulated": {Simulated: 7},
		"from":      {From: &timestamppb.Timestamp{Seconds: math.MaxInt64}},
		"to":        {To: &timestamppb.Timestamp{Nanos: -1}},
	} {
		_, err := proto.ToFilter(f)
		if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want ErrInvalid that names the field", name, err)
		}
	}
}

func TestBudgetOfZeroIsNoTimeLeft(t *testing.T) {
	for _, tc := range []struct {
		budget *durationpb.Duration
		want   time.Duration
	}{
		{nil, 0},
		{durationpb.New(0), time.Nanosecond},
		{durationpb.New(-time.Second), time.Nanosecond},
		{&durationpb.Duration{Seconds: math.MaxInt64}, time.Nanosecond},
		{durationpb.New(time.Second), time.Second},
	} {
		if got := proto.ToFrame(inspection.FrameKey{}, &assayv1.FrameHeader{Budget: tc.budget}, nil).Budget; got != tc.want {
			t.Errorf("budget %v: got %v, want %v", tc.budget, got, tc.want)
		}
	}
}
