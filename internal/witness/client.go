package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// Client asks a witness.
type Client struct {
	URL  string // what precedes /add-checkpoint
	Key  *ledger.Witness
	HTTP *http.Client
}

// Refusal is a witness's answer that is neither a cosignature nor the size that
// it knows.
type Refusal struct {
	Status int
	Text   string
}

func (r *Refusal) Error() string {
	if r.Text == "" {
		return fmt.Sprintf("it answers with status %d", r.Status)
	}
	return fmt.Sprintf("it answers with status %d: %s", r.Status, r.Text)
}

// Bounds of an answer.
const (
	maxAnswer = 64 << 10
	maxText   = 200
)

// Add asks for a cosignature and gives its signature lines, verified. A witness
// that knows another size is a *Conflict, one that will not a *Refusal.
func (c *Client) Add(ctx context.Context, r *Request) ([]byte, error) {
	body := r.Marshal()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return c.own(r.Note, answer)
	case resp.StatusCode == http.StatusConflict:
		size, err := strconv.ParseInt(strings.TrimSuffix(string(answer), "\n"), 10, 64)
		if err == nil && size >= 0 {
			return nil, &Conflict{size}
		}
	}
	return nil, &Refusal{resp.StatusCode, printable(answer)}
}

// own picks the line of the witness's key from an answer.
func (c *Client) own(signed, answer []byte) ([]byte, error) {
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	n, err := note.Open(append(append(bytes.Clone(text), "\n\n"...), answer...), note.VerifierList(c.Key))
	if err != nil {
		return nil, errors.Join(fault.New(fault.Invalid, "its answer is not a cosignature of the key that was given for it"), err)
	}
	return fmt.Appendf(nil, "— %s %s\n", n.Sigs[0].Name, n.Sigs[0].Base64), nil
}

// printable is what of a stranger's text can be shown and recorded.
func printable(b []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, string(b[:min(len(b), maxText)]))
	return strings.TrimSpace(s)
}
