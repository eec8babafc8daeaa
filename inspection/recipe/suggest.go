package recipe

import "strings"

// suggest is the remedy for a word that is not among those allowed: the nearest one, or all of them.
func suggest(word string, allowed []string) string {
	best, distance := "", 1+min(3, (len(word)+1)/2)
	for _, a := range allowed {
		if d := editDistance(strings.ToLower(word), strings.ToLower(a), distance); d < distance {
			best, distance = a, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "use one of " + strings.Join(allowed, ", ")
}

// editDistance is Levenshtein's in bytes, or limit where it cannot be less.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return min(row[len(b)], limit)
}
