package main

import (
	"bytes"
	"testing"

	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func TestRecipesNamesFilesThatWereNotTaken(t *testing.T) {
	for _, c := range []struct {
		problems []string
		json     bool
		want     string
	}{
		{nil, false, "No recipe. Put one into the node's recipes.dir; README shows how.\n"},
		{[]string{"a.yaml: no budget"}, false, "No recipe is in force.\n\nNot taken: a.yaml: no budget\n"},
		{[]string{"a.yaml: no budget"}, true, "{\"problems\":[\"a.yaml: no budget\"]}\n"},
	} {
		var out bytes.Buffer
		a := &app{out: &out, json: c.json}
		if err := a.listRecipes(&assayv1.ListRecipesResponse{Problems: c.problems}); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("problems %q, json %v: got %q, want %q", c.problems, c.json, out.String(), c.want)
		}
	}
}
