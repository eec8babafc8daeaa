package assay

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestInspectHouse gives the check itself small houses with one fault each.
func TestInspectHouse(t *testing.T) {
	const ours = `"` + module + `/`
	stub := "//go:build !gocv_specific_modules\n\npackage p\n"
	tagged := "//go:build gocv_specific_modules\n\npackage p\n"
	tests := []struct {
		name  string
		files map[string]string
		want  string // the one complaint, or "" for none
	}{
		{"a word from inspection", map[string]string{"custody/desk.go": "package p\nimport " + ours + `inspection"`}, ""},
		{"own sub-folder", map[string]string{"custody/desk.go": "package p\nimport " + ours + `custody/clock"`}, ""},
		{"a closed door", map[string]string{"cluster/router.go": "package p\nimport " + ours + `inference"`},
			"cluster/router.go imports inference; of ours cluster may import inspection, proto"},
		{"a sub-folder with a row of its own", map[string]string{"cluster/router.go": "package p\nimport " + ours + `inspection/recipe"`},
			"cluster/router.go imports inspection/recipe; of ours cluster may import inspection, proto"},
		{"a sub-folder is held to its room's row", map[string]string{"store/sqlite/db.go": "package p\nimport " + ours + `server"`},
			"store/sqlite/db.go imports server; of ours store may import inspection"},
		{"whatever the build tags", map[string]string{"review/x_windows.go": "//go:build ignore\n\npackage p\nimport " + ours + `store"`},
			"review/x_windows.go imports store; of ours review may import nothing"},
		{"a room that does not exist", map[string]string{"utils/strings.go": "package p"},
			"utils: the folder is no room of the house"},
		{"code in the root", map[string]string{"main.go": "package p"},
			".: the folder is no room of the house"},

		{"an SQL driver outside store", map[string]string{"server/x.go": "package p\nimport _ \"modernc.org/sqlite\""},
			"server/x.go imports modernc.org/sqlite; outside the standard library server may import"},
		{"a guarded standard package", map[string]string{"custody/x.go": `package p; import "database/sql"`},
			"custody/x.go imports database/sql; outside the standard library custody may import"},
		{"below a guarded package", map[string]string{"custody/x.go": `package p; import "net/http/pprof"`},
			"custody/x.go imports net/http/pprof; outside the standard library custody may import"},
		{"a module whose name only begins alike", map[string]string{"cluster/x.go": `package p; import "github.com/hashicorp/memberlist2"`},
			"cluster/x.go imports github.com/hashicorp/memberlist2; outside"},
		{"metrics", map[string]string{"custody/x.go": `package p; import ("log/slog"; "github.com/prometheus/client_golang/prometheus")`}, ""},
		{"a logger in inspection", map[string]string{"inspection/x.go": `package p; import "log/slog"`},
			"inspection/x.go imports log/slog; outside the standard library inspection may import nothing"},

		{"test code is free", map[string]string{"custody/x_test.go": "package p\nimport (" + ours + "node\"\n" + ours + "store/storetest\"\n\"database/sql\")"}, ""},
		{"help for tests is free", map[string]string{"node/nodetest/x.go": "package p\nimport " + ours + `camera/synthetic"`}, ""},
		{"help for tests in the product", map[string]string{"node/x.go": "package p\nimport " + ours + `store/storetest"`},
			"node/x.go imports store/storetest, which is for tests only"},
		{"inspection's tests", map[string]string{"inspection/x_test.go": "package p\nimport (" + ours + "inspection\"\n\"pgregory.net/rapid\")"}, ""},
		{"inspection's tests with a neighbour", map[string]string{"inspection/x_test.go": "package p\nimport " + ours + `node"`},
			"inspection/x_test.go imports node; of ours inspection may import nothing"},
		{"inspection's tests with a library", map[string]string{"inspection/x_test.go": `package p; import "github.com/google/go-cmp/cmp"`},
			"inspection/x_test.go imports github.com/google/go-cmp/cmp; outside"},

		{"OpenCV with tag and stub", map[string]string{"inference/imaging/x.go": tagged + `import "gocv.io/x/gocv"`, "inference/imaging/stub.go": stub}, ""},
		{"OpenCV without stub", map[string]string{"inference/imaging/x.go": tagged + `import "gocv.io/x/gocv"`},
			"inference/imaging/x.go has no stub beside it"},
		{"OpenCV with another folder's stub", map[string]string{"camera/video/x.go": tagged + `import "gocv.io/x/gocv"`, "camera/stub.go": stub},
			"camera/video/x.go has no stub beside it"},
		{"OpenCV without tag", map[string]string{"inference/imaging/x.go": `package p; import "gocv.io/x/gocv"`, "inference/imaging/stub.go": stub},
			"inference/imaging/x.go needs a C library to compile and must say //go:build gocv_specific_modules"},
		{"OpenCV with a tag that does not demand it", map[string]string{"inference/imaging/x.go": "//go:build gocv_specific_modules || cgo\n\npackage p\nimport \"gocv.io/x/gocv\"", "inference/imaging/stub.go": stub},
			"inference/imaging/x.go needs a C library"},
		{"OpenCV in a test without tag", map[string]string{"inference/imaging/x_test.go": `package p; import "gocv.io/x/gocv"`},
			"inference/imaging/x_test.go needs a C library"},
		{"cgo that links", map[string]string{"inference/imaging/x.go": "package p\n\n// #cgo pkg-config: libturbojpeg\nimport \"C\"", "inference/imaging/stub.go": stub},
			"inference/imaging/x.go needs a C library"},
		{"cgo that links nothing", map[string]string{"inference/ort/x.go": "package p\n\n// #include <stdlib.h>\nimport \"C\""}, ""},
		{"cgo elsewhere", map[string]string{"store/x.go": `package p; import "C"`},
			"store/x.go imports C; outside the standard library store may import"},

		{"not this module's", map[string]string{"testdata/x.go": "package p\nimport " + ours + `node"`, "tools/go.mod": "", "tools/x.go": "package p", ".tools/x.go": "package p"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, text := range tt.files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := inspectHouse(fsys, house)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], tt.want)) {
				t.Errorf("got complaints %q, want %q", got, tt.want)
			}
		})
	}
}

func TestInspectHouseRefusesWhatItCannotRead(t *testing.T) {
	fsys := fstest.MapFS{"custody/desk.go": &fstest.MapFile{Data: []byte("no Go at all")}}
	if _, err := inspectHouse(fsys, house); err == nil {
		t.Error("got no error for a file that does not parse, want one")
	}
}

// TestHouseIsConsistent finds the misspelt name in the table, which would only look like a missing permission.
func TestHouseIsConsistent(t *testing.T) {
	var names []string
	for _, r := range house {
		if slices.Contains(names, r.path) {
			t.Errorf("got two rows for %s, want one", r.path)
		}
		names = append(names, r.path)
	}
	for _, r := range house {
		for _, name := range r.ours {
			if !slices.Contains(names, name) {
				t.Errorf("%s may import %s, want a room that has a row", r.path, name)
			}
		}
	}
	for _, name := range strict {
		if !slices.Contains(names, name) {
			t.Errorf("strict names %s, want a room that has a row", name)
		}
	}
	for name := range testsOf {
		if !slices.Contains(names, name) {
			t.Errorf("testsOf names %s, want a room that has a row", name)
		}
	}
}
