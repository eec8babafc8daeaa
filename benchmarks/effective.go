package benchmarks

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// effective asks a program for its configuration with settings, without the lines that only explain.
func effective(ctx context.Context, program string, settings []string) (string, error) {
	args := []string{"config"}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s config: %w", program, err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(out)) {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "#") {
			kept.WriteString(line)
		}
	}
	return kept.String(), nil
}
