package rules

import (
	"strings"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// Limits of a command template.
const (
	maxTemplate = 8192 // bytes
	maxWords    = 256
)

// Template is a parsed command template, "npm run *": it says which commands a value
// may be handed to.
//
// A template is cut into words as a shell would: blanks part words, 'single
// quotes' hold anything, "double quotes" know \" and \\, and outside of quotes a
// backslash makes the next character plain. Nothing is expanded, and what a shell
// would expand or act on ($ ` ; | & < > ( ) # and line ends, outside of single
// quotes) is refused, so that no template means less than it seems to.
//
// The word * stands for exactly one argument, wherever it is; the word **, at the
// end only, for any number of them, none included. Quoted, both are themselves.
// The program, the first word, is compared as it is typed: the template "npm
// test" matches neither /tmp/npm nor ./npm. Which program "npm" is comes from PATH.
// A template that begins with an absolute path means that one program, whatever word
// starts it: see Starts.
type Template struct {
	words []word
	rest  bool // ends in **
}

type word struct {
	text string
	any  bool // *
}

// ParseTemplate reads a command template; it is Invalid, with the reason, where s is
// none.
func ParseTemplate(s string) (Template, error) {
	bad := func(why, hint string) (Template, error) {
		return Template{}, keyturn.E(keyturn.Invalid, quote(s)+" is not a command template: "+why, hint)
	}
	if len(s) > maxTemplate {
		return bad("it is too long", "a template may have 8192 bytes")
	}
	if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
		return bad("it is not text", "write it in UTF-8, without NUL")
	}
	words, why, hint := cut(s)
	switch {
	case why != "":
		return bad(why, hint)
	case len(words) == 0:
		return bad("it is empty", "write the program and its arguments, for instance 'npm test'")
	case len(words) > maxWords:
		return bad("it has too many words", "a template may have 256; ** stands for the rest")
	}
	var c Template
	for i, w := range words {
		switch {
		case w.plain == "":
			c.words = append(c.words, word{text: w.text})
		case i == 0:
			return bad("the program must be named", "a rule that hands a value to every program is one that may reveal it")
		case w.plain == "*":
			c.words = append(c.words, word{any: true})
		case w.plain == "**" && i == len(words)-1:
			c.rest = true
		case w.plain == "**":
			return bad("** is for the end only", "write * for each argument before the last")
		default:
			return bad("'*' stands for a whole argument", "write * between blanks; a star that is meant goes into single quotes: '"+w.text+"'")
		}
	}
	if c.words[0].text == "" {
		return bad("the program's name is empty", "write the program first")
	}
	return c, nil
}

// Match reports whether argv, as it would be started, fits the template.
func (c Template) Match(argv []string) bool {
	if len(c.words) == 0 || len(argv) < len(c.words) || len(argv) > len(c.words) && !c.rest {
		return false
	}
	for i, w := range c.words {
		if !w.any && w.text != argv[i] {
			return false
		}
	}
	return true
}

// Starts is Match for a command whose program was found to be program, an absolute path
// without links followed; "" where it is not known. A template whose program is an
// absolute path is compared with that, any other with the word that was typed.
func (c Template) Starts(argv []string, program string) bool {
	if !absolute(c.Program()) || len(argv) == 0 {
		return c.Match(argv)
	}
	if program == "" {
		program = argv[0]
	}
	return c.Match(append([]string{program}, argv[1:]...))
}

// TemplateOf writes the template that matches argv and nothing else. It is empty for
// no command, and for one that no template can hold: too long, or not text.
func TemplateOf(argv []string) string {
	if len(argv) == 0 {
		return ""
	}
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = keyturn.Quote(a)
	}
	s := strings.Join(out, " ")
	if c, err := ParseTemplate(s); err != nil || !c.Match(argv) {
		return ""
	}
	return s
}

// cutWord is one word of a template. plain is set where the word has a star
// outside of quotes: it is then what the word is without any quoting.
type cutWord struct{ text, plain string }

// cut splits s into words, or says why it cannot.
func cut(s string) (words []cutWord, why, hint string) {
	var text strings.Builder
	in, star, quoted := false, false, false
	end := func() {
		if in {
			w := cutWord{text: text.String()}
			if star {
				w.plain = w.text
				if quoted { // *'' is no wildcard, and not itself either
					w.plain += "'"
				}
			}
			words = append(words, w)
		}
		text.Reset()
		in, star, quoted = false, false, false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case ' ', '\t':
			end()
			continue
		case '\'', '"':
			n, why, hint := quotedPart(s[i:], &text)
			if why != "" {
				return nil, why, hint
			}
			i += n - 1
			in, quoted = true, true
			continue
		case '\\':
			if i++; i == len(s) || s[i] == '\n' || s[i] == '\r' {
				return nil, "it ends in a backslash", `a backslash that is meant is written \\`
			}
			quoted = true
			c = s[i]
		case '*':
			star = true
		case '#':
			if !in {
				return nil, "a shell would take # for a comment", "put it in single quotes"
			}
		default:
			if strings.IndexByte("$`;|&<>()\n\r", c) >= 0 {
				return nil, "a shell would act on " + quote(string(c)) + ", but no shell is used", "put it in single quotes if it is meant; write one template for each command"
			}
		}
		in = true
		text.WriteByte(c)
	}
	end()
	return words, "", ""
}

// quotedPart reads the quoted text that s begins with into text, and returns its
// length, quotes included.
func quotedPart(s string, text *strings.Builder) (n int, why, hint string) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			return i + 1, "", ""
		case s[0] == '"' && (c == '$' || c == '`'):
			return 0, "a shell would expand " + quote(string(c)), "use single quotes"
		case s[0] == '"' && c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			text.WriteByte(s[i])
		case s[0] == '"' && c == '\\':
			return 0, "unknown escape in double quotes", `only \" and \\ are known there; use single quotes`
		default:
			text.WriteByte(c)
		}
	}
	return 0, "a quote is not closed", "add the closing " + s[:1]
}

// Program returns the first word of c, as it is typed.
func (c Template) Program() string {
	if len(c.words) == 0 {
		return ""
	}
	return c.words[0].text
}
