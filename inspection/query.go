package inspection

import "time"

// Query selects results. Zero fields do not limit; all that are set must hold. Simulated results are left out unless
// Simulated asks for them.
type Query struct {
	Serial, RunID, Lot, WorkOrder  string
	Line, Station, Camera, Session string
	Product, Recipe, Model         string
	ModelVersion, DefectClass      string    // DefectClass: a called defect of this class in any judgement
	Verdicts                       []Verdict // effective verdicts
	From, To                       time.Time // by time of receipt, From inclusive, To exclusive
	Simulated                      SimulatedFilter

	Ascending bool   // oldest first; newest first otherwise
	Limit     int    // page size, 1..1000; 0 means 100
	Cursor    string // opaque, from the page before
}

// SimulatedFilter says which side of the wall between line and simulation is asked for.
type SimulatedFilter uint8

// The sides. The zero value leaves simulated results out.
const (
	SimulatedExclude SimulatedFilter = iota
	SimulatedOnly
	SimulatedInclude
)

// Page is one page of results in a stable order: by time of receipt, then id.
type Page struct {
	Results []Result
	Next    string // cursor of the next page; empty at the end
}
