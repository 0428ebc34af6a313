package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLock(t *testing.T) {
	got := parseLock([]byte(`{"lockfileVersion": 3, "packages": {
		"": {"name": "app", "version": "1.0.0"},
		"node_modules/fastify": {"version": "5.1.0", "integrity": "sha512-x", "license": "MIT"},
		"node_modules/@fastify/error": {"version": "4.0.0"},
		"node_modules/a/node_modules/fastify": {"version": "4.0.0"},
		"node_modules/alias": {"name": "real", "version": "2.0.0"},
		"node_modules/tool": {"version": "1.0.0", "dev": true},
		"node_modules/local": {"resolved": "packages/local", "link": true},
		"packages/local": {"version": "1.0.0"}
	}}`))
	var purls []string
	for _, c := range got {
		purls = append(purls, c.purl)
	}
	want := []string{"pkg:npm/%40fastify/error@4.0.0", "pkg:npm/fastify@4.0.0", "pkg:npm/fastify@5.1.0", "pkg:npm/real@2.0.0"}
	if diff := cmp.Diff(want, purls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte(`{"packages": {"node_modules/a": {"version": "1"}}}`))
	f.Add([]byte(`{"packages": {"node_modules/": {"version": "1", "license": []}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, c := range parseLock(raw) {
			c.cyclonedx("x")
			if c.version == "" {
				t.Errorf("no version: %+v", c)
			}
		}
		parseComponents(raw)
	})
}
