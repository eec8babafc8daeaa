package inspection

import "testing"

func TestPlacement(t *testing.T) {
	// A frame of 640 x 480, halved into 320 x 320 with 40 px of border above and below.
	p := Placement{ScaleX: 0.5, ScaleY: 0.5, OffsetY: 40, Width: 640, Height: 480}
	if got, want := p.ToFrame(Box{0, 40, 320, 280}), (Box{0, 0, 640, 480}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	for in, want := range map[Box]Box{
		{-5, -5, 700, 500}: {0, 0, 640, 480},
		{10, 20, 30, 40}:   {10, 20, 30, 40},
		{650, 10, 700, 20}: {640, 10, 640, 20},
		{10, -30, 20, -10}: {10, 0, 20, 0},
	} {
		if got := p.Clip(in); got != want {
			t.Errorf("clip %v: got %v, want %v", in, got, want)
		}
	}
}

func TestRecipeLookups(t *testing.T) {
	r := &Recipe{Classes: map[string]ClassRule{"short": {Code: "S"}, "*": {Code: "any"}}, PxPerMM: map[string]float64{"top": 10, "*": 4}}
	for class, want := range map[string]string{"short": "S", "alien": "any"} {
		if got, ok := r.Rule(class); !ok || got.Code != want {
			t.Errorf("rule %s: got %q %v, want %q", class, got.Code, ok, want)
		}
	}
	if _, ok := boardRecipe().Rule("alien"); ok {
		t.Error("no rule for alien and no *: got one")
	}
	for view, want := range map[string]float64{"top": 10, "side": 4} {
		if got := r.Scale(view); got != want {
			t.Errorf("scale of %s: got %v, want %v", view, got, want)
		}
	}
	if got := boardRecipe().Scale("top"); got != 0 {
		t.Errorf("no px_per_mm: got %v, want 0", got)
	}
	if got := (ModelSelector{Name: "pcb", Version: "2"}).String() + " " + (ModelSelector{Name: "pcb"}).String(); got != "pcb@2 pcb" {
		t.Errorf("got %q, want \"pcb@2 pcb\"", got)
	}
	if got := (*Recipe)(nil).Ref(); got != (RecipeRef{}) {
		t.Errorf("no recipe: got %v", got)
	}
}
