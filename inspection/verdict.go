package inspection

import "fmt"

// Verdict is what the line is told about a frame or a part. The zero value is Undetermined: nobody judged it, and a line
// must treat it as not good.
type Verdict uint8

// The verdicts. Other systems call them OK, NG or REJECT, HOLD, and NOT_INSPECTED.
const (
	Undetermined Verdict = iota
	Pass
	Review
	Fail
)

var verdictNames = [...]string{Undetermined: "UNDETERMINED", Pass: "PASS", Review: "REVIEW", Fail: "FAIL"}

// care orders the verdicts from the mildest to the most careful: PASS < REVIEW < UNDETERMINED < FAIL.
var care = [...]uint8{Pass: 0, Review: 1, Undetermined: 2, Fail: 3}

// String returns the verdict's name in capitals.
func (v Verdict) String() string { return enumName(verdictNames[:], uint8(v), "Verdict") }

// ParseVerdict reads a verdict's name as String writes it.
func ParseVerdict(s string) (Verdict, error) {
	i, err := parseEnum(verdictNames[:], s, "verdict")
	return Verdict(i), err
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Verdict) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVerdict(string(b))
	return err
}

// Valid reports whether v is one of the four verdicts.
func (v Verdict) Valid() bool { return int(v) < len(verdictNames) }

// MoreCareful reports whether v is strictly more careful than other in the order FAIL > UNDETERMINED > REVIEW > PASS.
// A value that is no verdict counts as UNDETERMINED.
func (v Verdict) MoreCareful(other Verdict) bool { return v.rank() > other.rank() }

func (v Verdict) rank() uint8 {
	if !v.Valid() {
		return care[Undetermined]
	}
	return care[v]
}

// MostCareful returns the most careful of vs, and Undetermined when vs is empty: nothing said is not good.
func MostCareful(vs ...Verdict) Verdict {
	if len(vs) == 0 {
		return Undetermined
	}
	most := vs[0]
	for _, v := range vs[1:] {
		if v.MoreCareful(most) {
			most = v
		}
	}
	if !most.Valid() {
		return Undetermined
	}
	return most
}

// FallbackVerdict reports whether v may stand as a fallback: whatever was not judged by a model is never PASS.
func (v Verdict) FallbackVerdict() bool { return v == Fail || v == Review || v == Undetermined }

// enumName and parseEnum keep the textual enums of this package alike.
func enumName(names []string, i uint8, kind string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}

func parseEnum(names []string, s, kind string) (uint8, error) {
	for i, n := range names {
		if n == s {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %s %q: want one of %q", ErrInvalid, kind, s, names)
}
