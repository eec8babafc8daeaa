package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// EnvPrefix begins the environment variables that override the file: ASSAYD_LISTEN__GRPC sets listen.grpc.
const EnvPrefix = "ASSAYD_"

// Load lays the YAML file at path (empty: none), the environment and the key=value pairs of set over Default, in this
// order. A key that no field has is an error that names it and the nearest one; so is a value that does not fit.
func Load(path string, environ []string, set []string) (Config, error) {
	cfg := Default()
	k := koanf.New(".")
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return cfg, fmt.Errorf("configuration file %s does not exist: name another with --config, or leave it out for the defaults", path)
			}
			return cfg, fmt.Errorf("read configuration %s: %w", path, err)
		}
	}
	dropEmptySections(k)
	if err := checkKeys(k.Keys(), path); err != nil {
		return cfg, err
	}
	vars := env.Provider(".", env.Opt{
		Prefix:        EnvPrefix,
		EnvironFunc:   func() []string { return environ },
		TransformFunc: func(key, value string) (string, any) { return envKey(key), value },
	})
	if err := k.Load(vars, nil); err != nil {
		return cfg, fmt.Errorf("read the environment's configuration: %w", err)
	}
	over, err := pairs(set)
	if err != nil {
		return cfg, err
	}
	if err := k.Load(confmap.Provider(over, "."), nil); err != nil {
		return cfg, fmt.Errorf("read --set: %w", err)
	}
	if err := checkKeys(k.Keys(), EnvPrefix+"* or --set"); err != nil {
		return cfg, err
	}
	if err := decode(k, &cfg); err != nil {
		return cfg, err
	}
	return cfg, cfg.Validate()
}

func envKey(name string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, EnvPrefix)), "__", ".")
}

func pairs(set []string) (map[string]any, error) {
	m := make(map[string]any, len(set))
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--set %q: write key=value, such as --set listen.grpc=127.0.0.1:0", s)
		}
		m[key] = value
	}
	return m, nil
}

func decode(k *koanf.Koanf, cfg *Config) error {
	err := k.UnmarshalWithConf("", cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		TagName:          "koanf",
		Result:           cfg,
		WeaklyTypedInput: true, // the environment and --set know strings alone
		ErrorUnused:      true,
		DecodeHook:       mapstructure.ComposeDecodeHookFunc(durationHook, numberToBytes, mapstructure.TextUnmarshallerHookFunc()),
	}})
	if err != nil {
		return fmt.Errorf("configuration: %s; `assayd config` shows each key with its kind and default", oneLine(err))
	}
	return nil
}

// oneLine says what could not be decoded, each fault as "'key' ...", on one line: a log has one for each entry.
func oneLine(err error) string {
	var faults []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "decoding failed") {
			faults = append(faults, line)
		}
	}
	return strings.Join(faults, "; ")
}

// durationHook refuses a bare number: nobody can tell its unit.
func durationHook(from, to reflect.Type, value any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() {
		return value, nil
	}
	s := fmt.Sprint(value)
	if s == "0" {
		return time.Duration(0), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, fmt.Errorf("%q is no duration: write it with its unit, such as 150ms or 2s", s)
	}
	return d, nil
}

func numberToBytes(from, to reflect.Type, value any) (any, error) {
	if to == reflect.TypeFor[Bytes]() && from.Kind() != reflect.String {
		return fmt.Sprint(value), nil
	}
	return value, nil
}

// dropEmptySections lets a section whose every line is commented out mean its defaults.
func dropEmptySections(k *koanf.Koanf) {
	for f := range fields(reflect.TypeFor[Config]()) {
		if key := f.Tag.Get("koanf"); k.Exists(key) && k.Get(key) == nil {
			k.Delete(key)
		}
	}
}

// checkKeys refuses what no field has.
func checkKeys(keys []string, where string) error {
	known := fieldKeys(reflect.TypeFor[Config](), "")
	var bad []string
	for _, key := range keys {
		if !slices.Contains(known, key) {
			bad = append(bad, fmt.Sprintf("%q (did you mean %q?)", key, nearest(key, known)))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("unknown configuration key %s in %s; `assayd config` lists all keys", strings.Join(bad, ", "), where)
}

func fieldKeys(t reflect.Type, prefix string) []string {
	var keys []string
	for f := range fields(t) {
		key := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, fieldKeys(f.Type, key+".")...)
		} else {
			keys = append(keys, key)
		}
	}
	return keys
}

func fields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// nearest returns the known key at the smallest edit distance.
func nearest(key string, known []string) string {
	best, dist := "", 1<<30
	for _, k := range known {
		if d := editDistance(key, k); d < dist {
			best, dist = k, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// Print writes the effective configuration as YAML, each field with its comment; what it writes, Load reads.
func (c Config) Print(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# The effective configuration of assayd. Every key may be left out.\n")
	fmt.Fprintf(&b, "# The environment overrides it: %sLISTEN__GRPC is listen.grpc; --set listen.grpc=... overrides both.\n", EnvPrefix)
	printFields(&b, reflect.ValueOf(c), "")
	_, err := io.WriteString(w, b.String())
	return err
}

func printFields(b *strings.Builder, v reflect.Value, indent string) {
	for f := range fields(v.Type()) {
		value := v.FieldByIndex(f.Index)
		if indent == "" {
			b.WriteByte('\n')
		}
		for _, line := range wrap(f.Tag.Get("doc"), 110-len(indent)) {
			fmt.Fprintf(b, "%s# %s\n", indent, line)
		}
		if value.Kind() == reflect.Struct {
			fmt.Fprintf(b, "%s%s:\n", indent, f.Tag.Get("koanf"))
			printFields(b, value, indent+"  ")
			continue
		}
		format := "%s%s: %v\n"
		if value.Kind() == reflect.String {
			format = "%s%s: %q\n"
		}
		fmt.Fprintf(b, format, indent, f.Tag.Get("koanf"), value.Interface())
	}
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

var logLevels = map[string]*slog.Level{"debug": ref(slog.LevelDebug), "info": ref(slog.LevelInfo), "warn": ref(slog.LevelWarn), "error": ref(slog.LevelError)}

func ref[T any](v T) *T { return &v }

// Logger returns the logger that the configuration asks for, on w.
func (c LogConfig) Logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{}
	if l := logLevels[c.Level]; l != nil {
		opts.Level = *l
	}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
