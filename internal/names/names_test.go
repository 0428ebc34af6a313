package names

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/router/resolver"
)

func asking(name string, kind dnsmessage.Type) dnsmessage.Message {
	return dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
}

func packed(t testing.TB, m dnsmessage.Message) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func questionOf(t testing.TB, name string, kind dnsmessage.Type) question {
	t.Helper()
	q, ok := parse(packed(t, asking(name, kind)))
	if !ok {
		t.Fatalf("%s is no question", name)
	}
	return q
}

func header(name string, kind dnsmessage.Type, ttl uint32) dnsmessage.ResourceHeader {
	return dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET, TTL: ttl}
}

func address(name, a string, ttl uint32) dnsmessage.Resource {
	return dnsmessage.Resource{Header: header(name, dnsmessage.TypeA, ttl), Body: &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()}}
}

func alias(name, to string, ttl uint32) dnsmessage.Resource {
	return dnsmessage.Resource{Header: header(name, dnsmessage.TypeCNAME, ttl), Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}}
}

func TestParse(t *testing.T) {
	with := func(change func(*dnsmessage.Message)) dnsmessage.Message {
		m := asking("API.Example.org.", dnsmessage.TypeA)
		change(&m)
		return m
	}
	for name, c := range map[string]struct {
		message dnsmessage.Message
		want    string // "": no question
	}{
		"plain":         {with(func(*dnsmessage.Message) {}), "api.example.org"},
		"underscores":   {asking("_sip._tcp.example.org.", dnsmessage.TypeSRV), "_sip._tcp.example.org"},
		"an answer":     {with(func(m *dnsmessage.Message) { m.Response = true }), ""},
		"an update":     {with(func(m *dnsmessage.Message) { m.OpCode = 5 }), ""},
		"another class": {with(func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }), ""},
		"two":           {with(func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }), ""},
		"none":          {with(func(m *dnsmessage.Message) { m.Questions = nil }), ""},
		"the root":      {asking(".", dnsmessage.TypeNS), ""},
		"odd bytes":     {asking("a b.example.org.", dnsmessage.TypeA), ""},
		"a new line":    {asking("a\n.example.org.", dnsmessage.TypeA), ""},
	} {
		q, ok := parse(packed(t, c.message))
		if ok != (c.want != "") || ok && q.name != c.want {
			t.Errorf("%s: %q, %v", name, q.name, ok)
		}
	}
}

// TestRead: of an answer only what belongs to the question is passed on.
func TestRead(t *testing.T) {
	many := []dnsmessage.Resource{}
	for i := range 100 {
		many = append(many, address("api.example.org.", fmt.Sprintf("192.0.2.%d", i), 60))
	}
	circle := []dnsmessage.Resource{alias("api.example.org.", "b.org.", 60), alias("b.org.", "api.example.org.", 60)}
	text := dnsmessage.Resource{Header: header("api.example.org.", dnsmessage.TypeTXT, 7), Body: &dnsmessage.TXTResource{TXT: []string{"x"}}}
	other := address("api.example.org.", "192.0.2.66", 60)
	other.Header.Class = dnsmessage.ClassCHAOS
	for name, c := range map[string]struct {
		kind    dnsmessage.Type
		answers []dnsmessage.Resource
		want    []string // addresses
		records int
		lasts   time.Duration
	}{
		"an address":       {dnsmessage.TypeA, []dnsmessage.Resource{address("API.example.org.", "192.0.2.1", 300)}, []string{"192.0.2.1"}, 1, 300 * time.Second},
		"the least counts": {dnsmessage.TypeA, []dnsmessage.Resource{address("api.example.org.", "192.0.2.1", 300), address("api.example.org.", "192.0.2.2", 9)}, []string{"192.0.2.1", "192.0.2.2"}, 2, 9 * time.Second},
		"an alias":         {dnsmessage.TypeA, []dnsmessage.Resource{address("cdn.net.", "192.0.2.7", 300), alias("api.example.org.", "cdn.net.", 20)}, []string{"192.0.2.7"}, 2, 20 * time.Second},
		"an alias of it":   {dnsmessage.TypeA, []dnsmessage.Resource{alias("b.org.", "c.org.", 60), alias("api.example.org.", "b.org.", 60), address("c.org.", "192.0.2.7", 5)}, []string{"192.0.2.7"}, 3, 5 * time.Second},
		"of another name":  {dnsmessage.TypeA, []dnsmessage.Resource{address("evil.org.", "192.0.2.66", 300)}, nil, 0, 0},
		"beside an alias":  {dnsmessage.TypeA, []dnsmessage.Resource{alias("api.example.org.", "b.org.", 60), address("evil.org.", "192.0.2.66", 60)}, nil, 1, time.Minute},
		"a circle":         {dnsmessage.TypeA, circle, nil, maxAliases, time.Minute},
		"another class":    {dnsmessage.TypeA, []dnsmessage.Resource{other}, nil, 0, 0},
		"too many":         {dnsmessage.TypeA, many, nil, maxAddresses, time.Minute},
		"text":             {dnsmessage.TypeTXT, []dnsmessage.Resource{text, address("api.example.org.", "192.0.2.1", 1)}, nil, 1, 7 * time.Second},
		"no text":          {dnsmessage.TypeTXT, []dnsmessage.Resource{address("api.example.org.", "192.0.2.1", 1)}, nil, 0, 0},
		"the alias itself": {dnsmessage.TypeCNAME, []dnsmessage.Resource{alias("api.example.org.", "b.org.", 60), alias("b.org.", "c.org.", 60)}, nil, 1, time.Minute},
		"nothing":          {dnsmessage.TypeA, nil, nil, 0, 0},
	} {
		m := asking("api.example.org.", c.kind)
		m.Response, m.Answers = true, c.answers
		m.Additionals = []dnsmessage.Resource{address("api.example.org.", "192.0.2.99", 60)}
		a, err := read(packed(t, m), questionOf(t, "api.example.org.", c.kind))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(a.records) != c.records || a.lasts != c.lasts || c.want != nil && !slices.Equal(texts(a.addresses), c.want) || len(a.addresses) > maxAddresses {
			t.Errorf("%s: %d records, %v, for %v", name, len(a.records), a.addresses, a.lasts)
		}
	}
	for name, code := range map[string]dnsmessage.RCode{"fails": dnsmessage.RCodeServerFailure, "refuses": dnsmessage.RCodeRefused} {
		m := asking("api.example.org.", dnsmessage.TypeA)
		m.Response, m.RCode = true, code
		if _, err := read(packed(t, m), questionOf(t, "api.example.org.", dnsmessage.TypeA)); !errors.Is(err, errFailed) {
			t.Errorf("an upstream that %s: %v", name, err)
		}
	}
}

func texts(in []netip.Addr) (out []string) {
	for _, a := range in {
		out = append(out, a.String())
	}
	return out
}

func TestShown(t *testing.T) {
	long := strings.Repeat("a", 21)
	for name, want := range map[string]string{
		"api.example.org": "api.example.org", "a.b.c.d": "a.b.c.d", "x.a.b.c.d": "*.a.b.c.d", "org": "org",
		long + ".example.org": "*.example.org", "a." + long + ".example.org": "*.example.org", long: "*", "www." + long: "*",
	} {
		if got := shown(name); got != want {
			t.Errorf("%s is shown as %s, want %s", name, got, want)
		}
	}
}

// upstream is a DNS server; it truncates by UDP what is called big.
type upstream struct {
	address string
	answer  func(*dnsmessage.Message)
	mu      sync.Mutex
	asked   []string // as it came, with the type
}

func listen(t *testing.T, answer func(*dnsmessage.Message)) *upstream {
	t.Helper()
	u := &upstream{answer: answer}
	var packet net.PacketConn
	var stream net.Listener
	for range 20 {
		var err error
		if packet, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if stream, err = net.Listen("tcp", packet.LocalAddr().String()); err == nil {
			break
		}
		packet.Close() // somebody has the port by TCP
	}
	u.address = packet.LocalAddr().String()
	t.Cleanup(func() { packet.Close(); stream.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := packet.ReadFrom(buffer)
			if err != nil {
				return
			}
			packet.WriteTo(u.reply(t, buffer[:n], false), from)
		}
	}()
	go func() {
		for {
			conn, err := stream.Accept()
			if err != nil {
				return
			}
			var length [2]byte
			if _, err := io.ReadFull(conn, length[:]); err == nil {
				query := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(conn, query); err == nil {
					reply := u.reply(t, query, true)
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
				}
			}
			conn.Close()
		}
	}()
	return u
}

func (u *upstream) reply(t *testing.T, query []byte, tcp bool) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		t.Error(err)
		return nil
	}
	name := m.Questions[0].Name.String()
	u.mu.Lock()
	u.asked = append(u.asked, name+" "+m.Questions[0].Type.String())
	u.mu.Unlock()
	m.Response, m.Additionals = true, nil
	if strings.HasPrefix(name, "big.") && !tcp {
		m.Truncated = true
	} else {
		u.answer(&m)
	}
	return packed(t, m)
}

// questions gives what was asked since it was called last.
func (u *upstream) questions() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.asked
	u.asked = nil
	return out
}

// space allows names below example.org, and no address of 10.0.0.0/8.
type space struct {
	mu    sync.Mutex
	open  []string
	fails error
}

func (s *space) Asks(name string) bool { return strings.HasSuffix(name, ".example.org") }

func (s *space) Lead(_ context.Context, name string, to []netip.Addr, lasts time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range to {
		if netip.MustParsePrefix("10.0.0.0/8").Contains(a) {
			return fault.New(fault.Forbidden, "no")
		}
		s.open = append(s.open, fmt.Sprintf("%s %s %s", name, a, lasts))
	}
	return s.fails
}

// answers gives each name an address by its first label.
func answers(m *dnsmessage.Message) {
	name := m.Questions[0].Name.String()
	switch first, _, _ := strings.Cut(name, "."); first {
	case "api", "big":
		m.Answers = []dnsmessage.Resource{address(name, "192.0.2.1", 2), address(name, "192.0.2.2", 7200)}
	case "long":
		m.Answers = []dnsmessage.Resource{address(name, "192.0.2.3", 7200)}
	case "inside":
		m.Answers = []dnsmessage.Resource{address(name, "192.0.2.4", 60), address(name, "10.0.0.5", 60)}
	case "none":
		m.RCode = dnsmessage.RCodeNameError
	case "broken":
		m.RCode = dnsmessage.RCodeServerFailure
	}
}

func serverOf(t *testing.T, upstreams ...string) (*Server, *space) {
	t.Helper()
	sp := &space{}
	return New(Config{Upstreams: upstreams}, sp, slog.New(slog.DiscardHandler)), sp
}

func (s *Server) message(t *testing.T, q question) dnsmessage.Message {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(s.answer(t.Context(), q)); err != nil {
		t.Fatal(err)
	}
	if !m.Response || m.ID != 4711 {
		t.Errorf("%s: %+v", q.name, m.Header)
	}
	return m
}

func TestAnswers(t *testing.T) {
	up := listen(t, answers)
	s, sp := serverOf(t, "127.0.0.1:1", up.address) // the first refuses at once
	for _, c := range []struct {
		name    string
		kind    dnsmessage.Type
		code    dnsmessage.RCode
		records int
		ttl     uint32
		asked   []string
		open    []string
	}{
		{"API.Example.org.", dnsmessage.TypeA, 0, 2, 2, []string{"api.example.org. TypeA"}, []string{"api.example.org 192.0.2.1 1m0s", "api.example.org 192.0.2.2 1m0s"}},
		{"long.example.org.", dnsmessage.TypeA, 0, 1, 3600, []string{"long.example.org. TypeA"}, []string{"long.example.org 192.0.2.3 1h0m0s"}},
		{"big.example.org.", dnsmessage.TypeA, 0, 2, 2, []string{"big.example.org. TypeA", "big.example.org. TypeA"}, []string{"big.example.org 192.0.2.1 1m0s", "big.example.org 192.0.2.2 1m0s"}},
		{"none.example.org.", dnsmessage.TypeA, dnsmessage.RCodeNameError, 0, 0, []string{"none.example.org. TypeA"}, nil},
		{"broken.example.org.", dnsmessage.TypeA, dnsmessage.RCodeServerFailure, 0, 0, []string{"broken.example.org. TypeA"}, nil},
		{"inside.example.org.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0, 0, []string{"inside.example.org. TypeA"}, []string{"inside.example.org 192.0.2.4 1m0s"}},
		{"api.example.org.", dnsmessage.TypeMX, 0, 0, 0, []string{"api.example.org. TypeMX"}, nil},
		// These do not leave.
		{"api.example.org.", dnsmessage.TypeAAAA, 0, 0, 0, nil, nil},
		{"api.example.org.", 65, 0, 0, 0, nil, nil},
		{"api.example.org.", dnsmessage.TypeALL, 0, 0, 0, nil, nil},
		{"api.example.com.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0, 0, nil, nil},
		{"secret.evil.org.", dnsmessage.TypeTXT, dnsmessage.RCodeRefused, 0, 0, nil, nil},
	} {
		sp.open = nil
		m := s.message(t, questionOf(t, c.name, c.kind))
		asked := up.questions()
		if m.RCode != c.code || len(m.Answers) != c.records || !slices.Equal(asked, c.asked) || !slices.Equal(sp.open, c.open) {
			t.Errorf("%s %v: %v, %d records, asked %q, opened %q", c.name, c.kind, m.RCode, len(m.Answers), asked, sp.open)
		}
		for _, r := range m.Answers {
			if r.Header.TTL != c.ttl {
				t.Errorf("%s: a TTL of %d, want %d", c.name, r.Header.TTL, c.ttl)
			}
		}
	}
	want := []Refusal{{Name: "api.example.com", Why: Unlisted, Questions: 1}, {Name: "inside.example.org", Why: Inside, Questions: 1}, {Name: "secret.evil.org", Why: Unlisted, Questions: 1}}
	if diff := cmp.Diff(want, s.Refused(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	sp.fails = errors.New("the kernel is full")
	if m := s.message(t, questionOf(t, "api.example.org.", dnsmessage.TypeA)); m.RCode != dnsmessage.RCodeServerFailure || len(m.Answers) > 0 {
		t.Errorf("where a name leads is not open, and it is answered: %+v", m)
	}
}

// TestForgedAnswers: what is no answer to the question is waited past.
func TestForgedAnswers(t *testing.T) {
	for name, lie := range map[string]func(*dnsmessage.Message){
		"another id":   func(m *dnsmessage.Message) { m.ID++ },
		"another name": func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("evil.org.") },
		"a question":   func(m *dnsmessage.Message) { m.Response = false },
		"another type": func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX },
		"no question":  func(m *dnsmessage.Message) { m.Questions = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := listen(t, func(m *dnsmessage.Message) { answers(m); lie(m) })
			s, sp := serverOf(t, up.address)
			if m := s.message(t, questionOf(t, "api.example.org.", dnsmessage.TypeA)); m.RCode != dnsmessage.RCodeServerFailure || len(sp.open) > 0 {
				t.Errorf("%v, opened %v", m.RCode, sp.open)
			}
		})
	}
}

// TestServe: the router's questions are answered, and a flood of them is bounded.
func TestServe(t *testing.T) {
	hole, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	s, _ := serverOf(t, hole.LocalAddr().String())
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, conn) }()
	router, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer router.Close()
	for range maxAsked + 1 {
		if _, err := router.Write(packed(t, asking("api.example.org.", dnsmessage.TypeA))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Microsecond)
	}
	if _, err := router.Write([]byte("junk")); err != nil {
		t.Fatal(err)
	}
	router.SetReadDeadline(time.Now().Add(upstreamTime / 2))
	b := make([]byte, 512)
	if n, err := router.Read(b); err != nil || n < 4 || dnsmessage.RCode(b[3]&15) != dnsmessage.RCodeServerFailure {
		t.Errorf("one too many is answered %x, %v", b[:n], err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("served until %v", err)
	}
}

// TestRate: a space that asks on and on costs its server little.
func TestRate(t *testing.T) {
	s, _ := serverOf(t)
	refused := 0
	for range 2 * atOnce {
		if s.message(t, questionOf(t, "x.evil.org.", dnsmessage.TypeA)).RCode == dnsmessage.RCodeRefused {
			refused++
		}
	}
	if refused < atOnce || refused > atOnce+perSecond {
		t.Errorf("%d questions were looked at", refused)
	}
	if got := s.Refused(); len(got) != 1 || got[0].Questions != int64(refused) {
		t.Errorf("counted as %v", got)
	}
}

// TestRefusedIsBounded: a swarm of names does not grow, and an hour later it is
// over.
func TestRefusedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r refusals
		for i := range 2 * maxRefused {
			r.note(question{name: fmt.Sprintf("n%d.evil.org", i)}, Unlisted, time.Now())
		}
		if n := len(r.list(time.Now())); n != maxRefused {
			t.Errorf("%d names are kept", n)
		}
		time.Sleep(refusedTime + time.Second)
		r.note(question{name: "late.evil.org"}, Unlisted, time.Now())
		if got := r.list(time.Now()); len(got) != 1 || got[0].Name != "late.evil.org" {
			t.Errorf("an hour later: %v", got)
		}
	})
}

// Whatever a router sends, what is a question has a name of known characters.
func FuzzParse(f *testing.F) {
	m := asking("api.example.org.", dnsmessage.TypeA)
	f.Add(packed(f, m))
	m.Additionals = []dnsmessage.Resource{resolver.Reason("x")}
	f.Add(packed(f, m))
	f.Fuzz(func(t *testing.T, packet []byte) {
		q, ok := parse(packet)
		if !ok {
			return
		}
		if q.name == "" || strings.Trim(q.name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || len(shown(q.name)) > 100 {
			t.Errorf("%q", q.name)
		}
		if _, err := q.query(1); err != nil {
			t.Errorf("%q cannot be asked for: %v", q.name, err)
		}
		if _, err := denied.pack(q, "because"); err != nil {
			t.Errorf("%q cannot be refused: %v", q.name, err)
		}
	})
}

// Whatever a server sends, what is passed on is within bounds, belongs to the
// question, and holds no address that was not looked at.
func FuzzRead(f *testing.F) {
	m := asking("api.example.org.", dnsmessage.TypeA)
	m.Response = true
	m.Answers = []dnsmessage.Resource{alias("api.example.org.", "b.org.", 60), address("b.org.", "192.0.2.1", 5)}
	f.Add(packed(f, m))
	m.Answers = []dnsmessage.Resource{{Header: header("api.example.org.", dnsmessage.TypeTXT, 5), Body: &dnsmessage.TXTResource{TXT: []string{"x"}}}}
	f.Add(packed(f, m))
	var questions []question
	for kind := range forwarded {
		questions = append(questions, questionOf(f, "api.example.org.", kind))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, q := range questions {
			_ = q.check(packet, 7)
			a, err := read(packet, q)
			if err != nil {
				continue
			}
			if len(a.addresses) > maxAddresses || len(a.records) > maxAddresses+maxAliases {
				t.Errorf("%d addresses, %d records", len(a.addresses), len(a.records))
			}
			out, err := a.pack(q, "")
			if err != nil {
				continue
			}
			var got dnsmessage.Message
			if err := got.Unpack(out); err != nil || len(out) > maxAnswer {
				t.Fatalf("%d bytes, %v", len(out), err)
			}
			for _, r := range got.Answers {
				if r.Header.Type != q.asked.Type && r.Header.Type != dnsmessage.TypeCNAME {
					t.Errorf("a record of type %v", r.Header.Type)
				}
				if body, ok := r.Body.(*dnsmessage.AResource); ok && !slices.Contains(a.addresses, netip.AddrFrom4(body.A)) {
					t.Errorf("%v is passed on and was not looked at", body.A)
				}
			}
		}
	})
}
