// Package pattern holds regular expressions that are compiled at their first use.
//
// One binary is every process of an installation. With regexp.MustCompile in
// package variables each process would compile the rules of all: 2 MB of memory
// in a router that checks none of them. Whoever checks names and ids calls it.
//
// Invariant: a Pattern is a constant of the program. An expression that does not
// compile panics at its first use, which a test of the package that has it makes.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression in the syntax of package regexp.
type Pattern struct{ compiled func() *regexp.Regexp }

// New is the pattern of an expression.
func New(expression string) Pattern {
	return Pattern{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// MatchString says whether s holds a match.
func (p Pattern) MatchString(s string) bool { return p.compiled().MatchString(s) }

// FindStringSubmatch returns the leftmost match of s and its groups, or nil.
func (p Pattern) FindStringSubmatch(s string) []string { return p.compiled().FindStringSubmatch(s) }

// FindAllStringSubmatch returns the first n matches of s with their groups, all
// of them if n < 0.
func (p Pattern) FindAllStringSubmatch(s string, n int) [][]string {
	return p.compiled().FindAllStringSubmatch(s, n)
}
