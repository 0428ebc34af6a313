package driver

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Areas that a survey can be of.
const (
	AreaContainers = "containers" // what runs in or beside the containers that the engine started
	AreaFirewall   = "firewall"   // packet filter rules, the host's and each space's
	AreaNetwork    = "network"    // network namespaces with their links and addresses
	AreaMounts     = "mounts"     // volumes and the devices that they lie on
	AreaPrograms   = "programs"   // what the platform's own processes run
	AreaFiles      = "files"      // the data directory
	AreaShells     = "shells"     // root's terminals
	AreaLogins     = "logins"     // what the host's own log says of the last day
)

// Survey is what one area of the host holds that is not the engine's doing. It
// names programs, paths and numbers, never arguments or environments: they may
// be secrets.
type Survey struct {
	Area  string    `json:"area"`
	Time  time.Time `json:"time"`
	Parts []Part    `json:"parts"` // one for what belongs to no space, with Space "", and one for each space
}

// Part of a survey: one space.
type Part struct {
	Space  string  `json:"space"`
	Name   string  `json:"name"`   // of the space
	Looked []Count `json:"looked"` // the whole population, also where it is empty
	Strays []Stray `json:"strays"` // the first MaxStrays
	More   int     `json:"more"`   // how many there are besides
}

// Count is how many of something were looked at.
type Count struct {
	What string `json:"what"` // plural
	N    int    `json:"n"`
}

// Stray is something that somebody else made, changed or removed.
type Stray struct {
	Kind string `json:"kind"` // "container", "process", "rule" …
	// Text is a sentence with the evidence. While nothing changes it stays the
	// same from survey to survey.
	Text string `json:"text"`
}

// Bounds of a part.
const (
	MaxStrays    = 16
	maxStrayText = 480 // bytes
)

// NewSurvey returns an empty survey, with a part for what belongs to no space.
func NewSurvey(area string) *Survey {
	return &Survey{Area: area, Time: time.Now().UTC(), Parts: []Part{{Looked: []Count{}, Strays: []Stray{}}}}
}

// Add adds a space.
func (s *Survey) Add(id, name string) {
	s.Parts = append(s.Parts, Part{Space: id, Name: name, Looked: []Count{}, Strays: []Stray{}})
}

// part gives a space's part; what is of a space that was not added belongs to
// none.
func (s *Survey) part(space string) *Part {
	i := slices.IndexFunc(s.Parts, func(p Part) bool { return p.Space == space })
	return &s.Parts[max(i, 0)]
}

// Look adds to the number of things that were looked at.
func (s *Survey) Look(space, what string, n int) {
	p := s.part(space)
	if i := slices.IndexFunc(p.Looked, func(c Count) bool { return c.What == what }); i >= 0 {
		p.Looked[i].N += n
		return
	}
	p.Looked = append(p.Looked, Count{what, n})
}

// Found adds a stray.
func (s *Survey) Found(space, kind, format string, args ...any) {
	p := s.part(space)
	if len(p.Strays) == MaxStrays {
		p.More++
		return
	}
	p.Strays = append(p.Strays, Stray{kind, printable(fmt.Sprintf(format, args...))})
}

// printable bounds a text that may hold names which somebody chose to confuse.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxStrayText {
		text = strings.ToValidUTF8(text[:maxStrayText], "") + "…"
	}
	return text
}

// Confirm keeps of the strays only those that another survey found as well:
// what was there for a moment was on its way in or out.
func (s *Survey) Confirm(other *Survey) {
	for i := range s.Parts {
		p := &s.Parts[i]
		j := slices.IndexFunc(other.Parts, func(o Part) bool { return o.Space == p.Space })
		if j < 0 {
			p.Strays, p.More = []Stray{}, 0
			continue
		}
		p.Strays = slices.DeleteFunc(p.Strays, func(x Stray) bool { return !slices.Contains(other.Parts[j].Strays, x) })
		p.More = min(p.More, other.Parts[j].More)
	}
}

// Clean tells whether there is no stray.
func (s *Survey) Clean() bool {
	return !slices.ContainsFunc(s.Parts, func(p Part) bool { return len(p.Strays) > 0 })
}
