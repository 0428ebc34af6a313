package resolver

import (
	"math/rand/v2"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// ttl is how long an answer may be remembered: dynos come and go.
const ttl = 1

// Sizes of UDP answers: what every client takes, and what is sent to those that
// say they take more (above that, packets may be fragmented).
const (
	minPacket = 512
	maxPacket = 1232
)

// Bounds of a question, in which a name has at most 255 bytes and options are
// ignored, and of what the engine answers.
const (
	maxQuery  = 4096
	maxAnswer = 16 << 10
)

// question is what was asked, as far as it matters.
type question struct {
	header dnsmessage.Header
	dnsmessage.Question
	name string // in lower case, without the final dot
	edns bool
	size int // the largest UDP answer that the client takes
}

// parse reads a query. It returns an error for what deserves no answer; what is
// a query but cannot be answered has a code.
func parse(query []byte) (q question, code dnsmessage.RCode, err error) {
	var p dnsmessage.Parser
	if q.header, err = p.Start(query); err != nil {
		return q, 0, err
	}
	if q.header.Response {
		return q, 0, errNotQuery
	}
	q.size = minPacket
	if q.header.OpCode != 0 {
		return q, dnsmessage.RCodeNotImplemented, nil
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) != 1 {
		return q, dnsmessage.RCodeFormatError, nil
	}
	q.Question = questions[0]
	q.name = strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil || q.options(&p) != nil {
		return q, dnsmessage.RCodeFormatError, nil
	}
	if q.Class != dnsmessage.ClassINET {
		return q, dnsmessage.RCodeRefused, nil
	}
	return q, dnsmessage.RCodeSuccess, nil
}

// options looks for EDNS among the additional records.
func (q *question) options(p *dnsmessage.Parser) error {
	for {
		header, err := p.AdditionalHeader()
		if err == dnsmessage.ErrSectionDone {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Type == dnsmessage.TypeOPT {
			q.edns = true
			q.size = min(max(int(header.Class), minPacket), maxPacket)
		}
		if err := p.SkipAdditional(); err != nil {
			return err
		}
	}
}

// reply is an answer in the making.
type reply struct {
	code          dnsmessage.RCode
	authoritative bool
	answers       []dnsmessage.Resource
	negative      bool // with an SOA record, so that clients know how long to remember
	reason        []dnsmessage.Option
}

// local answers what the zone knows. It returns false for names of the outside.
func (z *Zone) local(q question) (reply, bool) {
	if within(q.name) {
		return z.lookup(q), true
	}
	address, ok := reversed(q.name)
	if !ok {
		return reply{}, false
	}
	name, known := z.reverse[address]
	switch {
	case known && q.Type == dnsmessage.TypePTR:
		return pointerReply(q, name), true
	case known:
		return reply{authoritative: true, negative: true}, true
	case reverseZone(address):
		return reply{authoritative: true, negative: true, code: dnsmessage.RCodeNameError}, true
	default:
		return reply{}, false
	}
}

func pointerReply(q question, name string) reply {
	target, err := dnsmessage.NewName(name + ".")
	if err != nil { // names were checked when the zone was made
		return reply{code: dnsmessage.RCodeServerFailure}
	}
	return reply{authoritative: true, answers: []dnsmessage.Resource{
		{Header: q.record(dnsmessage.TypePTR), Body: &dnsmessage.PTRResource{PTR: target}},
	}}
}

// lookup answers a question about localspace. All addresses are given, in random
// order, since clients take the first.
func (z *Zone) lookup(q question) reply {
	r := reply{authoritative: true}
	addresses := z.names[q.name]
	if !z.exists(q.name) {
		return reply{authoritative: true, negative: true, code: dnsmessage.RCodeNameError}
	}
	for _, i := range rand.Perm(len(addresses)) {
		if record, ok := q.address(addresses[i]); ok {
			r.answers = append(r.answers, record)
		}
	}
	r.negative = len(r.answers) == 0
	return r
}

// address returns an address as a record, if it is of the kind asked for.
func (q question) address(address netip.Addr) (dnsmessage.Resource, bool) {
	switch {
	case q.Type == dnsmessage.TypeA && address.Is4():
		return dnsmessage.Resource{Header: q.record(q.Type), Body: &dnsmessage.AResource{A: address.As4()}}, true
	case q.Type == dnsmessage.TypeAAAA && address.Is6():
		return dnsmessage.Resource{Header: q.record(q.Type), Body: &dnsmessage.AAAAResource{AAAA: address.As16()}}, true
	default:
		return dnsmessage.Resource{}, false
	}
}

func (q question) record(kind dnsmessage.Type) dnsmessage.ResourceHeader {
	return dnsmessage.ResourceHeader{Name: q.Name, Type: kind, Class: dnsmessage.ClassINET, TTL: ttl}
}

// pack writes a reply of at most limit bytes. From one that is longer, records
// are left out and it is marked as truncated: a client can use what is there, or
// ask again by TCP.
func pack(q question, r reply, limit int) ([]byte, error) {
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: q.header.ID, Response: true, OpCode: q.header.OpCode, Authoritative: r.authoritative,
			RecursionDesired: q.header.RecursionDesired, RecursionAvailable: true, RCode: r.code,
		},
		Answers: r.answers,
	}
	if q.Name.Length > 0 {
		message.Questions = []dnsmessage.Question{q.Question}
	}
	if r.negative {
		message.Authorities = []dnsmessage.Resource{authority()}
	}
	if q.edns {
		message.Additionals = []dnsmessage.Resource{options(r.reason...)}
	}
	for {
		packed, err := message.Pack()
		if err != nil || len(packed) <= limit || len(message.Answers) == 0 {
			return packed, err
		}
		message.Truncated = true
		message.Answers = message.Answers[:len(message.Answers)*3/4]
	}
}

// authority is the SOA record that says how long "no" may be remembered.
func authority() dnsmessage.Resource {
	domain := dnsmessage.MustNewName(Domain + ".")
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: domain, Type: dnsmessage.TypeSOA, Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.SOAResource{NS: domain, MBox: domain, Serial: 1, Refresh: ttl, Retry: ttl, Expire: ttl, MinTTL: ttl},
	}
}

// options is the EDNS record that says what the resolver takes, and more.
func options(more ...dnsmessage.Option) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeOPT, Class: maxPacket},
		Body:   &dnsmessage.OPTResource{Options: more},
	}
}
