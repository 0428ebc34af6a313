package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/ledger"
)

// leaf is an entry ready to be written: what the peers get.
type leaf struct {
	*sample
	salt [ledger.SaltSize]byte
	body []byte
	hash [32]byte // of the body
}

func newLeaf(s *sample, n int64) (*leaf, error) {
	d := s.draft(revOf(s, n))
	body, err := d.Body.Canonical()
	if err != nil {
		return nil, err
	}
	return &leaf{sample: s, body: body}, nil
}

// header is the leaf's place in the tree.
func (l *leaf) header(seq int64) []byte {
	l.hash = ledger.BodyHash(l.salt, l.body)
	h := ledger.Header{Seq: seq, Time: l.time, Scope: &l.scope, Body: l.hash}
	return h.Append(make([]byte, 0, ledger.MaxHeader))
}

// tree is a Merkle tree in memory: the hashes that are on the right edge are
// what appending needs.
type tree struct {
	size   int64
	hashes []tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = t.hashes[x]
	}
	return out, nil
}

// add appends a leaf and returns the hashes to store.
func (t *tree) add(h tlog.Hash) ([]tlog.Hash, error) {
	stored, err := tlog.StoredHashesForRecordHash(t.size, h, t)
	if err != nil {
		return nil, err
	}
	t.hashes = append(t.hashes, stored...)
	t.size++
	return stored, nil
}

// flat is the limit: the same bytes and hashes into one preallocated file, one
// fdatasync a batch, and nothing that could be queried.
type flat struct {
	file *os.File
	tree tree
	at   int64
	buf  []byte
}

const flatSize = 512 << 20

func newFlat(dir string) (*flat, error) {
	f, err := os.Create(filepath.Join(dir, "flat"))
	if err != nil {
		return nil, err
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, flatSize); err != nil {
		return nil, fmt.Errorf("reserve space: %w", err)
	}
	return &flat{file: f}, f.Sync()
}

func (f *flat) commit(list []*leaf) error {
	f.buf = f.buf[:0]
	for _, l := range list {
		header := l.header(f.tree.size)
		stored, err := f.tree.add(ledger.LeafHash(header))
		if err != nil {
			return err
		}
		f.buf = binary.LittleEndian.AppendUint32(f.buf, uint32(len(l.body)))
		f.buf = append(append(append(f.buf, header...), l.salt[:]...), l.body...)
		for _, h := range stored {
			f.buf = append(f.buf, h[:]...)
		}
	}
	if _, err := f.file.WriteAt(f.buf, f.at%(flatSize-16<<20)); err != nil {
		return err
	}
	f.at += int64(len(f.buf))
	return unix.Fdatasync(int(f.file.Fd()))
}

func (f *flat) close() error { return f.file.Close() }

// tileHashes is how many hashes the store keeps in one row; the peer's rows
// hold as many.
const tileHashes = 128

func leafHash(header []byte) tlog.Hash { return ledger.LeafHash(header) }

// tile is the bytes of one row of hashes.
func (t *tree) tile(n int64) []byte {
	var out []byte
	for _, h := range t.hashes[n*tileHashes : min((n+1)*tileHashes, int64(len(t.hashes)))] {
		out = append(out, h[:]...)
	}
	return out
}
