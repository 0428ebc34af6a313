package packref

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/fault"
)

func TestParse(t *testing.T) {
	cases := []struct {
		text string
		want Ref
		says string
	}{
		{"heroku/nodejs", Ref{Kind: BuiltIn, Name: "heroku/nodejs"}, ""},
		{"nodejs", Ref{Kind: BuiltIn, Name: "heroku/nodejs"}, ""},
		{"perl-5", Ref{Kind: Directory, Name: "perl-5"}, ""},
		{"https://git.example.org/x/y.git", Ref{Kind: Git, URL: "https://git.example.org/x/y.git"}, ""},
		{"https://git.example.org/x/y#v1.2", Ref{Kind: Git, URL: "https://git.example.org/x/y", Branch: "v1.2"}, ""},
		{"heroku/cobol", Ref{}, "no built-in"},
		{"../x", Ref{}, "no built-in"},
		{".hidden", Ref{}, "no built-in"},
		{"", Ref{}, "no built-in"},
		{"file:///etc", Ref{}, "https URL"},
		{"git://example.org/x", Ref{}, "https URL"},
		{"ext::sh -c id://x", Ref{}, "https URL"},
		{"https://user@example.org/x", Ref{}, "credentials"},
		{"https://example.org/x#--upload-pack=x", Ref{}, "not a name of a branch"},
		{"https://example.org/x#a..b", Ref{}, "not a name of a branch"},
		{"https://example.org/x.tgz", Ref{}, "is a tarball"},
		{"https://example.org/x\ty", Ref{}, "https URL"},
	}
	for _, c := range cases {
		got, err := Parse(c.text)
		if (err == nil) != (c.says == "") || (err != nil && !strings.Contains(fault.Message(err), c.says)) {
			t.Errorf("%q: got %v, want %q", c.text, err, c.says)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
}
