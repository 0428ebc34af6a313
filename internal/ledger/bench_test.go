package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// memoryTree keeps stored hashes as a store does.
type memoryTree []tlog.Hash

func (m memoryTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = m[x]
	}
	return out, nil
}

func (m *memoryTree) add(t testing.TB, seq int64, leaf tlog.Hash) {
	t.Helper()
	hashes, err := Hashes(seq, leaf, *m)
	if err != nil {
		t.Fatal(err)
	}
	*m = append(*m, hashes...)
}

// testEntry makes an entry like a release's.
func testEntry(t testing.TB, seq int64) *Entry {
	t.Helper()
	scope := "7d3e5a10-2b1c-4a6e-9c55-1f2e3d4c5b6a"
	body := Body{
		Action: "release.create", Outcome: OK, Via: ViaAPI, RequestID: "01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0",
		Actor: Actor{
			Kind: AccountActor, ID: "01934f6e-0000-7000-8000-000000000001", Email: "person@example.org", IP: "198.51.100.1",
			UserAgent: "heroku-cli/11.10.0", Session: "s1", MFA: true, Roles: []string{"member"},
		},
		Target: Target{Kind: "app", ID: "01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0", Name: "intake"},
		App:    "01934f6e-7a10-7c3e-8f21-5b6c7d8e9fa0", Reason: "ticket 17",
		Changes: []Change{{
			Kind: "release", ID: "01934f6e-7a10-7c3e-8f21-000000000001", Rev: seq + 1,
			Doc: []byte(`{"approved_by":null,"commit":"0000000000000000000000000000000000000007","schema":1,"status":"pending","version":1}`),
		}},
	}
	content, err := body.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	e := &Entry{Seq: seq, Time: time.Date(2026, 3, 1, 0, 0, int(seq), 7, time.UTC), Scope: &scope, Body: content}
	rand.Read(e.Salt[:])
	return e
}

// BenchmarkVerify compares the verification of headers and bodies (form, salted
// hash, canonical JSON, tree, root) with nothing but SHA-256 over the bytes
// that have to be hashed.
func BenchmarkVerify(b *testing.B) {
	const n = 20000
	var tree memoryTree
	entries := make([]*Entry, n)
	headers := make([][]byte, n)
	bytes := 0
	for i := range entries {
		entries[i] = testEntry(b, int64(i))
		headers[i] = entries[i].Header()
		tree.add(b, int64(i), LeafHash(headers[i]))
		bytes += len(headers[i]) + len(entries[i].Body)
	}
	root, err := Root(n, tree)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(bytes))
		leaf, node := make([]byte, 0, 1024), make([]byte, 65)
		body := make([]byte, 0, 1024)
		for b.Loop() {
			for i, e := range entries {
				leaf = append(append(leaf[:0], 0), headers[i]...)
				sha256.Sum256(leaf)
				body = append(append(append(body[:0], 2), e.Salt[:]...), e.Body...)
				sha256.Sum256(body)
				sha256.Sum256(node)
			}
		}
	})
	fill := func() func(*Batch) (bool, error) {
		next := 0
		return func(batch *Batch) (bool, error) {
			for ; next < n && !batch.Full(); next++ {
				l, e := batch.Add(int64(next)), entries[next]
				l.Header = batch.Bytes(len(headers[next]))
				copy(l.Header, headers[next])
				l.Framed = batch.Bytes(FrameSize + len(e.Body))
				copy(l.Framed[FrameSize:], e.Body)
				l.Salt = e.Salt
			}
			return next < n, nil
		}
	}
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(int64(bytes))
		for b.Loop() {
			v, err := NewRangeVerifier([]Range{{0, n}}, nil, n, root)
			if err != nil {
				b.Fatal(err)
			}
			err = Stream(context.Background(), fill(), func(l *Line) error {
				if l.HeaderErr != nil || l.BodyErr != nil {
					b.Fatal(l.HeaderErr, l.BodyErr)
				}
				return v.Add(l.Leaf)
			})
			if err != nil {
				b.Fatal(err)
			}
			if err := v.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify-one-core", func(b *testing.B) {
		b.SetBytes(int64(bytes))
		names := scopeNames{}
		var l Line
		buf := make([]byte, 0, 4096)
		for b.Loop() {
			v, _ := NewRangeVerifier([]Range{{0, n}}, nil, n, root)
			for i, e := range entries {
				l = Line{Seq: int64(i), Header: headers[i], Salt: e.Salt, Framed: append(buf[:FrameSize], e.Body...), JSON: l.JSON}
				l.check(names)
				if l.HeaderErr != nil || l.BodyErr != nil {
					b.Fatal(l.HeaderErr, l.BodyErr)
				}
				if err := v.Add(l.Leaf); err != nil {
					b.Fatal(err)
				}
			}
			if err := v.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParts(b *testing.B) {
	e := testEntry(b, 100000)
	h := e.Header()
	b.Run("ParseHeader", func(b *testing.B) {
		names := scopeNames{}
		for b.Loop() {
			parseHeader(h, names)
		}
	})
	b.Run("LeafHash", func(b *testing.B) {
		for b.Loop() {
			LeafHash(h)
		}
	})
	b.Run("CheckCanonical", func(b *testing.B) {
		b.SetBytes(int64(len(e.Body)))
		for b.Loop() {
			if err := CheckCanonical(e.Body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Canonical", func(b *testing.B) {
		body, err := ParseBody(e.Body)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			body.Canonical()
		}
	})
}
