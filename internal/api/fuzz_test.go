package api

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/fault"
)

func FuzzRange(f *testing.F) {
	for _, s := range []string{
		"", "id ..; max=1000;", "version ..; order=desc,max=1", "version ]5..9; max=2", "name a..b", "seq ]..", "name", "; max=2",
		"id ..;max=999999999999999999999", "version ]-1..", "name \x00..\x7f", "id ]a..;order=desc;order=asc",
	} {
		f.Add(s)
	}
	items := []int{5, 3, 9, 1, 7}
	by := property[int]{name: "version", number: func(i int) int64 { return int64(i) }}
	f.Fuzz(func(t *testing.T, header string) {
		w, err := parseWindow(header)
		if err != nil {
			return
		}
		if w.max < 1 || w.max > maxPage || w.property != "" && !isProperty(w.property) {
			t.Fatalf("%q gives %+v", header, w)
		}
		w.property = by.name
		list, more, err := cut(items, w, by)
		if err != nil {
			return
		}
		if len(list) > w.max || !w.desc && !slices.IsSorted(list) {
			t.Fatalf("%q gives %v", header, list)
		}
		if !more {
			return
		}
		// What comes next is read back, and does not repeat.
		next, err := parseWindow(w.next(by.value(list[len(list)-1])))
		if err != nil {
			t.Fatalf("Next-Range after %q: %v", header, err)
		}
		rest, _, err := cut(items, next, by)
		if err != nil || slices.Contains(rest, list[len(list)-1]) {
			t.Fatalf("after %q: %v, then %v (%v)", header, list, rest, err)
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"name":"x","quantity":"2","size":{"id":"y"},"env":{"A":"b"},"list":[{"name":"z"}],"flag":true,"null":null}`,
		`{"a":1,"a":2}`, `[[[[[[`, `{"name":"\ud800"}`, `{"quantity":1e400}`, "{\"\u0000\":0}", `{"size":[]}`, `1 2`, `{"quantity":"99999999999"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var in struct {
			Name     string              `json:"name"`
			Pointer  *string             `json:"pointer"`
			Quantity number              `json:"quantity"`
			Size     ref                 `json:"size"`
			Null     nullable            `json:"null"`
			Flag     *bool               `json:"flag"`
			Env      map[string]string   `json:"env"`
			Config   map[string]nullable `json:"config"`
			List     []struct {
				Name string `json:"name"`
			} `json:"list"`
		}
		err := decodeJSON(data, &in)
		if err != nil {
			if _, internal := explain(err, "x"); internal {
				t.Fatalf("%q is an internal error: %v", data, err)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is not JSON and was read", data)
		}
	})
}

func FuzzExplain(f *testing.F) {
	f.Add("name", "a..b", "id")
	f.Fuzz(func(t *testing.T, action, from, to string) {
		_, err := entryQuery(url.Values{"action": {action}, "from": {from}, "to": {to}}, window{max: 10})
		if err != nil && fault.Of(err) == "" {
			t.Fatalf("%q %q %q: an internal error: %v", action, from, to, err)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add("Basic aGVyb2t1OnRva2Vu", "a,b", "agent", "why", "application/vnd.heroku+json; version=3")
	f.Add("Bearer x", ",", "\x01\xff", "\xff", "application/vnd.heroku+json; version=")
	f.Fuzz(func(t *testing.T, authorization, id, agent, why, accept string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Request-Id", id)
		r.Header.Set("User-Agent", agent)
		r.Header.Set("Strongroom-Reason", why)
		r.Header.Set("Accept", accept)
		r.Header.Set("X-Forwarded-For", id)
		readCredentials(r)
		if s := requestID(r); !requestIDs.MatchString(s) {
			t.Fatalf("request id %q", s)
		}
		if s := userAgent(r); len(s) > maxUserAgent || !printable(s) {
			t.Fatalf("user agent %q", s)
		}
		if s, err := reason(r); err == nil && (len(s) > maxReason || !printable(s) || strings.TrimSpace(s) != s) {
			t.Fatalf("reason %q", s)
		}
		_ = accepts(r)
	})
}
