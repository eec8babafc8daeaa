package inspection

import (
	"encoding"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestZeroValuesAreSafe(t *testing.T) {
	var v Verdict
	var s Source
	var r Role
	if v != Undetermined || s != SourceFallback || r != RolePrimary {
		t.Errorf("got %v %v %v, want UNDETERMINED fallback primary", v, s, r)
	}
	if got := (Result{}).Primary().Verdict; got != Undetermined {
		t.Errorf("a result without judgements: got %v, want UNDETERMINED", got)
	}
}

func TestCarefulOrder(t *testing.T) {
	order := []Verdict{Pass, Review, Undetermined, Fail}
	for i, a := range order {
		for j, b := range order {
			if got := a.MoreCareful(b); got != (i > j) {
				t.Errorf("%v more careful than %v: got %v, want %v", a, b, got, i > j)
			}
		}
	}
	if bad := Verdict(4); bad.MoreCareful(Undetermined) || Undetermined.MoreCareful(bad) || !bad.MoreCareful(Review) {
		t.Error("a value that is no verdict does not count as UNDETERMINED")
	}
}

func TestMostCareful(t *testing.T) {
	if got := MostCareful(); got != Undetermined {
		t.Errorf("of nothing: got %v, want UNDETERMINED", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		vs := rapid.SliceOfN(rapid.Map(rapid.Uint8Range(0, 5), func(x uint8) Verdict { return Verdict(x) }), 1, 6).Draw(t, "verdicts")
		got := MostCareful(vs...)
		if !got.Valid() {
			t.Fatalf("got %v", got)
		}
		for _, v := range vs {
			if milder(got, v) {
				t.Fatalf("of %v: got %v", vs, got)
			}
		}
		if !slices.Contains(vs, got) && !(got == Undetermined && slices.ContainsFunc(vs, func(v Verdict) bool { return !v.Valid() })) {
			t.Fatalf("of %v: got %v, which none of them is", vs, got)
		}
	})
}

func TestFallbackVerdict(t *testing.T) {
	for v, want := range map[Verdict]bool{Undetermined: true, Pass: false, Review: true, Fail: true, Verdict(4): false} {
		if got := v.FallbackVerdict(); got != want {
			t.Errorf("%v: got %v, want %v", v, got, want)
		}
	}
}

// TestEnumsRoundTrip pins the words: they are in stores, recipes and on the wire.
func TestEnumsRoundTrip(t *testing.T) {
	words := func(names []string, parse func(string) (fmt.Stringer, error)) {
		t.Helper()
		for i, name := range names {
			v, err := parse(name)
			if err != nil || v.String() != name {
				t.Errorf("%s: got %v, %v", name, v, err)
			}
			if got := fmt.Sprintf("%d", v); got != fmt.Sprint(i) {
				t.Errorf("%s: got value %s, want %d", name, got, i)
			}
		}
		for _, bad := range []string{"", "nonsense", names[0] + " "} {
			if v, err := parse(bad); !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: got %v, %v, want an ErrInvalid", bad, v, err)
			}
		}
	}
	words([]string{"UNDETERMINED", "PASS", "REVIEW", "FAIL"}, func(s string) (fmt.Stringer, error) { return ParseVerdict(s) })
	words([]string{"fallback", "model", "rule", "camera", "operator"}, func(s string) (fmt.Stringer, error) { return ParseSource(s) })
	words([]string{"primary", "late", "shadow", "duplicate", "rejudge"}, func(s string) (fmt.Stringer, error) { return ParseRole(s) })
	words([]string{"pending", "kept", "shed", "lost"}, func(s string) (fmt.Stringer, error) { return ParseImageState(s) })
	words([]string{"unknown", "jpeg", "png", "raw"}, func(s string) (fmt.Stringer, error) { return ParseImageFormat(s) })
	words([]string{"none", "translation"}, func(s string) (fmt.Stringer, error) { return ParseAlign(s) })
}

func TestEnumsAsText(t *testing.T) {
	tests := []struct {
		in  encoding.TextMarshaler
		out interface {
			encoding.TextUnmarshaler
			fmt.Stringer
		}
		want string
	}{
		{Review, new(Verdict), "REVIEW"}, {SourceRule, new(Source), "rule"}, {RoleLate, new(Role), "late"},
		{ImageShed, new(ImageState), "shed"}, {FormatRaw, new(ImageFormat), "raw"},
	}
	for _, tt := range tests {
		text, err := tt.in.MarshalText()
		if err != nil || string(text) != tt.want {
			t.Errorf("%v: got %q, %v", tt.in, text, err)
		}
		if err := tt.out.UnmarshalText(text); err != nil || tt.out.String() != tt.want {
			t.Errorf("%q: got %v, %v", text, tt.out, err)
		}
		if err := tt.out.UnmarshalText([]byte("nonsense")); !errors.Is(err, ErrInvalid) {
			t.Errorf("%T from nonsense: got %v, want an ErrInvalid", tt.out, err)
		}
	}
	if got := Verdict(9).String(); got != "Verdict(9)" {
		t.Errorf("got %q, want Verdict(9)", got)
	}
	if got := ClassBackground.String(); got != "background" {
		t.Errorf("got %q, want background", got)
	}
}
