package sqlite

import (
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/ledger"
)

// entry is one that a batch will write.
type entry struct {
	ledger.Header
	time  string
	body  ledger.Body
	words [wordColumns]int64
	docs  []byte // revisions of the documents that it changes

	salt      [ledger.SaltSize]byte
	canonical []byte
	changes   []bodyChange // where the documents lie in it
	leaf      tlog.Hash
	err       error
}

// seal makes the entry's bytes and hashes. It needs nothing of the batch.
func (e *entry) seal() {
	if e.canonical, e.err = e.body.Canonical(); e.err != nil {
		return
	}
	if e.changes, e.err = changesIn(e.canonical); e.err != nil {
		return
	}
	e.Body = ledger.BodyHash(e.salt, e.canonical)
	var buf [ledger.MaxHeader]byte
	e.leaf = ledger.LeafHash(e.Header.Append(buf[:0]))
}

// entries are those of one batch. While the writer decides what comes next, a
// second goroutine makes the bytes and hashes of what came: a third of an append's
// processor time, on another core.
type entries struct {
	list []*entry
	work chan *entry
	wg   sync.WaitGroup
}

// entriesWaiting bounds those that the second goroutine has not begun.
const entriesWaiting = 256

func newEntries() *entries { return &entries{} }

func (s *entries) add(e *entry) {
	s.list = append(s.list, e)
	if s.work == nil {
		s.work = make(chan *entry, entriesWaiting)
		s.wg.Go(s.seal)
	}
	s.work <- e
}

func (s *entries) seal() {
	for e := range s.work {
		e.seal()
	}
}

// sealed waits for all entries, doing its share.
func (s *entries) sealed() []*entry {
	s.stop()
	return s.list
}

// stop ends the second goroutine. It may be called twice.
func (s *entries) stop() {
	if s.work == nil {
		return
	}
	close(s.work)
	s.seal()
	s.wg.Wait()
	s.work = nil
}

const insertEntry = `INSERT INTO entries (seq, time, scope, action, outcome, actor, app, target, docs, hash, salt, body)
	VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`

// putEntries writes the batch's entries and their places in the tree.
func (b *batch) putEntries() error {
	for _, e := range b.entries.sealed() {
		if e.err != nil {
			return e.err
		}
		w := &e.words
		if err := b.exec("insert entry", insertEntry,
			e.Seq, e.time, w[byScope], w[byAction], w[byOutcome], w[byActor], w[byApp], w[byTarget], e.docs,
			e.Body[:], e.salt[:], e.canonical); err != nil {
			return err
		}
		if err := b.head.add(e.leaf); err != nil {
			return err
		}
	}
	b.entries.list = nil
	return nil
}
