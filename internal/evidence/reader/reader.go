// Package reader is the verifier of evidence packs that runs in a browser: the
// script that every pack's index.html carries, and the page of its own that is
// published with its digest (strongroom evidence:verifier).
//
// Invariants: both pages hold the same script, byte for byte; it is the modules
// of this folder joined by bundle.go, nothing minified, so that an auditor can
// read what a verdict rests on; the pages load nothing, and their policy allows
// nothing but this script and this style. noble/ holds files of @noble/hashes
// 2.4.0 as its authors published them. tests/verifier runs the same modules
// with Node.js against internal/pack. internal/evidence and internal/cli call it.
package reader

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

//go:embed noble/LICENSE noble/*.js verify/*.mjs page/* explore/*
var files embed.FS

// modules are the script's parts, each after those that it imports. One that
// looks into a verified pack comes last and waits for the event that page.mjs
// describes.
var modules = []string{
	"noble/_u64.js", "noble/utils.js", "noble/_md.js", "noble/sha2.js",
	"verify/refusal.mjs", "verify/bytes.mjs", "verify/pace.mjs", "verify/json.mjs", "verify/note.mjs", "verify/inflate.mjs", "verify/zip.mjs", "verify/source.mjs",
	"verify/manifest.mjs", "verify/tree.mjs", "verify/headers.mjs", "verify/documents.mjs", "verify/bodies.mjs", "verify/blobs.mjs", "verify/reports.mjs", "verify/verify.mjs",
	"page/dom.mjs", "page/page.mjs",
	"explore/draw.mjs", "explore/story.mjs", "explore/words.mjs", "explore/search.mjs", "explore/entries.mjs", "explore/samples.mjs", "explore/explore.mjs",
}

//go:embed page/style.css
var style string

// Style is how all pages of a pack look.
func Style() string { return style }

// Reader is what a page with the verifier in it is made of.
type Reader struct {
	Script template.HTML // with its element
	Style  template.HTML // with its element
	Panel  template.HTML // where the pack is given and the checks are shown
	Policy string        // Content-Security-Policy
}

// New joins the parts.
func New() (*Reader, error) {
	script, err := bundle(modules)
	if err != nil {
		return nil, err
	}
	style := style
	for _, path := range []string{"page/check.css", "explore/explore.css"} {
		more, err := files.ReadFile(path)
		if err != nil {
			return nil, err
		}
		style += string(more)
	}
	panel, err := files.ReadFile("page/panel.html")
	if err != nil {
		return nil, err
	}
	return &Reader{
		Script: template.HTML("<script>" + script + "</script>"), //nolint:gosec // our own files
		Style:  template.HTML("<style>" + style + "</style>"),    //nolint:gosec // our own files
		Panel:  template.HTML(panel),                             //nolint:gosec // our own file
		Policy: fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; img-src data:; base-uri 'none'; form-action 'none'", source(script), source(style)),
	}, nil
}

// source is how a policy names what may be in a page.
func source(text string) string {
	digest := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(digest[:])
}

// Page is the verifier as a page of its own. It depends on nothing but the
// program's version: the same program writes the same bytes.
func (r *Reader) Page() ([]byte, error) {
	t, err := template.ParseFS(files, "page/verifier.html")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, r); err != nil {
		return nil, fmt.Errorf("the verifier's page: %w", err)
	}
	return out.Bytes(), nil
}
