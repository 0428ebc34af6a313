package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// pageSize is how many entries the verifier reads in one transaction.
const pageSize = 2_000

// page is a number of entries, read and hashed, and the tiles over them.
type page struct {
	entries []checked
	tiles   map[int64][]byte
	err     error

	names []byte // what changes refer to
}

// checked is what the verifier needs of an entry.
type checked struct {
	seq     int64
	time    time.Time
	scope   string // "" = the installation
	leaf    tlog.Hash
	blank   bool // its body is gone
	changes []bodyChange
	docs    []byte
	erased  []int64
	damage  string
}

// readPage reads the entries from first up to end and does all that needs no
// other entry.
func (s *Store) readPage(ctx context.Context, first, end int64) *page {
	p := &page{entries: make([]checked, 0, end-first), tiles: map[int64][]byte{}}
	p.err = s.snapshot(ctx, func(r *reading) error {
		if err := r.readChecked(p, first, end); err != nil {
			return err
		}
		if got := int64(len(p.entries)); got < end-first {
			return &store.Damage{Seq: first + got, What: "it is missing"}
		}
		return r.readTiles(p, first, end)
	})
	return p
}

func (r *reading) readChecked(p *page, first, end int64) error {
	var at, docs, salt, body, hash sql.RawBytes
	var frame []byte
	var taken ledger.JSON
	var term int64
	return r.each(`SELECT seq, time, scope, docs, salt, body, hash FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq`, []any{first, end},
		func(rows *sql.Rows) (err error) {
			var e checked
			if err := rows.Scan(&e.seq, &at, &term, &docs, &salt, &body, &hash); err != nil {
				return err
			}
			if e.time, err = ledger.ParseTime(string(at)); err != nil {
				e.damage = "its time cannot be read"
			}
			e.docs = p.keep(docs)
			h := ledger.Header{Seq: e.seq, Time: e.time}
			if copy(h.Body[:], hash) != len(h.Body) {
				e.damage = "its body hash cannot be read"
			}
			if term != 0 {
				scope, err := r.s.words.word(r.transaction, term)
				if err != nil {
					return &store.Damage{Seq: e.seq, What: "its scope cannot be read"}
				}
				h.Scope, e.scope = &scope, scope
			}
			var buf [ledger.MaxHeader]byte
			e.leaf = ledger.LeafHash(h.Append(buf[:0]))
			if e.blank = body == nil; !e.blank {
				var s [ledger.SaltSize]byte
				n := copy(s[:], salt)
				frame = ledger.AppendFrame(frame[:0], &s, body)
				if n != len(salt) || n != len(s) || sha256.Sum256(frame) != h.Body {
					e.damage = "its body or salt was altered"
				} else {
					p.read(&e, &taken, body)
				}
			}
			p.entries = append(p.entries, e)
			return nil
		})
}

// read takes changes and erasures out of a body.
func (p *page) read(e *checked, taken *ledger.JSON, body []byte) {
	if taken.ReadObject(body) != nil {
		e.damage = "its body cannot be read"
		return
	}
	var err error
	if e.changes, err = changesOf(taken.Value()); err != nil {
		e.damage = "its body cannot be read"
	}
	for i := range e.changes {
		c := &e.changes[i]
		c.kind, c.id, c.doc = p.keep(c.kind), p.keep(c.id), nil
	}
	if list := taken.Value().Member("erased"); list.Exists() && taken.Value().Member("outcome").String() == string(ledger.OK) {
		var erased []ledger.Erased
		if json.Unmarshal(list.Text(), &erased) != nil {
			e.damage = "its body cannot be read"
		}
		for _, x := range erased {
			e.erased = append(e.erased, x.Seq)
		}
	}
}

// keep copies what the database will overwrite.
func (p *page) keep(b []byte) []byte {
	at := len(p.names)
	p.names = append(p.names, b...)
	return p.names[at:len(p.names):len(p.names)]
}

// readTiles reads the tiles over the page's entries.
func (r *reading) readTiles(p *page, first, end int64) error {
	from, to := tlog.StoredHashCount(first)/tileHashes, (tlog.StoredHashCount(end)-1)/tileHashes
	return r.each(`SELECT tile, data FROM hashes WHERE tile >= ? AND tile <= ?`, []any{from, to}, func(rows *sql.Rows) error {
		var n int64
		var data sql.RawBytes
		if err := rows.Scan(&n, &data); err != nil {
			return err
		}
		p.tiles[n] = bytes.Clone(data)
		return nil
	})
}
