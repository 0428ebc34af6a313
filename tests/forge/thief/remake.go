package thief

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/store/sqlite"
)

// Remake makes a ledger of these entries in the place of the copy's: with the
// bytes of those that were not touched, so that the tree is the same up to the
// first that was, and a checkpoint of the stolen key.
func Remake(ctx context.Context, data string, rows []store.Record) error {
	forged := ledgerOf(data) + ".forged"
	hashes, err := refill(ctx, forged, rows)
	if err != nil {
		return fmt.Errorf("make the entries anew: %w", err)
	}
	if err := likeBefore(ctx, forged, ledgerOf(data), rows, hashes); err != nil {
		return fmt.Errorf("make the rest of the database anew: %w", err)
	}
	if err := os.Rename(forged, ledgerOf(data)); err != nil {
		return err
	}
	return sign(data, int64(len(rows)), hashes)
}

// refill appends the entries to a new database, and gives the tree's hashes with
// the salts that the entries had. It gives the entries their new seqs.
func refill(ctx context.Context, path string, rows []store.Record) (hashes stored, err error) {
	st, err := sqlite.Create(ctx, path, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := st.Write(func(b store.Batch) error {
		for i := range rows {
			rows[i].Header.Seq = int64(i)
			d, err := draft(&rows[i])
			if err != nil {
				return err
			}
			if _, err := b.Append(rows[i].Header.Time, d); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for i := range rows {
		h := &rows[i].Header
		h.Body = ledger.BodyHash(rows[i].Salt, rows[i].Body)
		more, err := ledger.Hashes(h.Seq, ledger.LeafHash(h.Append(nil)), hashes)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, more...)
	}
	return hashes, nil
}

// stored are hashes by their index.
type stored []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (s stored) ReadHashes(at []int64) (out []tlog.Hash, err error) {
	for _, x := range at {
		out = append(out, s[x])
	}
	return out, nil
}

// draft is what was given to the store when an entry was appended.
func draft(r *store.Record) (d store.Draft, err error) {
	body, err := ledger.ParseBody(r.Body)
	if err != nil {
		return d, err
	}
	d.Body = *body
	if r.Header.Scope != nil {
		d.Scope = *r.Header.Scope
	}
	for _, change := range body.Changes {
		var doc document.Doc
		if string(change.Doc) != "null" && len(change.Doc) > 0 {
			if doc, err = document.Decode(document.Kind(change.Kind), change.Doc); err != nil {
				return d, err
			}
		}
		d.Docs = append(d.Docs, doc)
	}
	return d, nil
}

// likeBefore gives a database that was filled anew what an append does not: keys
// and sealed values, the salts that there were, and the tree that comes of them.
func likeBefore(ctx context.Context, forged, old string, rows []store.Record, hashes stored) (err error) {
	db, err := open(forged)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	do := func(statement string, args ...any) {
		if err == nil {
			_, err = db.ExecContext(ctx, statement, args...)
		}
	}
	do("ATTACH ? AS old", old)
	do("BEGIN")
	for _, table := range []string{"sealed", "wrapped"} {
		do("INSERT OR REPLACE INTO " + table + " SELECT * FROM old." + table)
	}
	for seq, r := range rows {
		hash := ledger.BodyHash(r.Salt, r.Body)
		do("UPDATE entries SET salt = ?, hash = ? WHERE seq = ?", r.Salt[:], hash[:], seq)
	}
	const tile = 126 // hashes in a row
	for n := 0; n*tile < len(hashes); n++ {
		var data bytes.Buffer
		for _, h := range hashes[n*tile : min(len(hashes), (n+1)*tile)] {
			data.Write(h[:])
		}
		do("UPDATE hashes SET data = ? WHERE tile = ?", data.Bytes(), n)
	}
	do("COMMIT")
	do("DETACH old")
	do("PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// sign puts a checkpoint over the forgery in the place of the one that was
// outside of the database, and forgets what witnesses answered.
func sign(data string, size int64, hashes stored) error {
	skey, err := os.ReadFile(logKeyOf(data))
	if err != nil {
		return err
	}
	key, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		return err
	}
	root, err := ledger.Root(size, hashes)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(anchorOf(data))
	if err != nil {
		return err
	}
	origin, _, _ := strings.Cut(string(before), "\n")
	signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: size, Root: root}, key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(anchorOf(data), signed, 0o600); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(filepath.Dir(anchorOf(data)), "outside"))
}
