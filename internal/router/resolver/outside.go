package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Outside is where the engine listens in each space's network for questions
// about names of the outside.
const Outside = "127.0.0.1:53"

// outsideTime is what the engine may take, which asks several servers in turn.
const outsideTime = 5 * time.Second

// Options of EDNS between the router and the engine, and to clients.
const (
	clientOption = 65001 // for local use (RFC 6891): the address of who asks
	reasonOption = 15    // extended errors (RFC 8914)
	blocked      = 15    // by a policy
)

var errMismatch = errors.New("the answer is to another question")

// ask passes the question on to the engine.
func (p *pending) ask(ctx context.Context) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", p.outside)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return reply{}, err
	}
	id := uint16(rand.Uint32())
	query, err := p.query(id)
	if err != nil {
		return reply{}, err
	}
	if _, err := conn.Write(query); err != nil {
		return reply{}, err
	}
	buffer := make([]byte, maxAnswer)
	n, err := conn.Read(buffer)
	if err != nil {
		return reply{}, err
	}
	return p.read(buffer[:n], id)
}

func (p *pending) query(id uint16) ([]byte, error) {
	message := dnsmessage.Message{
		Header:      dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions:   []dnsmessage.Question{p.question.Question},
		Additionals: []dnsmessage.Resource{options(dnsmessage.Option{Code: clientOption, Data: p.client.AsSlice()})},
	}
	return message.Pack()
}

// read takes the engine's answer apart, to be put together as the client takes it.
func (p *pending) read(answer []byte, id uint16) (reply, error) {
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil {
		return reply{}, fmt.Errorf("read the engine's answer: %w", err)
	}
	same := m.ID == id && m.Response && len(m.Questions) == 1 && m.Questions[0].Type == p.question.Type &&
		strings.EqualFold(m.Questions[0].Name.String(), p.question.Name.String())
	if !same {
		return reply{}, errMismatch
	}
	r := reply{code: m.RCode, answers: m.Answers}
	for _, o := range optionsOf(m.Additionals) {
		if o.Code == reasonOption {
			r.reason = []dnsmessage.Option{o}
		}
	}
	return r, nil
}

func optionsOf(additionals []dnsmessage.Resource) (out []dnsmessage.Option) {
	for _, r := range additionals {
		if body, ok := r.Body.(*dnsmessage.OPTResource); ok {
			out = append(out, body.Options...)
		}
	}
	return out
}

// ClientOf reads, for the engine, which client of the space asks; the parser is
// at the additional records. It is no address if the router did not say.
func ClientOf(p *dnsmessage.Parser) (client netip.Addr) {
	all, err := p.AllAdditionals()
	if err != nil {
		return client
	}
	for _, o := range optionsOf(all) {
		if o.Code == clientOption {
			client, _ = netip.AddrFromSlice(o.Data)
		}
	}
	return client.Unmap()
}

// Reason is the record by which the engine says why a name has no answer.
func Reason(text string) dnsmessage.Resource {
	return options(dnsmessage.Option{Code: reasonOption, Data: append([]byte{0, blocked}, text...)})
}
