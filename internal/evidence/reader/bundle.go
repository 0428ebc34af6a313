package reader

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// The forms in which modules import and export; others are refused.
var (
	importNames  = regexp.MustCompile(`^import (\{[^}]*\}) from ['"](\.[^'"]+)['"];$`)
	importModule = regexp.MustCompile(`^import \* as (\w+) from ['"](\.[^'"]+)['"];$`)
	exportList   = regexp.MustCompile(`^export (\{[\w, ]*\});$`)
	exportOne    = regexp.MustCompile(`^export ((?:async )?(?:function\*?|class|const|let) (\w+)\b.*)$`)
)

// bundle joins modules into one script that needs no other file: each becomes a
// function that is called once and returns what it exports. What is in them
// stays as it is, comments too.
func bundle(modules []string) (string, error) {
	b := bundler{known: map[string]bool{}}
	licence, err := files.ReadFile("noble/LICENSE")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b.out, "'use strict';\n/*\nThe modules noble/… are of @noble/hashes 2.4.0, under this licence:\n\n%s*/\n", licence)
	for _, module := range modules {
		if err := b.add(module); err != nil {
			return "", fmt.Errorf("module %s: %w", module, err)
		}
	}
	script := b.out.String()
	// Either would end the script, or change how a browser reads on.
	if lower := strings.ToLower(script); strings.Contains(lower, "</script") || strings.Contains(lower, "<!--") {
		return "", fmt.Errorf("the script holds markup that would end it")
	}
	return script, nil
}

type bundler struct {
	out   strings.Builder
	known map[string]bool // modules so far
}

// variable is what a module's exports are called in the script.
var variable = strings.NewReplacer("/", "$", ".mjs", "", ".js", "")

func (b *bundler) add(module string) error {
	text, err := files.ReadFile(module)
	if err != nil {
		return err
	}
	var exports []string
	fmt.Fprintf(&b.out, "\n// ---- %s ----\nconst $%s = (() => {\n", module, variable.Replace(module))
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		written, names, err := b.line(module, line)
		if err != nil {
			return err
		}
		exports = append(exports, names...)
		b.out.WriteString(written + "\n")
	}
	fmt.Fprintf(&b.out, "return { %s };\n})();\n", strings.Join(exports, ", "))
	b.known[module] = true
	return nil
}

// line gives a line as it stands in the script, and what it exports.
func (b *bundler) line(module, line string) (written string, exports []string, err error) {
	if m := importNames.FindStringSubmatch(line); m != nil {
		from, err := b.from(module, m[2])
		return fmt.Sprintf("const %s = %s;", strings.ReplaceAll(m[1], " as ", ": "), from), nil, err
	}
	if m := importModule.FindStringSubmatch(line); m != nil {
		from, err := b.from(module, m[2])
		return fmt.Sprintf("const %s = %s;", m[1], from), nil, err
	}
	if m := exportOne.FindStringSubmatch(line); m != nil {
		return m[1], []string{m[2]}, nil
	}
	if m := exportList.FindStringSubmatch(line); m != nil {
		return "", strings.Split(strings.Trim(m[1], "{ }"), ", "), nil
	}
	if strings.HasPrefix(line, "import ") || strings.HasPrefix(line, "export ") {
		return "", nil, fmt.Errorf("what is %q? Modules import and export in one line", line)
	}
	return line, nil, nil
}

// from is the variable of a module that another one imports.
func (b *bundler) from(module, relative string) (string, error) {
	from := path.Join(path.Dir(module), relative)
	if !b.known[from] {
		return "", fmt.Errorf("%s has to come before it", from)
	}
	return "$" + variable.Replace(from), nil
}
