package camera

import (
	"fmt"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// Policy says what happens to frames when as many are kept as may be. The zero value is Block.
type Policy uint8

// The policies.
const (
	Block      Policy = iota // Send waits; nothing is lost, and the line waits with it
	DropOldest               // the frame that was kept longest is given up, one that is not on its way first
	DropNewest               // the new frame is given up
)

var policyNames = [...]string{Block: "block", DropOldest: "drop-oldest", DropNewest: "drop-newest"}

// String returns the name as the command line writes it.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("Policy(%d)", uint8(p))
}

// ParsePolicy reads a name as String writes it. Errors are inspection.ErrInvalid.
func ParsePolicy(s string) (Policy, error) {
	for p, name := range policyNames {
		if s == name {
			return Policy(p), nil
		}
	}
	return 0, fmt.Errorf("%w: policy %q: use %s", inspection.ErrInvalid, s, strings.Join(policyNames[:], ", "))
}
