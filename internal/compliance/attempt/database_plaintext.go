package attempt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/fault"
)

// databasePlaintext: no database lets anybody begin without TLS.
func databasePlaintext(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.database-plaintext", Title: "No database speaks to anybody without TLS", Version: 1, Every: hourly,
		Try: atDoors(c, func(d Door) bool { return d.Database }, beginInTheClear),
	}
}

// Of PostgreSQL's protocol, version 3.
const (
	sslRequest   = 80877103
	protocol     = 196608
	refusedEntry = "28000" // invalid_authorization_specification: what pg_hba.conf lets nobody do
)

// startTLS asks a server to go on with TLS.
func startTLS(conn net.Conn) error {
	answer := make([]byte, 1)
	if _, err := conn.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), sslRequest)); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if answer[0] != 'S' {
		return fault.New(fault.Unavailable, "the server answers %q", answer)
	}
	return nil
}

// beginInTheClear begins a session without TLS, as a user that there is not.
func beginInTheClear(ctx context.Context, d Door, t *trial) error {
	if err := d.opens(ctx, t); err != nil {
		return err
	}
	conn, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	body := binary.BigEndian.AppendUint32(nil, protocol)
	body = append(body, "user\x00strongroom-attempt\x00database\x00strongroom-attempt\x00\x00"...)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)); err != nil {
		return provesNothing("%s ended the connection.", d.Name)
	}
	kind, code, err := readMessage(conn)
	switch {
	case err != nil:
		return provesNothing("%s did not answer as a database does.", d.Name)
	case kind == 'E' && code != refusedEntry:
		return provesNothing("%s answered with the error %s, which says nothing of TLS.", d.Name, code)
	case kind == 'E':
		t.tried(true, "%s, asked for a session without TLS, refused it before it asked for a password: SQLSTATE %s.", d.Name, code)
	default:
		t.tried(false, "%s, asked for a session without TLS, went on with it (message %q).", d.Name, kind)
	}
	return nil
}

// readMessage reads the kind of a server's message, and of an error its code.
func readMessage(r io.Reader) (kind byte, code string, err error) {
	in := bufio.NewReader(io.LimitReader(r, maxAnswer))
	head := make([]byte, 5)
	if _, err := io.ReadFull(in, head); err != nil {
		return 0, "", fmt.Errorf("read the server's message: %w", err)
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'E' {
		return head[0], "", nil
	}
	if size < 4 || size > maxAnswer {
		return 0, "", fault.New(fault.Invalid, "a message of %d bytes", size)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(in, body); err != nil {
		return 0, "", fmt.Errorf("read the server's message: %w", err)
	}
	for field := range bytes.SplitSeq(body, []byte{0}) {
		if len(field) > 1 && field[0] == 'C' {
			code = string(field[1:min(len(field), 6)])
		}
	}
	return 'E', code, nil
}
