package names

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/strongroom/strongroom/internal/router/resolver"
)

// Bounds of an answer.
const (
	maxRecords   = 256 // that are read
	maxAliases   = 16  // that are followed
	maxAddresses = 32  // that are opened and passed on
	maxAnswer    = 16 << 10
)

// answer is what is passed on of what an upstream said.
type answer struct {
	code      dnsmessage.RCode
	truncated bool
	records   []dnsmessage.Resource // the aliases from the name on, and what the last of them has
	addresses []netip.Addr
	lasts     time.Duration // the least of the records
}

// read takes what answers the question from a packet, and nothing else: not what
// it says of other names, and nothing of its other sections.
func read(packet []byte, q question) (answer, error) {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	if err != nil {
		return answer{}, fmt.Errorf("read an answer: %w", err)
	}
	a := answer{code: header.RCode, truncated: header.Truncated}
	if a.code != dnsmessage.RCodeSuccess && a.code != dnsmessage.RCodeNameError {
		return answer{}, fmt.Errorf("%w: %v", errFailed, a.code)
	}
	if a.truncated {
		return a, nil
	}
	if err := p.SkipAllQuestions(); err != nil {
		return answer{}, fmt.Errorf("read an answer: %w", err)
	}
	all, err := records(&p, q.asked.Type)
	if err != nil {
		return answer{}, fmt.Errorf("read an answer: %w", err)
	}
	a.take(all, q)
	return a, nil
}

// records reads those of the type and the aliases.
func records(p *dnsmessage.Parser, kind dnsmessage.Type) (out []dnsmessage.Resource, err error) {
	for range maxRecords {
		header, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Class != dnsmessage.ClassINET || header.Type != kind && header.Type != dnsmessage.TypeCNAME {
			if err := p.SkipAnswer(); err != nil {
				return nil, err
			}
			continue
		}
		record, err := p.Answer()
		if err != nil {
			return nil, err
		}
		out = append(out, record)
	}
	return out, nil
}

// take follows the aliases from the question's name to the records that it has.
func (a *answer) take(all []dnsmessage.Resource, q question) {
	name := q.name + "."
	for range maxAliases {
		found := of(all, name, q.asked.Type)
		if len(found) > 0 {
			a.add(found)
			return
		}
		alias := of(all, name, dnsmessage.TypeCNAME)
		if len(alias) == 0 {
			return
		}
		a.add(alias[:1])
		name = alias[0].Body.(*dnsmessage.CNAMEResource).CNAME.String()
	}
}

func of(all []dnsmessage.Resource, name string, kind dnsmessage.Type) (out []dnsmessage.Resource) {
	for _, r := range all {
		if r.Header.Type == kind && strings.EqualFold(r.Header.Name.String(), name) {
			out = append(out, r)
		}
	}
	return out
}

func (a *answer) add(list []dnsmessage.Resource) {
	for _, r := range list[:min(len(list), maxAddresses)] {
		if lasts := time.Duration(r.Header.TTL) * time.Second; len(a.records) == 0 || lasts < a.lasts {
			a.lasts = lasts
		}
		a.records = append(a.records, r)
		if body, ok := r.Body.(*dnsmessage.AResource); ok {
			a.addresses = append(a.addresses, netip.AddrFrom4(body.A))
		}
	}
}

// pack writes the answer for the router. reason, if any, says why there is none.
func (a answer) pack(q question, reason string) ([]byte, error) {
	for i := range a.records {
		a.records[i].Header.TTL = uint32(a.lasts / time.Second)
	}
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, Response: true, RecursionAvailable: true, RCode: a.code},
		Questions: []dnsmessage.Question{q.asked},
		Answers:   a.records,
	}
	if reason != "" {
		message.Additionals = []dnsmessage.Resource{resolver.Reason(reason)}
	}
	packed, err := message.Pack()
	if err == nil && len(packed) > maxAnswer {
		return nil, fmt.Errorf("an answer of %d bytes is too long", len(packed))
	}
	return packed, err
}
