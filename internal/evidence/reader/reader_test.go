package reader

import (
	"bytes"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestModules: every module is in the script, as it is but for how it imports
// and exports.
func TestModules(t *testing.T) {
	script, err := bundle(modules)
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "js") {
			return err
		}
		if !slices.Contains(modules, path) {
			t.Errorf("%s is in no page", path)
		}
		text, err := files.ReadFile(path)
		for _, line := range strings.Split(string(text), "\n") {
			if !strings.HasPrefix(line, "import ") && !strings.Contains(script, strings.TrimPrefix(line, "export ")) && !strings.HasPrefix(line, "export {") {
				t.Errorf("%s: the script lacks %q", path, line)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(script, "\nimport ") || strings.Contains(script, "\nexport ") {
		t.Error("the script imports or exports")
	}
}

// TestOrder: a module that comes before what it imports is an error.
func TestOrder(t *testing.T) {
	if _, err := bundle([]string{"verify/pace.mjs", "verify/zip.mjs"}); err == nil || !strings.Contains(err.Error(), "has to come before it") {
		t.Errorf("got %v", err)
	}
}

func TestLine(t *testing.T) {
	b := bundler{known: map[string]bool{"verify/a.mjs": true}}
	for line, want := range map[string]string{
		`import { a, b as c } from './a.mjs';`:     `const { a, b: c } = $verify$a;`,
		`import * as a from "../verify/a.mjs";`:    `const a = $verify$a;`,
		`export async function* f(x) {`:            `async function* f(x) {`,
		`export const x = 1;`:                      `const x = 1;`,
		`  export const x = 1; // not at the edge`: `  export const x = 1; // not at the edge`,
	} {
		if got, _, err := b.line("verify/b.mjs", line); err != nil || got != want {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
	for _, line := range []string{`import './a.mjs';`, `import { a } from 'node:fs';`, `import { a,`, `export default 1;`, `export function () {`} {
		if got, names, err := b.line("verify/b.mjs", line); err == nil {
			t.Errorf("%s: %q %v", line, got, names)
		}
	}
}

// TestPages: the page of its own is the same each time, holds the script that
// packs hold, and names nothing outside of itself.
func TestPages(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	page, err := r.Page()
	if err != nil {
		t.Fatal(err)
	}
	again, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if other, err := again.Page(); err != nil || !bytes.Equal(page, other) {
		t.Errorf("two pages: %v", err)
	}
	for _, part := range []string{string(r.Script), string(r.Style), string(r.Panel)} {
		if !bytes.Contains(page, []byte(part)) {
			t.Errorf("the page lacks %.60s…", part)
		}
	}
	rest := strings.Replace(string(page), string(r.Script), "", 1)
	if regexp.MustCompile(`(?i)(src|href|action)\s*=|<link|@import|url\(|style=`).MatchString(rest) {
		t.Error("the page leads out of itself, or has a style that its policy forbids")
	}
	if bytes.Contains(page, []byte("ZgotmplZ")) {
		t.Error("the page is not whole")
	}
}
