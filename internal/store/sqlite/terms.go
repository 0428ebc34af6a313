package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// maxTerms bounds the words that are kept in memory.
const maxTerms = 65_536

// words maps words to small integers and back, as far as they are committed. 0
// stands for the empty word. Safe for concurrent use.
type words struct {
	mu  sync.Mutex
	ids *generations[string, int64]
	of  *generations[int64, string]
}

func newWords() *words {
	return &words{ids: newGenerations[string, int64](maxTerms), of: newGenerations[int64, string](maxTerms)}
}

func (w *words) keep(word string, id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids.put(word, id)
	w.of.put(id, word)
}

// id gives the number of a word for reading; false if no entry has it.
func (w *words) id(t *transaction, word string) (int64, bool, error) {
	if word == "" {
		return 0, true, nil
	}
	w.mu.Lock()
	id, ok := w.ids.get(word)
	w.mu.Unlock()
	if ok {
		return id, true, nil
	}
	err := t.one(`SELECT id FROM terms WHERE term = ?`, []any{word}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("term: %w", err)
	}
	w.keep(word, id)
	return id, true, nil
}

// word gives the word of a number.
func (w *words) word(t *transaction, id int64) (string, error) {
	if id == 0 {
		return "", nil
	}
	w.mu.Lock()
	word, ok := w.of.get(id)
	w.mu.Unlock()
	if ok {
		return word, nil
	}
	if err := t.one(`SELECT term FROM terms WHERE id = ?`, []any{id}, &word); err != nil {
		return "", fmt.Errorf("term %d: %w", id, err)
	}
	w.keep(word, id)
	return word, nil
}

// term gives the number of a word inside the writer's transaction, adding it if
// it is new. The numbers of new words count only once the batch is committed.
func (b *batch) term(word string) (int64, error) {
	if id, ok := b.terms[word]; ok {
		return id, nil
	}
	id, ok, err := b.s.words.id(b.tx, word)
	if err != nil || ok {
		return id, err
	}
	if err := b.s.trip("put term"); err != nil {
		return 0, err
	}
	if err := b.tx.one(`INSERT INTO terms (term) VALUES (?) RETURNING id`, []any{word}, &id); err != nil {
		return 0, fmt.Errorf("put term: %w", err)
	}
	b.terms[word] = id
	return id, nil
}
