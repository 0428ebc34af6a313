package resolver

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
	upstreamTime = 2 * time.Second // for one of them
	maxUpstreams = 3               // tried for one question
)

var errMismatch = errors.New("the answer is to another question")

// ask sends the question to one upstream after the other. The question is made
// anew, so that nothing but the name, type and class a dyno asked for leaves.
func (p *pending) ask(ctx context.Context) ([]byte, error) {
	var failures error
	for _, upstream := range p.upstreams[:min(len(p.upstreams), maxUpstreams)] {
		answer, err := p.askOne(ctx, upstream)
		if err == nil {
			return p.fit(answer)
		}
		failures = errors.Join(failures, err)
	}
	return nil, failures
}

// askOne uses a socket of its own, so that its port is a secret too.
func (p *pending) askOne(ctx context.Context, upstream string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, p.network, upstream)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	id := uint16(rand.Uint32())
	query, err := p.query(id)
	if err != nil {
		return nil, err
	}
	if p.network == "tcp" {
		return p.overStream(conn, id, query)
	}
	return p.overPacket(conn, id, query)
}

func (p *pending) query(id uint16) ([]byte, error) {
	message := dnsmessage.Message{
		Header:      dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions:   []dnsmessage.Question{p.question.Question},
		Additionals: []dnsmessage.Resource{options()},
	}
	return message.Pack()
}

func (p *pending) overPacket(conn net.Conn, id uint16, query []byte) ([]byte, error) {
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buffer := make([]byte, maxQuery)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		// What does not fit may be forged; the real answer may still come.
		if p.check(buffer[:n], id) == nil {
			return buffer[:n], nil
		}
	}
}

func (p *pending) overStream(conn net.Conn, id uint16, query []byte) ([]byte, error) {
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	if _, err := conn.Write(framed); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	return answer, p.check(answer, id)
}

// check makes sure that an answer belongs to the question.
func (p *pending) check(answer []byte, id uint16) error {
	var parser dnsmessage.Parser
	header, err := parser.Start(answer)
	if err != nil {
		return fmt.Errorf("read an upstream's answer: %w", err)
	}
	asked, err := parser.Question()
	if err != nil {
		return fmt.Errorf("read an upstream's answer: %w", err)
	}
	same := header.ID == id && header.Response && asked.Type == p.question.Type && asked.Class == p.question.Class &&
		strings.EqualFold(asked.Name.String(), p.question.Name.String())
	if !same {
		return errMismatch
	}
	return nil
}

// fit gives an answer the client's id and, by UDP, the size that it takes.
func (p *pending) fit(answer []byte) ([]byte, error) {
	if size := limit(p.question, p.network); len(answer) > size {
		return p.truncated()
	}
	binary.BigEndian.PutUint16(answer, p.question.header.ID)
	return answer, nil
}

// truncated tells the client to ask again by TCP.
func (p *pending) truncated() ([]byte, error) {
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: p.question.header.ID, Response: true, Truncated: true,
			RecursionDesired: p.question.header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{p.question.Question},
	}
	return message.Pack()
}
