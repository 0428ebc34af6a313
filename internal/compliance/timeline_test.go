package compliance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// start is the minute 0 of the tests.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

func points(list ...any) (out []Point) {
	for i := 0; i < len(list); i += 2 {
		out = append(out, Point{At: minute(list[i].(int)), Seq: int64(i), Status: list[i+1].(string)})
	}
	return out
}

func spans(list ...int) (out []Span) {
	for i := 0; i < len(list); i += 2 {
		out = append(out, Span{minute(list[i]), minute(list[i+1])})
	}
	return out
}

func show(list []Interval) string {
	var b strings.Builder
	for _, i := range list {
		fmt.Fprintf(&b, "%d-%d %s; ", int(i.From.Sub(start).Minutes()), int(i.To.Sub(start).Minutes()), i.Status)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestTimeline(t *testing.T) {
	for _, test := range []struct {
		name   string
		points []Point
		spans  []Span
		want   string
	}{
		{"nothing ran", nil, nil, "0-100 unknown"},
		{"passed all the time", points(0, "pass"), spans(0, 100), "0-100 pass"},
		{"what was said before counts", points(-50, "pass"), spans(-50, 100), "0-100 pass"},
		{"failed and was mended", points(0, "pass", 40, "fail", 60, "pass"), spans(0, 100), "0-40 pass; 40-60 fail; 60-100 pass"},
		{"did not run in between", points(0, "pass"), spans(0, 30, 50, 100), "0-30 pass; 30-50 unknown; 50-100 pass"},
		{"a change while it did not run shows when it runs again", points(0, "pass", 50, "fail"), spans(0, 30, 50, 100), "0-30 pass; 30-50 unknown; 50-100 fail"},
		{"it does not run any more", points(0, "pass"), spans(0, 80), "0-80 pass; 80-100 unknown"},
		{"began late", points(20, "pass"), spans(20, 100), "0-20 unknown; 20-100 pass"},
		{"ran and said nothing", points(30, "pass"), spans(0, 100), "0-30 not-applicable; 30-100 pass"},
		{"overlapping spans", points(0, "pass"), spans(0, 60, 40, 70, 70, 100), "0-100 pass"},
		{"beyond the end", points(0, "pass", 120, "fail"), spans(0, 200), "0-100 pass"},
		{"twice the same", points(0, "pass", 50, "pass"), spans(0, 100), "0-50 pass; 50-100 pass"},
	} {
		if got := show(Timeline(test.points, test.spans, minute(0), minute(100))); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestTimelineMinuteByMinute compares with looking at every minute by itself.
func TestTimelineMinuteByMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ps []Point
		for at := range 100 {
			if rapid.IntRange(0, 9).Draw(t, "point") == 0 {
				ps = append(ps, Point{At: minute(at - 10), Seq: int64(at), Status: rapid.SampledFrom([]string{"pass", "fail", "not-applicable"}).Draw(t, "status")})
			}
		}
		var ss []Span
		for at := -10; at < 90; {
			at += rapid.IntRange(0, 20).Draw(t, "gap")
			length := rapid.IntRange(1, 30).Draw(t, "length")
			ss = append(ss, Span{minute(at), minute(at + length)})
			at += rapid.IntRange(0, length).Draw(t, "on")
		}
		got := Timeline(ps, ss, minute(0), minute(80))
		at := minute(0)
		for _, i := range got {
			if !i.From.Equal(at) || !i.From.Before(i.To) {
				t.Fatalf("a gap or an empty interval: %s", show(got))
			}
			at = i.To
		}
		if !at.Equal(minute(80)) {
			t.Fatalf("does not reach the end: %s", show(got))
		}
		for m := range 80 {
			if have, want := statusOf(got, minute(m)), bySight(ps, ss, minute(m)); have != want {
				t.Fatalf("minute %d is %s, want %s: %s", m, have, want, show(got))
			}
		}
	})
}

func statusOf(list []Interval, at time.Time) string {
	for _, i := range list {
		if !at.Before(i.From) && at.Before(i.To) {
			return i.Status
		}
	}
	return ""
}

func bySight(ps []Point, ss []Span, at time.Time) string {
	status := "not-applicable"
	for _, p := range ps {
		if !p.At.After(at) {
			status = p.Status
		}
	}
	for _, s := range ss {
		if !at.Before(s.From) && at.Before(s.To) {
			return status
		}
	}
	return "unknown"
}

func TestEffectiveness(t *testing.T) {
	for _, test := range []struct {
		points []Point
		spans  []Span
		want   string
	}{
		{points(0, "pass"), spans(0, 100), "1.00 true"},
		{points(0, "pass", 75, "fail"), spans(0, 100), "0.75 true"},
		{points(0, "pass"), spans(0, 75), "0.75 true"},
		{points(0, "not-applicable", 50, "pass", 75, "fail"), spans(0, 100), "0.50 true"},
		{points(0, "not-applicable"), spans(0, 100), "0.00 false"},
		{points(0, "not-applicable"), spans(0, 75), "0.00 false"},
		{nil, nil, "0.00 true"},
	} {
		share, ok := Effectiveness(Timeline(test.points, test.spans, minute(0), minute(100)))
		if got := fmt.Sprintf("%.2f %v", share, ok); got != test.want {
			t.Errorf("%v: %s, want %s", test.points, got, test.want)
		}
	}
}
