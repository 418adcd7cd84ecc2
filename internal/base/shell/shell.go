// Package shell writes commands that people copy into a POSIX shell.
package shell

import "strings"

// Quote returns s as one word of a shell: bare where nothing in it means anything to a shell, and in
// single quotes otherwise. What a stranger chose stays one argument.
func Quote(s string) string {
	if s != "" && strings.IndexFunc(s, special) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Join returns a command of these words, each quoted where it must be.
func Join(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

func special(r rune) bool {
	return !strings.ContainsRune("-_./:@%+=,", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}
