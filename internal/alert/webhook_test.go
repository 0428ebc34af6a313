package alert_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/alert"
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// TestEvents: whatever becomes of a finding is sent once, signed, in order, and
// tells where to read on and not what was seen.
func TestEvents(t *testing.T) {
	l := newLab(t)
	channel := l.hook("medium")
	l.says("ward", document.StatusFail)
	id := l.finding().ID
	l.says("ward", document.StatusFail) // nothing new
	l.Do(&checks.Assign{ID: id, Email: "dev@example.org"}, l.As("owner"))
	l.Do(&checks.Accept{ID: id, Reason: "the visitors know", Until: l.Now().Add(time.Hour)}, l.As("owner"))
	l.Pass(2 * time.Hour)
	l.Do(&checks.Reopen{ID: id}, commandtest.Platform)
	l.Do(&checks.Remind{ID: id}, commandtest.Platform)
	l.says("ward", document.StatusPass)
	l.turn()
	var events []string
	for _, m := range l.take() {
		events = append(events, m.Event)
		if m.ID != fmt.Sprintf("%s.%d", id, m.Seq) || m.header.Get("Strongroom-Message") != m.ID {
			t.Errorf("%s of entry %d, in the header %q", m.ID, m.Seq, m.header.Get("Strongroom-Message"))
		}
		verify(t, m)
		if f := m.Finding; f.Where != "the space ward" || f.Title != "What state.trusted-ips is about" || f.Subject != "ward" || f.Severity != "high" {
			t.Errorf("%+v", f)
		}
		if s := string(m.body); strings.Contains(s, "dev@example.org") || strings.Contains(s, "visitors") {
			t.Errorf("tells too much: %s", s)
		}
	}
	if diff := cmp.Diff([]string{alert.Opened, alert.Accepted, alert.Reopened, alert.Overdue, alert.Closed}, events); diff != "" {
		t.Error(diff)
	}
	if n := len(l.waiting()); n != 0 {
		t.Errorf("%d wait still", n)
	}
	l.turn()
	if again := l.take(); len(again) != 0 {
		t.Errorf("sent again: %d", len(again))
	}
	if got := commandtest.Get[*document.Alert](l.World, channel.ID); got.State != document.AlertDelivered {
		t.Errorf("%+v", got)
	}
	if where := l.Tells(key); len(where) != 0 {
		t.Errorf("the secret is in %v", where)
	}
}

// verify is what a receiver does.
func verify(t *testing.T, m taken) {
	t.Helper()
	signed := m.header.Get(alert.SignatureHeader)
	unix, err := strconv.ParseInt(strings.TrimPrefix(strings.Split(signed, ",")[0], "t="), 10, 64)
	at := time.Unix(unix, 0)
	if err != nil || signed != alert.Signature([]byte(key), m.body, at) || time.Since(at).Abs() > time.Minute {
		t.Errorf("signature %q", signed)
	}
	if signed == alert.Signature([]byte(key), bytes.ToUpper(m.body), at) || signed == alert.Signature([]byte("another"), m.body, at) {
		t.Error("the signature signs anything")
	}
}

// TestPeople: a subject that is a person is not named.
func TestPeople(t *testing.T) {
	l := newLab(t)
	l.hook("low")
	r := report("", l.IDs["account:dev"], document.StatusFail)
	r.Name = "dev@example.org"
	l.Do(r, commandtest.Platform)
	l.turn()
	got := l.take()
	if len(got) != 1 || got[0].Finding.Subject != "" || strings.Contains(string(got[0].body), "dev@") {
		t.Errorf("%s", got[0].body)
	}
}

// TestWho: a channel gets what its scope and severity are about.
func TestWho(t *testing.T) {
	l := newLab(t)
	for to, add := range map[string]*alerts.Add{
		"all":    {},
		"worst":  {Severity: "critical"},
		"care":   {Team: "care"},
		"ward":   {Space: "ward"},
		"rivals": {Team: "rivals"},
	} {
		add.Channel, add.To, add.Secret = document.AlertWebhook, secret.NewValue([]byte("https://"+l.host()+"/"+to)), secret.NewValue([]byte(key))
		by := map[string]string{"care": "owner", "ward": "owner", "rivals": "stranger"}[to]
		if by == "" {
			by = "root"
		}
		l.Do(add, l.As(by))
		l.IDs[to] = add.Alert.ID
	}
	expect := func(want ...string) {
		t.Helper()
		got := map[string]bool{}
		for _, j := range l.waiting() {
			got[j.Ref] = true
			if err := l.Store.JobDone(j.ID); err != nil {
				t.Fatal(err)
			}
		}
		for _, to := range want {
			if !got[l.IDs[to]] {
				t.Errorf("%s is not told", to)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d are told, want %v", len(got), want)
		}
	}
	l.says("ward", document.StatusFail)
	expect("all", "care", "ward")
	l.Do(report(l.IDs["team:care"], "", document.StatusFail), commandtest.Platform)
	expect("all", "care")
	l.Do(report(l.IDs["space:attic"], "", document.StatusFail), commandtest.Platform)
	expect("all", "rivals")
	l.Do(report("", "", document.StatusFail), commandtest.Platform)
	expect("all")
	l.Do(&alerts.Remove{ID: l.IDs["all"]}, l.As("root"))
	l.Do(report("", "", document.StatusPass), commandtest.Platform)
	expect()
}

// TestFailing: what is not taken is sent again after ever longer pauses, that is
// said once, and it arrives in the end.
func TestFailing(t *testing.T) {
	l := newLab(t)
	channel := l.hook("high")
	for _, status := range []int{http.StatusInternalServerError, http.StatusFound, http.StatusGone} {
		l.answer(status)
		l.says("ward", document.StatusFail)
		before := l.Size()
		l.turn()
		first := l.take()
		l.turn() // too early
		if len(first) != 1 || len(l.take()) != 0 {
			t.Errorf("%d messages", len(first))
		}
		l.Pass(6 * time.Second)
		l.turn()
		l.Pass(6 * time.Second)
		l.turn() // too early
		if again := l.take(); len(again) != 1 || again[0].ID != first[0].ID {
			t.Errorf("%d messages", len(again))
		}
		if got := commandtest.Actions(l.Since(before)); !cmp.Equal(got, []string{"alert.record"}) {
			t.Errorf("recorded as %v", got)
		}
		if got := commandtest.Get[*document.Alert](l.World, channel.ID); got.State != document.AlertFailing || got.Error != fmt.Sprintf("The receiver answered with the status %d.", status) {
			t.Errorf("%+v", got)
		}
		l.answer(http.StatusOK)
		l.Pass(11 * time.Minute)
		l.turn()
		if last := l.take(); len(last) != 1 || last[0].ID != first[0].ID {
			t.Errorf("in the end: %d", len(last))
		}
		if got := commandtest.Get[*document.Alert](l.World, channel.ID); got.State != document.AlertDelivered || got.Error != "" {
			t.Errorf("%+v", got)
		}
		l.says("ward", document.StatusPass)
		l.turn()
		l.take()
		l.Pass(time.Minute)
	}
}

// TestTest: a test goes out although others wait, is not tried again, and says how
// it went each time.
func TestTest(t *testing.T) {
	l := newLab(t)
	channel := l.hook("high")
	l.answer(http.StatusForbidden)
	l.says("ward", document.StatusFail)
	l.turn()
	l.take()
	for _, status := range []int{http.StatusForbidden, http.StatusOK} {
		l.answer(status)
		l.Do(&alerts.Test{ID: channel.ID}, l.As("root"))
		l.Pass(time.Second)
		l.turn()
		got := l.take()
		if len(got) == 0 || got[0].Event != alert.Test {
			t.Fatalf("%+v", got)
		}
		a := commandtest.Get[*document.Alert](l.World, channel.ID)
		if a.TestedAt == nil || !a.TestedAt.Equal(l.Now()) || (a.State == document.AlertDelivered) != (status == http.StatusOK) {
			t.Errorf("%+v", a)
		}
	}
	if n := len(l.waiting()); n != 0 {
		t.Errorf("%d wait although the channel takes messages again", n)
	}
}

// TestCrash: a program that stops after it sent and before it knew sends again,
// under the same id.
func TestCrash(t *testing.T) {
	l := newLab(t)
	l.hook("high")
	l.says("ward", document.StatusFail)
	ctx, stop := context.WithCancel(t.Context())
	l.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.ServeHTTP(w, r)
		stop()
	})
	_, _ = l.sender.Turn(ctx)
	first := l.take()
	l.server.Config.Handler = l.receiver
	l.sender = alert.New(l.config)
	l.turn()
	if again := l.take(); len(first) != 1 || len(again) != 1 || again[0].ID != first[0].ID {
		t.Errorf("%d, then %d", len(first), len(again))
	}
}

// TestFlood: of ten thousand findings at once a channel gets so many messages a
// minute, and all of them are told.
func TestFlood(t *testing.T) {
	const findings = 10_000
	l := newLab(t)
	l.hook("high")
	var g sync.WaitGroup
	for worker := range 250 {
		g.Go(func() {
			for i := range findings / 250 {
				subject := fmt.Sprintf("%d-%d \r\nBcc: all@example.org", worker, i)
				if _, err := l.Kernel.Execute(t.Context(), report(l.IDs["space:ward"], subject, document.StatusFail), commandtest.Platform); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	told, messages := 0, 0
	for range 3 { // within a minute
		l.turn()
		for _, m := range l.take() {
			messages++
			if m.Event != alert.Summary {
				told++
				continue
			}
			told += m.Count
			if len(m.Findings) != 50 || m.Events[alert.Opened] != m.Count || len(m.body) > 64<<10 {
				t.Errorf("%d findings in %d bytes, %v", len(m.Findings), len(m.body), m.Events)
			}
		}
	}
	if told != findings || messages != 20 || len(l.waiting()) != 0 {
		t.Errorf("%d messages tell of %d, %d wait", messages, told, len(l.waiting()))
	}
}

// TestUnreachable: what cannot be reached is told in words of our own.
func TestUnreachable(t *testing.T) {
	l := newLab(t)
	gone := closed(t)
	l.config.Webhook.Allow = append(l.config.Webhook.Allow, gone)
	for address, words := range map[string]string{
		"https://127.0.0.1:1/":                     "not public",
		"http://127.0.0.1:80/":                     "not public",
		"https://localhost:1/":                     "not public",
		"https://[::1]:1/":                         "not public",
		"https://[::ffff:127.0.0.1]:1/":            "not public",
		"https://169.254.169.254/latest/meta-data": "not public",
		"https://10.0.0.1/":                        "not public",
		"https://" + gone + "/":                    "Nobody listens",
		"https://none.invalid/":                    "no address",
		"https://localhost:" + l.host()[strings.LastIndex(l.host(), ":")+1:] + "/": "not public", // allowed is the address, not every name of it
	} {
		add := &alerts.Add{Channel: document.AlertWebhook, To: secret.NewValue([]byte(address)), Secret: secret.NewValue([]byte(key))}
		l.Do(add, l.As("root"))
		l.Do(&alerts.Test{ID: add.Alert.ID}, l.As("root"))
		l.sender = alert.New(l.config)
		l.turn()
		if a := commandtest.Get[*document.Alert](l.World, add.Alert.ID); a.State != document.AlertFailing || !strings.Contains(a.Error, words) {
			t.Errorf("%s: %+v", address, a)
		}
	}
	if got := l.take(); len(got) != 0 {
		t.Errorf("%d messages arrived", len(got))
	}
	// A receiver that nobody vouches for gets nothing either.
	l.config.Webhook.Roots = nil
	l.sender = alert.New(l.config)
	channel := l.hook("high")
	l.Do(&alerts.Test{ID: channel.ID}, l.As("root"))
	l.turn()
	if a := commandtest.Get[*document.Alert](l.World, channel.ID); !strings.Contains(a.Error, "certificate") || len(l.take()) != 0 {
		t.Errorf("%+v", a)
	}
}

// TestAddressIsASecret: the path and the query of a webhook's address reach the
// receiver and nobody else, whatever comes of the message.
func TestAddressIsASecret(t *testing.T) {
	l := newLab(t)
	var log bytes.Buffer
	l.config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	gone := closed(t)
	l.config.Webhook.Allow = append(l.config.Webhook.Allow, gone)
	add := func(host string) *alerts.Add {
		return &alerts.Add{Channel: document.AlertWebhook, To: secret.NewValue([]byte("https://" + host + path)), Secret: secret.NewValue([]byte(key))}
	}
	try := func(a *document.Alert) {
		l.Do(&alerts.Test{ID: a.ID}, l.As("root"))
		l.sender = alert.New(l.config)
		l.turn()
	}
	channel := l.hook("high")
	if want := "https://" + l.host() + "/…"; channel.To != want || len(channel.Fingerprint) != 8 {
		t.Errorf("%+v", channel)
	}
	try(channel)
	if got := l.take(); len(got) != 1 || got[0].to != path {
		t.Errorf("%d messages: %+v", len(got), got)
	}
	l.answer(http.StatusTeapot)
	try(channel)
	for _, host := range []string{gone, "127.0.0.1:1", "none.invalid"} {
		cmd := add(host)
		l.Do(cmd, l.As("root"))
		try(cmd.Alert)
	}
	l.config.Webhook.Roots = nil
	try(channel)
	var told []error
	for _, cmd := range []*alerts.Add{add(l.host()), add("user:password@" + l.host()), add("al erts.example.org"), add("alerts.example.org:port"), {Channel: "email", To: add("x").To}} {
		_, err := l.Kernel.Execute(t.Context(), cmd, l.As("root"))
		told = append(told, err)
	}
	_, err := l.Kernel.Execute(t.Context(), add("alerts.example.org"), l.As("dev"))
	told = append(told, err)
	l.Do(&alerts.Remove{ID: channel.ID}, l.As("root"))
	for _, err := range told {
		if err == nil || strings.Contains(err.Error()+fault.Message(err), "canary") {
			t.Errorf("%v", err)
		}
	}
	if strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), "refused") {
		t.Errorf("the log:\n%s", log.String())
	}
	if where := l.Tells("canary"); len(where) != 0 {
		t.Errorf("the address is in %v", where)
	}
}

// TestRun sends as it happens.
func TestRun(t *testing.T) {
	l := newLab(t)
	l.hook("high")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.sender.Run(ctx) }()
	l.says("ward", document.StatusFail)
	for deadline := time.Now().Add(10 * time.Second); len(l.waiting()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is sent")
		}
	}
	stop()
	if err := <-done; err != nil || len(l.take()) != 1 {
		t.Error(err)
	}
}
