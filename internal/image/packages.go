package image

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// Package is one Debian package in an image.
type Package struct {
	Name    string
	Version string
	Arch    string
	Source  string // the source package it was built from
}

// parseStatus reads dpkg's status file: the installed packages, by name.
func parseStatus(r io.Reader) ([]Package, error) {
	var all []Package
	var p Package
	installed := false
	flush := func() {
		if installed && p.Name != "" {
			p.Source = cmp.Or(p.Source, p.Name)
			all = append(all, p)
		}
		p, installed = Package{}, false
	}
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		line := scan.Text()
		if line == "" {
			flush()
			continue
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		switch name {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Architecture":
			p.Arch = value
		case "Source":
			p.Source, _, _ = strings.Cut(value, " ")
		case "Status":
			installed = strings.HasSuffix(value, " installed")
		}
	}
	flush()
	slices.SortFunc(all, func(a, b Package) int { return cmp.Compare(a.Name, b.Name) })
	return all, scan.Err()
}

// formatPackages is how the list is kept in an image's label.
func formatPackages(all []Package) string {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, "%s %s %s %s\n", p.Name, p.Version, p.Arch, p.Source)
	}
	return b.String()
}

func parsePackages(label string) []Package {
	var all []Package
	for line := range strings.Lines(label) {
		if f := strings.Fields(line); len(f) == 4 {
			all = append(all, Package{f[0], f[1], f[2], f[3]})
		}
	}
	return all
}

// Components lists the packages as CycloneDX components.
func (i Info) Components() []cdx.Component {
	list := make([]cdx.Component, 0, len(i.Packages))
	for _, p := range i.Packages {
		purl := fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s&distro=%s", url.PathEscape(p.Name), url.QueryEscape(p.Version), p.Arch, i.Suite)
		list = append(list, cdx.Component{
			BOMRef:     purl,
			Type:       cdx.ComponentTypeLibrary,
			Name:       p.Name,
			Version:    p.Version,
			PackageURL: purl,
			Properties: &[]cdx.Property{{Name: "debian:source", Value: p.Source}},
		})
	}
	return list
}

// SBOM writes the image's bill of materials as CycloneDX JSON. It depends on
// nothing but the image.
func (i Info) SBOM() ([]byte, error) {
	list := i.Components()
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(i.Digest)).String()
	bom.Metadata = &cdx.Metadata{
		Timestamp: i.Date.UTC().Format(time.RFC3339),
		Component: &cdx.Component{
			BOMRef:  i.Digest,
			Type:    cdx.ComponentTypeContainer,
			Name:    i.Recipe,
			Version: i.Digest,
		},
	}
	bom.Components = &list
	var b bytes.Buffer
	enc := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(false)
	if err := enc.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("encode bill of materials: %w", err)
	}
	return b.Bytes(), nil
}
