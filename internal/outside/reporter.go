package outside

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/witness"
)

// Witness is a witness as an operator names it.
type Witness struct {
	// Name is what it is called here; default: the name in its key.
	Name string `json:"name"`
	// URL is where it answers: what precedes /add-checkpoint.
	URL string `json:"url"`
	// Key is its verifier key, as witness:init printed it.
	Key string `json:"key"`
	// CA is a file of the certificates that its certificate is trusted by;
	// default: the system's.
	CA string `json:"ca"`
}

// Bounds of patience with a witness.
const (
	askTimeout = 10 * time.Second
	maxBackoff = 5 * time.Minute
	// again is when a checkpoint is shown anew although nothing was appended, so
	// that a witness that is gone is noticed on a quiet day too.
	again = 5 * time.Minute
)

// reporter shows checkpoints to one witness.
type reporter struct {
	cfg    *Config
	name   string
	key    *ledger.Witness
	client *witness.Client
	turn   chan struct{} // held while the witness is asked

	mu      sync.Mutex
	was     answer
	of      ledger.Checkpoint // that the answer is about
	done    bool              // it was asked since the start
	refusal string
}

// answer is what is kept of a witness. It need not survive a crash: the witness
// itself says what it saw last.
type answer struct {
	At         time.Time `json:"at"`         // by this host's clock
	Checkpoint string    `json:"checkpoint"` // as the log signed it
	Line       string    `json:"line"`       // the cosignature
}

func newReporter(cfg *Config, w Witness) (*reporter, error) {
	key, err := ledger.NewWitness(w.Key)
	if err != nil {
		return nil, fault.New(fault.Invalid, "witnesses: %s", fault.Message(err))
	}
	r := &reporter{cfg: cfg, name: w.Name, key: key, turn: make(chan struct{}, 1)}
	if r.name == "" {
		r.name = key.Name()
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(r.name) > 100 {
		return nil, fault.New(fault.Invalid, "witnesses: %s has no url such as https://witness.example.org", r.name)
	}
	c, err := newClient(w.CA)
	if err != nil {
		return nil, fault.New(fault.Invalid, "witnesses: ca of %s: %v", r.name, err)
	}
	r.client = &witness.Client{URL: w.URL, Key: key, HTTP: c}
	return r, r.load()
}

// newClient follows nobody elsewhere and waits for nobody long.
func newClient(caFile string) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", caFile)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport: t, Timeout: askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func (r *reporter) path() string {
	return filepath.Join(r.cfg.Dir, url.PathEscape(r.name)+".json")
}

// load reads the last answer. One that is not of this witness, or cannot be
// read, is none.
func (r *reporter) load() error {
	b, err := os.ReadFile(r.path())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what witness %s answered: %w", r.name, err)
	}
	var a answer
	if json.Unmarshal(b, &a) != nil {
		return nil
	}
	if c, _, err := ledger.OpenCheckpoint([]byte(a.Checkpoint+a.Line), r.key); err == nil {
		r.was, r.of = a, c
	}
	return nil
}

func (r *reporter) save(a answer) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.cfg.Dir, 0o700); err != nil {
		return err
	}
	temp := r.path() + ".new"
	return errors.Join(os.WriteFile(temp, append(b, '\n'), 0o600), os.Rename(temp, r.path()))
}

// run asks after each new checkpoint, but not oftener than it may, and again
// later and later while nobody answers.
func (r *reporter) run(ctx context.Context) {
	pause := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if !r.due() {
			pause = r.cfg.Every
			continue
		}
		err := r.report(ctx)
		if err == nil {
			pause = r.cfg.Every
			continue
		}
		pause = min(maxBackoff, max(r.cfg.Every/4, 2*pause))
		if ctx.Err() == nil {
			r.cfg.Log.Warn("a checkpoint was not cosigned", "witness", r.name, "error", err, "again", pause)
		}
	}
}

func (r *reporter) due() bool {
	newest, _ := r.cfg.Checkpoints.Newest()
	r.mu.Lock()
	defer r.mu.Unlock()
	return newest != r.of || r.refusal != "" || r.cfg.Now().Sub(r.was.At) >= again
}

// report shows the newest checkpoint.
func (r *reporter) report(ctx context.Context) error {
	c, signed := r.cfg.Checkpoints.Newest()
	_, _, err := r.ask(ctx, c, signed)
	return err
}

// ask has a checkpoint cosigned, and remembers what came of it.
func (r *reporter) ask(ctx context.Context, c ledger.Checkpoint, signed []byte) (line []byte, at time.Time, err error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, at, ctx.Err()
	}
	r.mu.Lock()
	old := r.of.Size
	if r.of.Origin != c.Origin {
		old = 0
	}
	r.mu.Unlock()
	// Where the log is shorter than what was cosigned, the witness shall say so.
	old = min(old, c.Size)
	line, err = r.try(ctx, c, signed, old)
	var conflict *witness.Conflict
	if errors.As(err, &conflict) && conflict.Size <= c.Size && conflict.Size != old {
		old = conflict.Size
		line, err = r.try(ctx, c, signed, old)
	}
	if err == nil {
		at, err = r.cosignedAt(signed, line)
	}
	if errors.Is(ctx.Err(), context.Canceled) && err != nil {
		return nil, at, err // it was us who did not wait
	}
	return line, at, r.remember(c, signed, line, old, err)
}

// try asks once.
func (r *reporter) try(ctx context.Context, c ledger.Checkpoint, signed []byte, old int64) ([]byte, error) {
	proof, err := ledger.ProveConsistency(c.Size, old, r.cfg.Store.Hashes(ctx))
	if err != nil {
		return nil, fmt.Errorf("prove that checkpoint %d extends %d: %w", c.Size, old, err)
	}
	return r.client.Add(ctx, &witness.Request{Old: old, Proof: proof, Note: signed})
}

func (r *reporter) cosignedAt(signed, line []byte) (time.Time, error) {
	_, n, err := ledger.OpenCheckpoint(append(bytes.Clone(signed), line...), r.key)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := r.key.CosignedAt(n)
	if !ok {
		return at, errors.New("its cosignature has no time")
	}
	return at, nil
}

// remember keeps a cosignature or a refusal, and passes the error on. That
// nobody answered needs no words: the time of the last answer tells.
func (r *reporter) remember(c ledger.Checkpoint, signed, line []byte, old int64, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
	if err != nil {
		if words := refusal(err, old, c.Size); words != "" {
			r.refusal = words
		}
		return err
	}
	r.was, r.of, r.refusal = answer{r.cfg.Now().UTC(), string(signed), string(line)}, c, ""
	if err := r.save(r.was); err != nil {
		r.cfg.Log.Warn("a cosignature was not kept", "witness", r.name, "error", err)
	}
	return nil
}

// refusal says in words what a witness's answer means, "" if it did not answer.
// The words do not change while the log grows: each change would be an entry.
func refusal(err error, old, size int64) string {
	var conflict *witness.Conflict
	var refused *witness.Refusal
	switch {
	case errors.As(err, &conflict) && conflict.Size > size:
		return fmt.Sprintf("It has cosigned %d entries, and was shown a ledger that has fewer: entries were lost or taken away.", conflict.Size)
	case errors.As(err, &conflict):
		return fmt.Sprintf("It has cosigned other entries than the first %d of this ledger: the ledger was rewritten.", conflict.Size)
	case errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity:
		return fmt.Sprintf("The ledger does not continue the %d entries that it has cosigned: the ledger was rewritten.", old)
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
		return "It refuses: " + refused.Error() + "."
	case fault.Of(err) == fault.Invalid:
		return "It refuses: " + fault.Message(err) + "."
	}
	return ""
}

func (r *reporter) asked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

// kept gives the newest checkpoint that the witness cosigned, nil if none.
func (r *reporter) kept() (c ledger.Checkpoint, signed, line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.was.At.IsZero() {
		return c, nil, nil
	}
	return r.of, []byte(r.was.Checkpoint), []byte(r.was.Line)
}

func (r *reporter) standing() Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Seen{Witness: r.name, Size: r.of.Size, At: r.was.At, Refusal: r.refusal}
}
