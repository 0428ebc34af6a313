package containerd

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/strongroom/strongroom/internal/driver"
)

// wantOnly wants one stray that begins so, in a space or on the host, or none.
func wantOnly(t *testing.T, s *driver.Survey, want string, host bool) {
	t.Helper()
	var got []string
	for _, p := range s.Parts {
		for _, x := range p.Strays {
			got = append(got, x.Text)
			if (p.Space == "") != host {
				t.Errorf("in space %q: %s", p.Space, x.Text)
			}
		}
	}
	if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// TestTwice: what a second look does not find was passing through.
func TestTwice(t *testing.T) {
	for _, tt := range []struct {
		looks [][]string
		want  string
	}{
		{[][]string{nil}, ""},
		{[][]string{{"starts"}, nil}, ""},
		{[][]string{{"starts", "stays"}, {"stays", "comes"}}, "stays"},
	} {
		synctest.Test(t, func(t *testing.T) {
			looked := 0
			s, err := twice(t.Context(), func(context.Context) (*driver.Survey, error) {
				s := driver.NewSurvey(driver.AreaContainers)
				for _, text := range tt.looks[looked] {
					s.Found("", "process", "%s", text)
				}
				looked++
				return s, nil
			})
			if err != nil || looked != len(tt.looks) {
				t.Errorf("%d looks, %v", looked, err)
			}
			wantOnly(t, s, tt.want, true)
		})
	}
}
