package names

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Bounds of asking upstreams.
const (
	upstreamTime = 1500 * time.Millisecond // for one of them
	maxUpstreams = 3                       // tried for one question
	maxPacket    = 1232                    // by UDP: above that, packets may be fragmented
	maxStream    = 32 << 10                // by TCP
)

var (
	errMismatch = errors.New("the answer is to another question")
	errFailed   = errors.New("the server has no answer")
)

// ask sends the question to one upstream after the other, and gives what the
// first that knows has said.
func (s *Server) ask(ctx context.Context, q question) (answer, error) {
	failures := errors.New("no server answers")
	for _, upstream := range s.cfg.Upstreams[:min(len(s.cfg.Upstreams), maxUpstreams)] {
		a, err := askOne(ctx, upstream, q)
		if err == nil {
			return a, nil
		}
		failures = errors.Join(failures, err)
	}
	return answer{}, failures
}

// askOne asks by UDP, and by TCP for an answer that does not fit.
func askOne(ctx context.Context, upstream string, q question) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTime)
	defer cancel()
	packet, err := exchange(ctx, "udp", upstream, q, overPacket)
	if err != nil {
		return answer{}, err
	}
	if a, err := read(packet, q); err != nil || !a.truncated {
		return a, err
	}
	if packet, err = exchange(ctx, "tcp", upstream, q, overStream); err != nil {
		return answer{}, err
	}
	return read(packet, q)
}

// exchange uses a socket of its own, so that its port is a secret too. The
// question is made anew: nothing but the name, in lower case, and the type leaves.
func exchange(ctx context.Context, network, upstream string, q question, by func(net.Conn, []byte, func([]byte) error) ([]byte, error)) ([]byte, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, upstream)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	id := uint16(rand.Uint32())
	query, err := q.query(id)
	if err != nil {
		return nil, err
	}
	return by(conn, query, func(packet []byte) error { return q.check(packet, id) })
}

func (q question) query(id uint16) ([]byte, error) {
	name, err := dnsmessage.NewName(q.name + ".")
	if err != nil {
		return nil, err
	}
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: q.asked.Type, Class: dnsmessage.ClassINET}},
		Additionals: []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeOPT, Class: maxPacket},
			Body:   &dnsmessage.OPTResource{},
		}},
	}
	return message.Pack()
}

func overPacket(conn net.Conn, query []byte, check func([]byte) error) ([]byte, error) {
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		// What does not fit may be forged; the real answer may still come.
		if check(buffer[:n]) == nil {
			return buffer[:n], nil
		}
	}
}

func overStream(conn net.Conn, query []byte, check func([]byte) error) ([]byte, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint16(length[:])
	if size > maxStream {
		return nil, fmt.Errorf("an answer of %d bytes is too long", size)
	}
	packet := make([]byte, size)
	if _, err := io.ReadFull(conn, packet); err != nil {
		return nil, err
	}
	return packet, check(packet)
}

// check makes sure that an answer belongs to the question.
func (q question) check(packet []byte, id uint16) error {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	asked, err := p.Question()
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	same := header.ID == id && header.Response && asked.Type == q.asked.Type && asked.Class == dnsmessage.ClassINET &&
		strings.EqualFold(asked.Name.String(), q.name+".")
	if !same {
		return errMismatch
	}
	return nil
}
