package proposal

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// names reads class names as exporters write them into metadata: a Python or JSON list of texts, or a dict of them by index. ok
// is false for anything else, a gap in the indices included.
func names(literal string) (names []string, ok bool) {
	l := scanner{rest: literal}
	var byIndex map[int]string
	switch l.next() {
	case '[':
		for i := 0; !l.closes(']', i); i++ {
			s, ok := l.text()
			if !ok {
				return nil, false
			}
			names = append(names, s)
		}
	case '{':
		byIndex = map[int]string{}
		for i := 0; !l.closes('}', i); i++ {
			k, ok := l.index()
			if _, twice := byIndex[k]; !ok || twice || l.next() != ':' {
				return nil, false
			}
			if byIndex[k], ok = l.text(); !ok {
				return nil, false
			}
		}
	default:
		return nil, false
	}
	for i := range len(byIndex) {
		s, ok := byIndex[i]
		if !ok {
			return nil, false
		}
		names = append(names, s)
	}
	if l.blanks(); len(names) == 0 || l.bad || l.rest != "" {
		return nil, false
	}
	return names, true
}

// size reads two whole numbers, as in [640, 480].
func size(literal string) (first, second int, ok bool) {
	inner, ok := strings.CutPrefix(strings.TrimSpace(literal), "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	a, b, ok3 := strings.Cut(inner, ",")
	if !ok || !ok2 || !ok3 {
		return 0, 0, false
	}
	first, err := strconv.Atoi(strings.TrimSpace(a))
	second, err2 := strconv.Atoi(strings.TrimSpace(b))
	return first, second, err == nil && err2 == nil && first > 0 && second > 0
}

// scanner takes a literal apart.
type scanner struct {
	rest string
	bad  bool
}

func (l *scanner) blanks() { l.rest = strings.TrimLeft(l.rest, " \t\r\n") }

// next takes the next character that is no blank, 0 at the end.
func (l *scanner) next() byte {
	l.blanks()
	if l.rest == "" {
		return 0
	}
	c := l.rest[0]
	l.rest = l.rest[1:]
	return c
}

// closes takes the bracket that ends a collection, or the comma before its item i. A comma may stand before the bracket. What is
// neither ends the collection too, as bad.
func (l *scanner) closes(bracket byte, i int) bool {
	l.blanks()
	if i > 0 && strings.HasPrefix(l.rest, ",") {
		l.rest = l.rest[1:]
		l.blanks()
	} else if i > 0 && !strings.HasPrefix(l.rest, string(bracket)) {
		l.bad = true
		return true
	}
	if strings.HasPrefix(l.rest, string(bracket)) {
		l.rest = l.rest[1:]
		return true
	}
	return false
}

// index takes a whole number, bare or as a text.
func (l *scanner) index() (int, bool) {
	l.blanks()
	digits := l.rest
	if digits != "" && (digits[0] == '\'' || digits[0] == '"') {
		s, ok := l.text()
		n, err := strconv.Atoi(s)
		return n, ok && err == nil
	}
	end := strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(digits)
	}
	n, err := strconv.Atoi(digits[:end])
	l.rest = digits[end:]
	return n, err == nil
}

// text takes a text in single or double quotes.
func (l *scanner) text() (string, bool) {
	quote := l.next()
	if quote != '\'' && quote != '"' {
		return "", false
	}
	var b strings.Builder
	for l.rest != "" {
		c := l.rest[0]
		if c == quote {
			l.rest = l.rest[1:]
			return b.String(), true
		}
		r, _, tail, err := strconv.UnquoteChar(l.rest, 0)
		if r == utf8.RuneError {
			return "", false
		}
		if after, escaped := strings.CutPrefix(l.rest, `\`+"'"); escaped {
			r, tail, err = '\'', after, nil
		} else if after, escaped := strings.CutPrefix(l.rest, `\"`); escaped {
			r, tail, err = '"', after, nil
		}
		if err != nil {
			return "", false
		}
		b.WriteRune(r)
		l.rest = tail
	}
	return "", false
}
