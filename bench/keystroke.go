package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// program echoes what is typed: it runs in a container, on a terminal.
const program = "stty raw -echo; echo ready; exec cat"

const keys = 300

// keystrokeFigure types into a container, at the pace of a fast typist, and
// waits for each key's echo: by `heroku run` over TLS, where each key is on disk
// before it is passed on, and by the engine alone, which records nothing.
func keystrokeFigure(ctx context.Context, b *bench) error {
	s, err := b.site(ctx)
	if err != nil {
		return err
	}
	var ours, theirs [2][]float64 // p50 and p99 of each run
	for range b.runs {
		for _, x := range []struct {
			open func(context.Context) (io.ReadWriteCloser, error)
			out  *[2][]float64
		}{{s.recorded, &ours}, {s.unrecorded, &theirs}} {
			p50, p99, err := typeKeys(ctx, x.open)
			if err != nil {
				return err
			}
			x.out[0], x.out[1] = append(x.out[0], p50), append(x.out[1], p99)
		}
	}
	for i, name := range []string{"p50", "p99"} {
		b.add(Result{Figure: "keystroke", Case: "key and echo, " + name, Unit: "ms", Peer: "not recorded, no TLS"}, ours[i], theirs[i], aim{})
	}
	return nil
}

func typeKeys(ctx context.Context, open func(context.Context) (io.ReadWriteCloser, error)) (p50, p99 float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c, err := open(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	r := bufio.NewReader(c)
	for line := ""; !strings.Contains(line, "ready"); {
		if line, err = r.ReadString('\n'); err != nil {
			return 0, 0, fmt.Errorf("the process did not begin: %w", err)
		}
	}
	var took []time.Duration
	for range keys {
		time.Sleep(10 * time.Millisecond)
		at := time.Now()
		if _, err := c.Write([]byte("x")); err != nil {
			return 0, 0, err
		}
		if b, err := r.ReadByte(); err != nil || b != 'x' {
			return 0, 0, fmt.Errorf("the echo of a key is %q, %v", b, err)
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return percentile(took, 0.5), percentile(took, 0.99), nil
}

// recorded asks for a one-off dyno and comes with the secret, as the heroku
// command does.
func (s *site) recorded(ctx context.Context) (io.ReadWriteCloser, error) {
	in := map[string]any{"attach": true, "command": program, "env": map[string]string{"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}}
	var dyno struct {
		AttachURL string `json:"attach_url"`
	}
	if err := s.call(ctx, "developer", "POST", "/apps/echo/dynos", in, &dyno); err != nil {
		return nil, err
	}
	at, err := url.Parse(dyno.AttachURL)
	if err != nil {
		return nil, err
	}
	roots := s.http.Transport.(*http.Transport).TLSClientConfig.RootCAs
	c, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots}}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(c, strings.TrimPrefix(at.Path, "/")+"\r\n")
	return c, err
}
