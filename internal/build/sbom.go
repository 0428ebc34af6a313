package build

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// component is one thing in a slug that is known by name and version.
type component struct {
	purl      string
	name      string
	version   string
	integrity string // "sha512-…" as npm has it, "" = not known
	license   string
}

const maxLockFile = 64 << 20

// lockComponents reads npm's lock file: the one that npm leaves inside
// node_modules says what is installed, the app's own what should be.
func lockComponents(t *tree) ([]component, error) {
	for _, name := range []string{"node_modules/.package-lock.json", "package-lock.json", "npm-shrinkwrap.json"} {
		raw, err := t.read(name, maxLockFile)
		if err != nil {
			return nil, err
		}
		if raw != nil {
			return parseLock(raw), nil
		}
	}
	return nil, nil
}

// parseLock reads version 2 and 3 of the format. A lock file that cannot be
// read was of no use to npm either: it lists nothing.
func parseLock(raw []byte) []component {
	var lock struct {
		Packages map[string]struct {
			Name      string `json:"name"`
			Version   string `json:"version"`
			Integrity string `json:"integrity"`
			License   any    `json:"license"`
			Dev       bool   `json:"dev"`
			Link      bool   `json:"link"`
		} `json:"packages"`
	}
	if json.Unmarshal(raw, &lock) != nil {
		return nil
	}
	found := map[string]component{}
	for at, p := range lock.Packages {
		name := p.Name
		if name == "" {
			i := strings.LastIndex(at, "node_modules/")
			if i < 0 {
				continue // the app itself, or a workspace
			}
			name = at[i+len("node_modules/"):]
		}
		if at == "" || p.Link || p.Dev || p.Version == "" {
			continue
		}
		license, _ := p.License.(string)
		c := component{purl: npmPURL(name, p.Version), name: name, version: p.Version, integrity: p.Integrity, license: license}
		found[c.purl] = c
	}
	return sorted(found)
}

func npmPURL(name, version string) string {
	scope, base := path.Split(name)
	if scope != "" {
		scope = url.PathEscape(strings.TrimSuffix(scope, "/")) + "/"
		scope = strings.Replace(scope, "@", "%40", 1)
	}
	return "pkg:npm/" + scope + url.PathEscape(base) + "@" + url.PathEscape(version)
}

// parseComponents reads what buildpacks say they installed: a line has a
// package URL and, optionally, an integrity value.
func parseComponents(raw []byte) []component {
	found := map[string]component{}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "pkg:") {
			continue
		}
		name, version, ok := strings.Cut(path.Base(f[0]), "@")
		if !ok {
			continue
		}
		c := component{purl: f[0], name: name, version: version}
		if len(f) > 1 {
			c.integrity = f[1]
		}
		found[c.purl] = c
	}
	return sorted(found)
}

func sorted(found map[string]component) []component {
	list := make([]component, 0, len(found))
	for _, key := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[key])
	}
	return list
}

func (c component) cyclonedx(group string) cdx.Component {
	out := cdx.Component{
		BOMRef: c.purl, Type: cdx.ComponentTypeLibrary, Name: c.name, Version: c.version, PackageURL: c.purl,
		Properties: &[]cdx.Property{{Name: "strongroom:from", Value: group}},
	}
	if algorithm, digest := c.hash(); digest != "" {
		out.Hashes = &[]cdx.Hash{{Algorithm: algorithm, Value: digest}}
	}
	if c.license != "" {
		out.Licenses = &cdx.Licenses{{Expression: c.license}}
	}
	return out
}

// hash reads a subresource integrity value.
func (c component) hash() (cdx.HashAlgorithm, string) {
	algorithm, value, _ := strings.Cut(c.integrity, "-")
	raw, err := base64.StdEncoding.DecodeString(value)
	switch {
	case err != nil:
		return "", ""
	case algorithm == "sha512" && len(raw) == 64:
		return cdx.HashAlgoSHA512, hex.EncodeToString(raw)
	case algorithm == "sha256" && len(raw) == 32:
		return cdx.HashAlgoSHA256, hex.EncodeToString(raw)
	case algorithm == "sha1" && len(raw) == 20:
		return cdx.HashAlgoSHA1, hex.EncodeToString(raw)
	}
	return "", ""
}

// billOfMaterials lists the app's dependencies, what buildpacks installed, and
// the base image's packages.
func (b *Builder) billOfMaterials(in Input, r Result, slug *tree, found findings) ([]byte, error) {
	dependencies, err := lockComponents(slug)
	if err != nil {
		return nil, err
	}
	var list []cdx.Component
	seen := map[string]bool{}
	add := func(c cdx.Component) {
		if !seen[c.BOMRef] {
			seen[c.BOMRef] = true
			list = append(list, c)
		}
	}
	for _, c := range dependencies {
		add(c.cyclonedx("package-lock"))
	}
	for _, c := range found.components {
		add(c.cyclonedx("buildpack"))
	}
	for _, c := range b.base.Components() {
		add(c)
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(r.Image)).String()
	bom.Metadata = &cdx.Metadata{
		Timestamp: r.Finished.Format(time.RFC3339),
		Component: &cdx.Component{BOMRef: r.Image, Type: cdx.ComponentTypeContainer, Name: in.AppName, Version: in.Commit},
		Properties: &[]cdx.Property{
			{Name: "strongroom:image", Value: r.Image},
			{Name: "strongroom:base", Value: b.base.Digest},
		},
	}
	bom.Components = &list
	var out bytes.Buffer
	enc := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(false)
	if err := enc.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("encode bill of materials: %w", err)
	}
	return out.Bytes(), nil
}
