package build

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// Bounds of a Procfile.
const (
	maxProcfile  = 64 << 10
	maxProcesses = 50
	maxCommand   = 8 << 10
)

// releaseType is the process type that runs once before a release is current.
const releaseType = "release"

var processPattern = pattern.New(`^[a-z0-9]([a-z0-9_-]{0,28}[a-z0-9])?$`)

// Procfile says what an app runs.
type Procfile struct {
	Types   []ProcessType // by type
	Release string        // command of the release phase, "" = none
}

// ParseProcfile reads a Procfile strictly: each line that is not empty and no
// comment is "type: command".
func ParseProcfile(raw []byte) (Procfile, error) {
	if len(raw) > maxProcfile {
		return Procfile{}, fault.New(fault.TooLarge, "The Procfile is larger than %d bytes.", maxProcfile)
	}
	if !utf8.Valid(raw) {
		return Procfile{}, fault.New(fault.Invalid, "The Procfile is not UTF-8 text.")
	}
	commands := map[string]string{}
	number := 0
	for line := range strings.Lines(string(bytes.TrimPrefix(raw, []byte("\ufeff")))) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, command, err := parseProcess(number, line)
		if err != nil {
			return Procfile{}, err
		}
		if _, ok := commands[name]; ok {
			return Procfile{}, fault.New(fault.Invalid, "The Procfile's line %d declares %q a second time.", number, name)
		}
		if commands[name] = command; len(commands) > maxProcesses {
			return Procfile{}, fault.New(fault.TooLarge, "The Procfile declares more than %d process types.", maxProcesses)
		}
	}
	return newProcfile(commands), nil
}

func parseProcess(number int, line string) (name, command string, err error) {
	name, command, ok := strings.Cut(line, ":")
	name, command = strings.TrimSpace(name), strings.TrimSpace(command)
	switch {
	case !ok:
		return "", "", fault.New(fault.Invalid, "The Procfile's line %d is not of the form \"type: command\".", number)
	case !processPattern.MatchString(name):
		return "", "", fault.New(fault.Invalid, "The Procfile's line %d: a process type has up to 30 lower-case letters, digits, hyphens and underscores.", number)
	case name == "run":
		return "", "", fault.New(fault.Invalid, "The Procfile's line %d: \"run\" is what one-off dynos are called; choose another name.", number)
	case command == "":
		return "", "", fault.New(fault.Invalid, "The Procfile's line %d: %q has no command.", number, name)
	case len(command) > maxCommand:
		return "", "", fault.New(fault.TooLarge, "The Procfile's line %d: the command of %q is longer than %d bytes.", number, name, maxCommand)
	case strings.ContainsFunc(command, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }):
		return "", "", fault.New(fault.Invalid, "The Procfile's line %d: the command of %q has control characters.", number, name)
	}
	return name, command, nil
}

func newProcfile(commands map[string]string) Procfile {
	var p Procfile
	for name, command := range commands {
		if name == releaseType {
			p.Release = command
			continue
		}
		p.Types = append(p.Types, ProcessType{name, command})
	}
	slices.SortFunc(p.Types, func(a, b ProcessType) int { return cmp.Compare(a.Type, b.Type) })
	return p
}

// withDefaults adds the types that buildpacks declare and the app does not.
func (p Procfile) withDefaults(defaults map[string]string) Procfile {
	commands := map[string]string{}
	for name, command := range defaults {
		commands[name] = command
	}
	for _, t := range p.Types {
		commands[t.Type] = t.Command
	}
	if p.Release != "" {
		commands[releaseType] = p.Release
	}
	return newProcfile(commands)
}

func (p Procfile) names() []string {
	var names []string
	for _, t := range p.Types {
		names = append(names, t.Type)
	}
	if p.Release != "" {
		names = append(names, releaseType)
	}
	return names
}
