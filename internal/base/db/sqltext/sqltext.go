// Package sqltext reads SQL text just far enough to tell code from quotes and comments: to split a migration into
// statements, to count placeholders, and to let sqlcheck look for tenants. It is no parser, and knows
// only the SQL that SQLite and PostgreSQL share.
package sqltext

import (
	"errors"
	"strconv"
	"strings"
)

// Kind says what a [Token] is.
type Kind int

// The kinds of token.
const (
	Word   Kind = iota // a keyword or name; the quotes of a quoted name are gone
	Param              // $n
	Number             // 42
	String             // 'text', with its quotes
	Symbol             // any other single character
)

// Token is one piece of SQL.
type Token struct {
	Kind Kind
	Text string
	// Offset and End delimit the token in the text it was read from.
	Offset, End int
}

// Is reports whether t is the given keyword, in any case.
func (t Token) Is(keyword string) bool { return t.Kind == Word && strings.EqualFold(t.Text, keyword) }

// ErrUnterminated is returned for text that ends inside a quote or a comment.
var ErrUnterminated = errors.New("sqltext: a quote or comment is not closed")

// Tokens returns the tokens of sql without its comments.
func Tokens(sql string) ([]Token, error) {
	var tokens []Token
	for i := 0; i < len(sql); {
		start, c := i, sql[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			i++
			continue
		case strings.HasPrefix(sql[i:], "--"):
			n := strings.IndexByte(sql[i:], '\n')
			if n < 0 {
				return tokens, nil
			}
			i += n
			continue
		case strings.HasPrefix(sql[i:], "/*"):
			n := strings.Index(sql[i+2:], "*/")
			if n < 0 {
				return nil, ErrUnterminated
			}
			i += n + 4
			continue
		case c == '\'' || c == '"':
			n := quoted(sql[i:])
			if n == 0 {
				return nil, ErrUnterminated
			}
			i += n
			text, kind := sql[start:i], String
			if c == '"' {
				text, kind = strings.ReplaceAll(text[1:len(text)-1], `""`, `"`), Word
			}
			tokens = append(tokens, Token{kind, text, start, i})
			continue
		case c == '$' && i+1 < len(sql) && isDigit(sql[i+1]):
			i = run(sql, i+1, isDigit)
			tokens = append(tokens, Token{Param, sql[start:i], start, i})
			continue
		case isDigit(c):
			i = run(sql, i, func(c byte) bool { return isDigit(c) || c == '.' })
			tokens = append(tokens, Token{Number, sql[start:i], start, i})
			continue
		case isLetter(c):
			i = run(sql, i, func(c byte) bool { return isLetter(c) || isDigit(c) || c == '$' })
			tokens = append(tokens, Token{Word, sql[start:i], start, i})
			continue
		}
		i++
		tokens = append(tokens, Token{Symbol, sql[start:i], start, i})
	}
	return tokens, nil
}

// Split returns the statements of a script, without their semicolons.
func Split(script string) ([]string, error) {
	tokens, err := Tokens(script)
	if err != nil {
		return nil, err
	}
	var statements []string
	for len(tokens) > 0 {
		n := 0
		for n < len(tokens) && (tokens[n].Kind != Symbol || tokens[n].Text != ";") {
			n++
		}
		if n > 0 {
			statements = append(statements, script[tokens[0].Offset:tokens[n-1].End])
		}
		tokens = tokens[min(n+1, len(tokens)):]
	}
	return statements, nil
}

// Params returns how many arguments sql takes: the highest n of its placeholders $n.
func Params(sql string) (int, error) {
	tokens, err := Tokens(sql)
	if err != nil {
		return 0, err
	}
	highest := 0
	for _, t := range tokens {
		if t.Kind == Param {
			n, err := strconv.Atoi(t.Text[1:])
			if err != nil {
				return 0, err
			}
			highest = max(highest, n)
		}
	}
	return highest, nil
}

// quoted returns the length of the quoted text s begins with, or 0 when it is not closed. A doubled quote stands for itself.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] == s[0] {
			if i+1 < len(s) && s[i+1] == s[0] {
				i++
				continue
			}
			return i + 1
		}
	}
	return 0
}

func run(s string, i int, in func(byte) bool) int {
	for i < len(s) && in(s[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}
