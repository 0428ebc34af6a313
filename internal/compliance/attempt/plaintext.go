package attempt

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/strongroom/strongroom/internal/compliance"
)

// plaintext: no door answers a request that was sent without TLS, but to say
// that it has to be sent with it.
func plaintext(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.plaintext", Title: "Nothing is answered without TLS", Version: 1, Every: hourly,
		Try: atDoors(c, func(d Door) bool { return !d.Database }, askInTheClear),
	}
}

// askInTheClear sends a request without TLS.
func askInTheClear(ctx context.Context, d Door, t *trial) error {
	if !d.Redirects {
		if err := d.opens(ctx, t); err != nil {
			return err
		}
	}
	conn, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\n\r\n", d.Host, agent); err != nil {
		t.tried(true, "%s, asked for GET / without TLS: %s.", d.Name, ending(err))
		return nil
	}
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxAnswer)), nil)
	if err != nil {
		if timedOut(err) {
			return provesNothing("%s did not answer in time.", d.Name)
		}
		if d.Redirects {
			return provesNothing("%s does not answer this host. %s", d.Name, d.Hint)
		}
		t.tried(true, "%s, asked for GET / without TLS, answered nothing that is HTTP.", d.Name)
		return nil
	}
	defer answer.Body.Close()
	to := answer.Header.Get("Location")
	sent := answer.StatusCode/100 == 3 && strings.HasPrefix(to, "https://")
	// crypto/tls knows a request in the clear and says so, before any handler.
	told := answer.StatusCode == http.StatusBadRequest && !d.Redirects
	t.tried(sent || told, "%s, asked for GET / without TLS, answered %s", d.Name, strings.TrimSpace(answer.Status+" "+to))
	return nil
}
