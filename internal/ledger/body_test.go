package ledger

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/fault"
)

// goldenBody is the body of entry 10 of the specification's good pack.
const goldenBody = `{"action":"session.close","actor":{"email":"person1@example.org","id":"01934f6e-0000-7000-8000-000000000001","ip":"198.51.100.1","kind":"account","mfa":true,"roles":["member"],"session":"s1","user_agent":"heroku-cli/11.10.0"},"app":"01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0","blobs":[{"media_type":"application/x-asciicast","role":"recording","sha256":"sha256:973d5cd4d1c9a99d1e00481a952b1f3664919095bb4f153c489091d1123c9cde","size":11}],"outcome":"ok","request_id":"r-session.close","target":{"id":"01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0","kind":"app","name":"intake"},"via":"api"}`

func TestBodyGolden(t *testing.T) {
	body, err := ParseBody([]byte(goldenBody))
	if err != nil {
		t.Fatal(err)
	}
	again, err := body.Canonical()
	if err != nil || string(again) != goldenBody {
		t.Errorf("%s, %v", again, err)
	}
}

func TestBodyRoundTrip(t *testing.T) {
	cause := int64(0)
	in := &Body{
		Action: "app.update", Outcome: Failed, Via: ViaSSH, RequestID: "r", Target: Target{"app", "1", "<&>"},
		App: "a", Reason: "“quoted”", Cause: &cause, Error: "no", Count: 3,
		Changes:    []Change{{Kind: "app", ID: "1", Rev: 2}, {Kind: "app", ID: "0", Rev: 3, Doc: json.RawMessage{}}, {Kind: "app", ID: "2", Rev: 1, Doc: json.RawMessage(`{"b":1,"a":2}`)}},
		Blobs:      []Blob{{"sha256:00", 1, "text/plain", "log"}},
		Erased:     []Erased{{Seq: 1, Action: "x.read", Actor: "a", Outcome: OK, Rule: "r"}},
		Details:    []Detail{{"region", "eu"}},
		Checkpoint: "three\nlines\n",
	}
	b, err := in.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"actor":{"email":"","id":"","ip":"","kind":"","mfa":false,"roles":[],"session":"","user_agent":""}`) {
		t.Errorf("an actor's members are not all written: %s", b)
	}
	if !in.Changes[0].Deleted() || !in.Changes[1].Deleted() || in.Changes[2].Deleted() {
		t.Error("Deleted")
	}
	out, err := ParseBody(b)
	if err != nil {
		t.Fatal(err)
	}
	if !out.Changes[0].Deleted() {
		t.Errorf("doc %q", out.Changes[0].Doc)
	}
	in.Actor.Roles = []string{}
	in.Changes[0].Doc = json.RawMessage("null")
	in.Changes[1].Doc = json.RawMessage("null")
	in.Changes[2].Doc = json.RawMessage(`{"a":2,"b":1}`)
	if diff := cmp.Diff(in, out); diff != "" {
		t.Error(diff)
	}
}

func TestParseBodyRefuses(t *testing.T) {
	for name, change := range map[string][2]string{
		"unknown member":     {`,"app":`, `,"api":1,"app":`},
		"name in other case": {`"app":`, `"App":`},
		"wrong type":         {`"size":11`, `"size":"11"`},
		"member missing":     {`"ip":"198.51.100.1",`, ``},
		"empty member":       {`"outcome"`, `"error":"","outcome"`},
		"not canonical":      {`"app":`, `"app": `},
		"duplicate":          {`"via":"api"`, `"via":"api","via":"api"`},
	} {
		b := strings.Replace(goldenBody, change[0], change[1], 1)
		if b == goldenBody {
			t.Fatalf("%s: no change", name)
		}
		if _, err := ParseBody([]byte(b)); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fullBody has every member.
const fullBody = `{"action":"x.y","actor":{"email":"e","id":"i","ip":"p","kind":"account","mfa":false,"roles":["a","\n"],"session":"s","user_agent":"u"},"app":"a",` +
	`"blobs":[{"media_type":"m","role":"r","sha256":"s","size":1}],"cause":0,"changes":[{"doc":null,"id":"i","kind":"k","rev":1},{"doc":{"a":[{}]},"id":"i","kind":"k","rev":-1}],` +
	`"checkpoint":"c","count":3,"details":[{"name":"n","value":"v"}],"erased":[{"action":"a","actor":"b","outcome":"ok","rule":"r","seq":3}],"error":"e","outcome":"ok","reason":"r",` +
	`"request_id":"","target":{"id":"","kind":"","name":""},"via":""}`

// sameBody states what ParseBody means: b is canonical, and what encoding/json
// makes of it is written as b again.
func sameBody(t *testing.T, b []byte) {
	t.Helper()
	got, err := ParseBody(b)
	want, written := &Body{}, []byte(nil)
	if CheckCanonical(b) == nil && json.Unmarshal(b, want) == nil {
		written, _ = want.Canonical()
	}
	if ok := written != nil && bytes.Equal(written, b); ok != (err == nil) {
		t.Fatalf("%q: %v, but it is written as %q", b, err, written)
	}
	if err != nil {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q: %s", b, diff)
	}
}

// TestParseBodyShapes puts other things in place of each part of a body.
func TestParseBodyShapes(t *testing.T) {
	if _, err := ParseBody([]byte(fullBody)); err != nil {
		t.Fatal(err)
	}
	const most = 50 // bytes that are replaced
	for from := range fullBody {
		for to := from; to <= min(from+most, len(fullBody)); to++ {
			for _, other := range []string{"", "0", `""`, "null", "[]", "{}", "true", "[null]", `"x"`} {
				if b := []byte(fullBody[:from] + other + fullBody[to:]); CheckCanonical(b) == nil {
					sameBody(t, b)
				}
			}
		}
	}
}

func FuzzBody(f *testing.F) {
	f.Add([]byte(goldenBody))
	f.Add([]byte(fullBody))
	f.Fuzz(func(t *testing.T, b []byte) { sameBody(t, b) })
}

func TestBodyTooLarge(t *testing.T) {
	body := &Body{Reason: strings.Repeat("x", MaxBody)}
	if _, err := body.Canonical(); fault.Of(err) != fault.TooLarge {
		t.Errorf("%v", err)
	}
	b := strings.Replace(goldenBody, `"request_id"`, `"reason":"`+body.Reason+`","request_id"`, 1)
	if _, err := ParseBody([]byte(b)); fault.Of(err) != fault.TooLarge {
		t.Errorf("read: %v", err)
	}
}
