package names

import (
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/strongroom/strongroom/internal/edge/hostname"
	"github.com/strongroom/strongroom/internal/router/resolver"
)

// maxQuestion bounds what a router sends: a name has at most 255 bytes.
const maxQuestion = 512

// question is what a router passes on.
type question struct {
	id     uint16
	asked  dnsmessage.Question
	name   string     // in lower case, without the final dot
	client netip.Addr // who asks, as the router says
}

// parse reads a question. What is none has no answer: no router sends it.
func parse(packet []byte) (q question, ok bool) {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	if err != nil || header.Response || header.OpCode != 0 {
		return q, false
	}
	all, err := p.AllQuestions()
	if err != nil || len(all) != 1 || all[0].Class != dnsmessage.ClassINET {
		return q, false
	}
	q.id, q.asked = header.ID, all[0]
	if q.name, ok = hostname.Normal(strings.TrimSuffix(q.asked.Name.String(), ".")); !ok {
		return q, false
	}
	if p.SkipAllAnswers() == nil && p.SkipAllAuthorities() == nil {
		q.client = resolver.ClientOf(&p)
	}
	return q, true
}

// forwarded are the types of questions that leave a space. IPv6 does not, and
// addresses in records of other kinds would be passed on unread: these have no
// answer, which every client can live with.
var forwarded = map[dnsmessage.Type]bool{
	dnsmessage.TypeA: true, dnsmessage.TypeCNAME: true, dnsmessage.TypeMX: true, dnsmessage.TypeNS: true,
	dnsmessage.TypePTR: true, dnsmessage.TypeSOA: true, dnsmessage.TypeSRV: true, dnsmessage.TypeTXT: true,
}
