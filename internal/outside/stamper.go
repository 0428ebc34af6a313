package outside

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/timestamp"
)

// Timestamps is a time-stamp authority (RFC 3161) as an operator names it.
type Timestamps struct {
	// URL is where it answers; "" = there is none.
	URL string `json:"url"`
	// CAFile holds the certificates, in PEM, by which its stamps are trusted.
	CAFile string `json:"ca_file"`
	// Every is how often it stamps a checkpoint: a duration such as "1h", the
	// default.
	Every string `json:"every"`
}

// stamper has checkpoints stamped. What is stamped are a checkpoint's three
// lines, without signatures.
type stamper struct {
	cfg   *Config
	url   string
	roots *x509.CertPool
	every time.Duration
	http  *http.Client
	parse sync.Mutex // the library that takes answers apart is not for two at a time

	mu      sync.Mutex
	last    Stamped
	done    bool // it was asked since the start
	refusal string
}

// Stamped is how things stand with the time-stamp authority.
type Stamped struct {
	Size    int64 // entries under the newest checkpoint that it stamped
	Stamp   timestamp.Stamp
	Every   time.Duration
	Refusal string // why the newest answer did not count, if it did not
}

func newStamper(cfg *Config) (*stamper, error) {
	t := cfg.Timestamps
	if t.URL == "" {
		return nil, nil
	}
	s := &stamper{cfg: cfg, url: t.URL}
	u, err := url.Parse(t.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.New(fault.Invalid, "timestamps.url: %.100q is not an address such as http://tsa.example.org", t.URL)
	}
	if s.every, err = time.ParseDuration(cmp.Or(t.Every, "1h")); err != nil || s.every < time.Second {
		return nil, fault.New(fault.Invalid, "timestamps.every: %q is not a duration such as \"1h\"", t.Every)
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fault.New(fault.Invalid, "timestamps.ca_file: %v", err)
	}
	if s.roots, err = timestamp.Roots(pem); err != nil {
		return nil, fault.New(fault.Invalid, "timestamps.ca_file: %s", fault.Message(err))
	}
	if s.http, err = newClient(""); err != nil {
		return nil, err
	}
	s.last.Every = s.every
	return s, s.load()
}

func (s *stamper) dir() string { return filepath.Join(s.cfg.Dir, "timestamps") }

// load finds the newest stamp that was kept and still verifies.
func (s *stamper) load() error {
	list, err := os.ReadDir(s.dir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the time stamps: %w", err)
	}
	var sizes []int64
	for _, e := range list {
		if digits, ok := strings.CutSuffix(e.Name(), ".tst"); ok {
			if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
				sizes = append(sizes, n)
			}
		}
	}
	slices.Sort(sizes)
	for _, n := range slices.Backward(sizes) {
		text, err1 := os.ReadFile(s.path(n, ".checkpoint"))
		token, err2 := os.ReadFile(s.path(n, ".tst"))
		if errors.Join(err1, err2) != nil {
			continue
		}
		if st, err := timestamp.Verify(token, text, s.roots); err == nil {
			s.last.Size, s.last.Stamp = n, st
			break
		}
	}
	return nil
}

func (s *stamper) path(size int64, kind string) string {
	return filepath.Join(s.dir(), strconv.FormatInt(size, 10)+kind)
}

// keep writes the checkpoint first: a stamp is never without what it is of.
func (s *stamper) keep(c ledger.Checkpoint, token []byte) error {
	return errors.Join(
		os.MkdirAll(s.dir(), 0o700),
		os.WriteFile(s.path(c.Size, ".checkpoint"), []byte(c.Marshal()), 0o600),
		os.WriteFile(s.path(c.Size, ".tst"), token, 0o600),
	)
}

// run has a checkpoint stamped as often as was asked for, and tries again later
// and later while that fails.
func (s *stamper) run(ctx context.Context) {
	pause := max(0, s.every-s.cfg.Now().Sub(s.standing().Stamp.At))
	failed := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		c, _ := s.cfg.Checkpoints.Newest()
		if _, err := s.stamp(ctx, c); err != nil && ctx.Err() == nil {
			failed = min(maxBackoff, max(time.Second, 2*failed))
			pause = failed
			s.cfg.Log.Warn("a checkpoint was not stamped", "error", err, "again", pause)
			continue
		}
		pause, failed = s.every, 0
	}
}

// stamp asks once, and remembers what came of it.
func (s *stamper) stamp(ctx context.Context, c ledger.Checkpoint) ([]byte, error) {
	token, st, err := s.ask(ctx, []byte(c.Marshal()))
	if errors.Is(ctx.Err(), context.Canceled) && err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	if err != nil {
		if fault.Of(err) == fault.Invalid {
			s.refusal = "Its answer does not count: " + fault.Message(err) + "."
		}
		return nil, err
	}
	s.last.Size, s.last.Stamp, s.refusal = c.Size, st, ""
	if err := s.keep(c, token); err != nil {
		s.cfg.Log.Warn("a time stamp was not kept", "error", err)
	}
	return token, nil
}

func (s *stamper) ask(ctx context.Context, content []byte) (token []byte, st timestamp.Stamp, err error) {
	query, nonce, err := timestamp.Request(content)
	if err != nil {
		return nil, st, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(query))
	if err != nil {
		return nil, st, err
	}
	req.Header.Set("Content-Type", timestamp.RequestType)
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, st, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, st, fmt.Errorf("it answers with status %d", resp.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, timestamp.MaxAnswer+1))
	if err != nil {
		return nil, st, err
	}
	s.parse.Lock()
	defer s.parse.Unlock()
	return timestamp.Answer(answer, content, nonce, s.roots)
}

func (s *stamper) standing() Stamped {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.last
	out.Refusal = s.refusal
	return out
}

// Stamp has a checkpoint stamped at a time after a moment, and gives the token.
// Nil: there is no authority, or it did not answer in time.
func (o *Observers) Stamp(ctx context.Context, c ledger.Checkpoint, after time.Time) (token []byte) {
	if o.stamper == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Patience)
	defer cancel()
	// Its clock may count in seconds, so that "now" lies before the moment.
	for {
		got, err := o.stamper.stamp(ctx, c)
		if err != nil {
			return token
		}
		if token = got; !o.stamper.standing().Stamp.At.Before(after) {
			return token
		}
		select {
		case <-ctx.Done():
			return token
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// Stamped tells how things stand with the authority, nil if there is none.
// Whoever asks before the first answer waits for it, unless a stamp was kept.
func (o *Observers) Stamped(ctx context.Context) (*Stamped, error) {
	s := o.stamper
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	wait := !s.done && s.last.Stamp.At.IsZero()
	s.mu.Unlock()
	if wait {
		c, _ := s.cfg.Checkpoints.Newest()
		if _, err := s.stamp(ctx, c); errors.Is(err, context.Canceled) {
			return nil, fmt.Errorf("ask the time-stamp authority: %w", err)
		}
	}
	out := s.standing()
	return &out, nil
}
