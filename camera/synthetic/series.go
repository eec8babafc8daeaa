package synthetic

import (
	"fmt"
	"image"
	"strings"
)

// Set keeps the boards of demo, tests and training apart. A set's seeds carry its number in their highest byte, so those of two sets
// cannot meet; seeds below 1<<56 belong to no set and are free for trials.
type Set uint8

// The sets.
const (
	SetDemo Set = iota + 1
	SetTest
	SetTraining
)

const (
	setShift    = 56
	productBit  = 1 << 48
	maxBoards   = 1 << 32 // boards of a set
	maxProducts = 1000    // products of a series
)

// String is the set's name as serials carry it, in lower case.
func (s Set) String() string {
	switch s {
	case SetDemo:
		return "demo"
	case SetTest:
		return "test"
	case SetTraining:
		return "training"
	}
	return fmt.Sprintf("Set(%d)", uint8(s))
}

func (s Set) valid() bool { return s >= SetDemo && s <= SetTraining }

// boardSeed and productSeed are the set's seeds; the product bit keeps the two kinds apart.
func (s Set) boardSeed(i int) uint64   { return uint64(s)<<setShift | uint64(i) }
func (s Set) productSeed(p int) uint64 { return uint64(s)<<setShift | productBit | uint64(p) }

// SeriesConfig says which boards a line makes.
type SeriesConfig struct {
	// Set is where the seeds come from.
	Set Set
	// Products is how many layouts there are, 1 to 1000; board i is of product i modulo Products.
	Products int
	// GoodPercent is how many of a hundred boards have no defect, 0 to 100; which ones is drawn by seed.
	GoodPercent int
	// Spec is how each board is drawn. Its seeds are set by the series and must be zero.
	Spec Spec
}

// DefaultSeries is four products of a set, a quarter of the boards good, drawn as Default says.
func DefaultSeries(set Set) SeriesConfig {
	return SeriesConfig{Set: set, Products: 4, GoodPercent: 25, Spec: Default()}
}

// Validate names the first field that is out of range, and what it may be.
func (c SeriesConfig) Validate() error {
	switch {
	case !c.Set.valid():
		return fmt.Errorf("synthetic: Set is %d; use SetDemo, SetTest or SetTraining", uint8(c.Set))
	case c.Products < 1 || c.Products > maxProducts:
		return fmt.Errorf("synthetic: Products is %d; use 1 to %d", c.Products, maxProducts)
	case c.GoodPercent < 0 || c.GoodPercent > 100:
		return fmt.Errorf("synthetic: GoodPercent is %d; use 0 to 100", c.GoodPercent)
	case c.Spec.Product != 0:
		return fmt.Errorf("synthetic: Spec.Product is %d; leave it 0, the series chooses it", c.Spec.Product)
	case c.Spec.Seed != 0:
		return fmt.Errorf("synthetic: Spec.Seed is %d; leave it 0, the series chooses it", c.Spec.Seed)
	}
	return c.Spec.Validate()
}

// Series yields the boards of a line, any of them in any order. It holds no state and is safe for concurrent use.
type Series struct{ config SeriesConfig }

// NewSeries checks the configuration.
func NewSeries(config SeriesConfig) (*Series, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Series{config}, nil
}

// Board is one part in front of the camera.
type Board struct {
	Pair
	Serial    string // such as DEMO-000017
	View      string // always "top"
	Reference string // the key of the product's template, such as demo-p02
}

// Board draws the i-th board of the series, counted from 0.
func (s *Series) Board(i int) (Board, error) {
	if i < 0 || int64(i) >= maxBoards {
		return Board{}, fmt.Errorf("synthetic: board index is %d; use 0 to %d", i, int64(maxBoards)-1)
	}
	c, product := s.config, i%s.config.Products
	spec := c.Spec
	spec.Product, spec.Seed = c.Set.productSeed(product), c.Set.boardSeed(i)
	if newRandom(spec.Seed, streamSet).chance(c.GoodPercent) {
		spec.Defects = 0
	}
	pair, err := Render(spec)
	if err != nil {
		return Board{}, fmt.Errorf("draw board %d of set %s: %w", i, c.Set, err)
	}
	serial := fmt.Sprintf("%s-%06d", strings.ToUpper(c.Set.String()), i)
	return Board{Pair: pair, Serial: serial, View: "top", Reference: s.key(product)}, nil
}

// Products is the number of templates.
func (s *Series) Products() int { return s.config.Products }

// Template draws the template of the p-th product, counted from 0, and gives its key: what a recipe's reference set holds.
func (s *Series) Template(p int) (key string, picture *image.Gray, err error) {
	if p < 0 || p >= s.config.Products {
		return "", nil, fmt.Errorf("synthetic: product index is %d; this series has 0 to %d", p, s.config.Products-1)
	}
	spec := s.config.Spec
	spec.Product = s.config.Set.productSeed(p)
	picture, err = Template(spec)
	return s.key(p), picture, err
}

func (s *Series) key(product int) string { return fmt.Sprintf("%s-p%02d", s.config.Set, product) }
