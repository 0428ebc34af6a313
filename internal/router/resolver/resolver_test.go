package resolver

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
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/strongroom/strongroom/internal/fault"
)

// serve runs a resolver on UDP and TCP of one loopback port.
func serve(t *testing.T, names []Name, outside string) (*Resolver, string) {
	t.Helper()
	r := New(slog.New(slog.DiscardHandler))
	update(t, r, names, outside)
	return r, start(t, r)
}

func start(t *testing.T, r *Resolver) (address string) {
	t.Helper()
	packet, stream := sockets(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- r.ServePacket(ctx, packet) }()
	go func() { done <- r.ServeStream(ctx, stream) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("the resolver ended with %v", err)
			}
		}
	})
	return packet.LocalAddr().String()
}

// sockets listens on the same port by UDP and TCP.
func sockets(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		packet, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		stream, err := net.Listen("tcp", packet.LocalAddr().String())
		if err == nil {
			return packet, stream
		}
		packet.Close() // somebody has the port by TCP
	}
	t.Fatal("no port is free by both UDP and TCP")
	return nil, nil
}

func update(t *testing.T, r *Resolver, names []Name, outside string) {
	t.Helper()
	zone, err := NewZone(names, outside)
	if err != nil {
		t.Fatal(err)
	}
	r.Update(zone)
}

// client is Go's own resolver, asking the server at address.
func client(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, address)
	}}
}

var names = []Name{
	{Name: "web", Addresses: []string{"10.0.0.1", "10.0.0.2"}},
	{Name: "1.web", Addresses: []string{"10.0.0.1"}},
	{Name: "2.web", Addresses: []string{"10.0.0.2"}},
	{Name: "six", Addresses: []string{"fd00::6", "10.0.0.6"}},
	{Name: "starting"},
	{Name: "1.gone", Addresses: []string{"10.0.0.9"}},
}

func TestNames(t *testing.T) {
	_, address := serve(t, names, "")
	resolver := client(address)
	for name, want := range map[string][]string{
		"web.localspace.": {"10.0.0.1", "10.0.0.2"}, "WEB.LocalSpace.": {"10.0.0.1", "10.0.0.2"},
		"1.web.localspace.": {"10.0.0.1"}, "2.web.localspace.": {"10.0.0.2"}, "six.localspace.": {"10.0.0.6", "fd00::6"},
	} {
		got, err := resolver.LookupHost(t.Context(), name)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"3.web.localspace.", "db.localspace.", "a.1.web.localspace.", "starting.localspace."} {
		_, err := resolver.LookupHost(t.Context(), name)
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("%s: %v, want not found", name, err)
		}
	}
}

func TestReverse(t *testing.T) {
	_, address := serve(t, names, "")
	resolver := client(address)
	for ip, want := range map[string]string{
		"10.0.0.1": "1.web.localspace.", "10.0.0.6": "six.localspace.", "fd00::6": "six.localspace.",
	} {
		if got, err := resolver.LookupAddr(t.Context(), ip); err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %v, %v; want %s", ip, got, err, want)
		}
	}
	for _, ip := range []string{"10.0.0.200", "192.168.1.1", "169.254.1.1", "100.64.0.1", "fd00::7"} {
		_, err := resolver.LookupAddr(t.Context(), ip)
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("%s: %v, want not found", ip, err)
		}
	}
}

// ask sends one question by hand and returns the answer.
func ask(t *testing.T, network, address string, message dnsmessage.Message) dnsmessage.Message {
	t.Helper()
	query, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	answer := exchange(t, network, address, query)
	var got dnsmessage.Message
	if err := got.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	if got.ID != message.ID || !got.Response {
		t.Errorf("the answer's header is %+v", got.Header)
	}
	return got
}

func exchange(t *testing.T, network, address string, query []byte) []byte {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(8 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := conn.Write(query); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 65535)
	if network == "udp" {
		n, err := conn.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		return answer[:n]
	}
	if _, err := io.ReadFull(conn, answer[:2]); err != nil {
		t.Fatal(err)
	}
	answer = answer[:binary.BigEndian.Uint16(answer)]
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func asking(name string, kind dnsmessage.Type) dnsmessage.Message {
	return dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
}

func TestAnswers(t *testing.T) {
	_, address := serve(t, names, "")
	chaos := asking("web.localspace.", dnsmessage.TypeA)
	chaos.Questions[0].Class = dnsmessage.ClassCHAOS
	update := asking("web.localspace.", dnsmessage.TypeA)
	update.OpCode = 5
	two := asking("web.localspace.", dnsmessage.TypeA)
	two.Questions = append(two.Questions, two.Questions[0])
	tests := []struct {
		name     string
		query    dnsmessage.Message
		code     dnsmessage.RCode
		answers  int
		negative bool
	}{
		{"addresses", asking("web.localspace.", dnsmessage.TypeA), dnsmessage.RCodeSuccess, 2, false},
		{"no IPv6 of it", asking("web.localspace.", dnsmessage.TypeAAAA), dnsmessage.RCodeSuccess, 0, true},
		{"IPv6", asking("six.localspace.", dnsmessage.TypeAAAA), dnsmessage.RCodeSuccess, 1, false},
		{"another type", asking("web.localspace.", dnsmessage.TypeTXT), dnsmessage.RCodeSuccess, 0, true},
		{"none ready", asking("starting.localspace.", dnsmessage.TypeA), dnsmessage.RCodeSuccess, 0, true},
		{"only names below it", asking("gone.localspace.", dnsmessage.TypeA), dnsmessage.RCodeSuccess, 0, true},
		{"the domain", asking("localspace.", dnsmessage.TypeA), dnsmessage.RCodeSuccess, 0, true},
		{"unknown", asking("db.localspace.", dnsmessage.TypeA), dnsmessage.RCodeNameError, 0, true},
		{"an address of nobody", asking("9.9.9.10.in-addr.arpa.", dnsmessage.TypePTR), dnsmessage.RCodeNameError, 0, true},
		{"outside", asking("example.org.", dnsmessage.TypeA), dnsmessage.RCodeRefused, 0, false},
		{"looks like inside", asking("notlocalspace.", dnsmessage.TypeA), dnsmessage.RCodeRefused, 0, false},
		{"the root", asking(".", dnsmessage.TypeNS), dnsmessage.RCodeRefused, 0, false},
		{"a public address", asking("8.8.8.8.in-addr.arpa.", dnsmessage.TypePTR), dnsmessage.RCodeRefused, 0, false},
		{"another class", chaos, dnsmessage.RCodeRefused, 0, false},
		{"an update", update, dnsmessage.RCodeNotImplemented, 0, false},
		{"two questions", two, dnsmessage.RCodeFormatError, 0, false},
	}
	for _, test := range tests {
		for _, network := range []string{"udp", "tcp"} {
			got := ask(t, network, address, test.query)
			if got.RCode != test.code || len(got.Answers) != test.answers || (len(got.Authorities) == 1) != test.negative || got.Truncated {
				t.Errorf("%s by %s: %v, %d answers, %d authorities, truncated %v", test.name, network, got.RCode, len(got.Answers), len(got.Authorities), got.Truncated)
			}
			for _, record := range append(got.Answers, got.Authorities...) {
				if record.Header.TTL != ttl {
					t.Errorf("%s: a TTL of %d", test.name, record.Header.TTL)
				}
			}
		}
	}
}

func TestAddressesRotate(t *testing.T) {
	_, address := serve(t, names, "")
	first := make(map[[4]byte]int)
	for range 60 {
		got := ask(t, "udp", address, asking("web.localspace.", dnsmessage.TypeA))
		first[got.Answers[0].Body.(*dnsmessage.AResource).A]++
	}
	if len(first) != 2 {
		t.Errorf("the first address is always the same: %v", first)
	}
}

func TestSizes(t *testing.T) {
	many := Name{Name: "many"}
	for i := range 200 {
		many.Addresses = append(many.Addresses, fmt.Sprintf("10.1.%d.%d", i/100, i%100))
	}
	_, address := serve(t, []Name{many}, "")
	plain := asking("many.localspace.", dnsmessage.TypeA)
	extended := asking("many.localspace.", dnsmessage.TypeA)
	extended.Additionals = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeOPT, Class: 4096},
		Body:   &dnsmessage.OPTResource{},
	}}
	for name, test := range map[string]struct {
		query dnsmessage.Message
		limit int
	}{"plain": {plain, minPacket}, "extended": {extended, maxPacket}} {
		query, err := test.query.Pack()
		if err != nil {
			t.Fatal(err)
		}
		answer := exchange(t, "udp", address, query)
		var got dnsmessage.Message
		if err := got.Unpack(answer); err != nil {
			t.Fatal(err)
		}
		if len(answer) > test.limit || len(answer) < test.limit/2 || !got.Truncated {
			t.Errorf("%s: %d bytes, truncated %v", name, len(answer), got.Truncated)
		}
	}
	if got := ask(t, "tcp", address, plain); len(got.Answers) != 200 || got.Truncated {
		t.Errorf("by TCP: %d answers", len(got.Answers))
	}
	// A client that knows what truncated means gets all.
	if got, err := client(address).LookupHost(t.Context(), "many.localspace."); err != nil || len(got) != 200 {
		t.Errorf("Go's resolver got %d, %v", len(got), err)
	}
}

// engine answers for the outside: every A question with one address, and what is
// called big with a hundred. It refuses the rest, and says why.
func engine(t *testing.T, lie func(*dnsmessage.Message)) (address string, asked chan netip.Addr) {
	t.Helper()
	asked = make(chan netip.Addr, 64)
	packet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packet.Close() })
	answer := func(query []byte) []byte {
		var p dnsmessage.Parser
		if _, err := p.Start(query); err != nil || p.SkipAllQuestions() != nil || p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
			t.Errorf("asked %x, %v", query, err)
		}
		asked <- ClientOf(&p)
		var message dnsmessage.Message
		if err := message.Unpack(query); err != nil {
			t.Error(err)
			return nil
		}
		message.Response, message.Additionals = true, nil
		question := message.Questions[0]
		header := dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 300}
		count := 1
		if strings.HasPrefix(question.Name.String(), "big.") {
			count = 100
		}
		if question.Type != dnsmessage.TypeA {
			count, message.RCode, message.Additionals = 0, dnsmessage.RCodeRefused, []dnsmessage.Resource{Reason("because")}
		}
		for range count {
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 80}}})
		}
		if lie != nil {
			lie(&message)
		}
		packed, err := message.Pack()
		if err != nil {
			t.Error(err)
		}
		return packed
	}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := packet.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = packet.WriteTo(answer(buffer[:n]), from)
		}
	}()
	return packet.LocalAddr().String(), asked
}

// TestOutside: names of the outside are the engine's to answer, which is told
// who asks.
func TestOutside(t *testing.T) {
	up, asked := engine(t, nil)
	_, address := serve(t, names, up)
	for _, network := range []string{"udp", "tcp"} {
		got := ask(t, network, address, asking("Example.org.", dnsmessage.TypeA))
		if got.RCode != dnsmessage.RCodeSuccess || len(got.Answers) != 1 || got.ID != 4711 || got.Questions[0].Name.String() != "Example.org." {
			t.Errorf("by %s: %+v", network, got)
		}
		if client := <-asked; client != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("by %s: the engine is told that %v asks", network, client)
		}
	}
	if got, err := client(address).LookupHost(t.Context(), "big.example.org."); err != nil || len(got) == 0 {
		t.Errorf("a long answer: %v, %v", got, err)
	}
	// Only who speaks EDNS is told why not.
	plain := asking("example.org.", dnsmessage.TypeMX)
	extended := plain
	extended.Additionals = []dnsmessage.Resource{options()}
	if got := ask(t, "udp", address, plain); got.RCode != dnsmessage.RCodeRefused || len(got.Additionals) != 0 {
		t.Errorf("refused as %+v", got)
	}
	got := optionsOf(ask(t, "udp", address, extended).Additionals)
	if len(got) != 1 || got[0].Code != reasonOption || string(got[0].Data) != "\x00\x0fbecause" {
		t.Errorf("refused because of %v", got)
	}
	// What belongs to the space never leaves it.
	for len(asked) > 0 {
		<-asked
	}
	for _, name := range []string{"db.localspace.", "secret.db.localspace.", "1.2.168.192.in-addr.arpa.", "1.1.254.169.in-addr.arpa."} {
		ask(t, "udp", address, asking(name, dnsmessage.TypePTR))
	}
	if len(asked) > 0 {
		t.Error("the engine was asked for a local name")
	}
}

// TestClientsAreBounded: what one client asks too often is not answered, and
// others are.
func TestClientsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limits
		a, b := netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr("100.64.0.3")
		allowed := 0
		for range 2 * atOnce {
			if l.allow(a) {
				allowed++
			}
		}
		if allowed != atOnce || !l.allow(b) {
			t.Errorf("%d questions at once are allowed, another client's: %v", allowed, l.allow(b))
		}
		time.Sleep(time.Second)
		for allowed = 0; l.allow(a); allowed++ {
		}
		if allowed != perSecond {
			t.Errorf("%d questions are allowed a second later", allowed)
		}
		for i := range 2 * maxClients {
			l.allow(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
		if len(l.of) > maxClients {
			t.Errorf("%d clients are remembered", len(l.of))
		}
	})
}

func TestForgedAnswers(t *testing.T) {
	for name, lie := range map[string]func(*dnsmessage.Message){
		"another id":       func(m *dnsmessage.Message) { m.ID++ },
		"another name":     func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("evil.org.") },
		"a question":       func(m *dnsmessage.Message) { m.Response = false },
		"another type":     func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX },
		"without question": func(m *dnsmessage.Message) { m.Questions = nil },
	} {
		t.Run(name, func(t *testing.T) {
			up, _ := engine(t, lie)
			r := New(slog.New(slog.DiscardHandler))
			r.patience = 100 * time.Millisecond
			update(t, r, nil, up)
			if got := ask(t, "udp", start(t, r), asking("example.org.", dnsmessage.TypeA)); got.RCode != dnsmessage.RCodeServerFailure {
				t.Errorf("%v, %d answers", got.RCode, len(got.Answers))
			}
		})
	}
}

// An engine that says nothing must not use the resolver up, nor hold up what it
// knows itself.
func TestSlowEngine(t *testing.T) {
	hole, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	r, address := serve(t, names, hole.LocalAddr().String())
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	message := asking("example.org.", dnsmessage.TypeA)
	query, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan bool, 1)
	go func() {
		answer := make([]byte, 512)
		if n, err := conn.Read(answer); err == nil && n > 3 && answer[3]&15 == byte(dnsmessage.RCodeServerFailure) {
			failed <- true
		}
	}()
	for range maxForwards + 50 {
		if _, err := conn.Write(query); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Microsecond)
	}
	select {
	case <-failed:
	case <-time.After(time.Second): // less than the engine has
		t.Error("questions above the bound are not refused at once")
	}
	if got := len(r.forwards); got != maxForwards {
		t.Errorf("%d questions are being forwarded, want %d", got, maxForwards)
	}
	if got := ask(t, "udp", address, asking("web.localspace.", dnsmessage.TypeA)); len(got.Answers) != 2 {
		t.Errorf("a local name: %v", got.RCode)
	}
}

func TestIgnoresWhatIsNoQuery(t *testing.T) {
	_, address := serve(t, names, "")
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	response := asking("web.localspace.", dnsmessage.TypeA)
	response.Response = true
	packed, err := response.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, junk := range [][]byte{{}, {1}, []byte("hello"), packed} {
		if _, err := conn.Write(junk); err != nil {
			t.Fatal(err)
		}
	}
	good := asking("web.localspace.", dnsmessage.TypeA)
	good.ID = 99
	query, err := good.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(query); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 512)
	if n, err := conn.Read(answer); err != nil || binary.BigEndian.Uint16(answer[:n]) != 99 {
		t.Errorf("the first answer is %x, %v", answer[:n], err)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	r, address := serve(t, names, "")
	for range maxStreams {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	for range 200 {
		if len(r.streams) == maxStreams {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one more ends with %v, want to be closed", err)
	}
}

func TestOversizedStreamQuery(t *testing.T) {
	_, address := serve(t, names, "")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(binary.BigEndian.AppendUint16(nil, maxQuery+1)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("ends with %v, want to be closed", err)
	}
}

func TestZoneErrors(t *testing.T) {
	for name, try := range map[string]func() error{
		"empty name": func() error { _, err := NewZone([]Name{{Name: ""}}, ""); return err },
		"dots":       func() error { _, err := NewZone([]Name{{Name: "a..b"}}, ""); return err },
		"upper case": func() error { _, err := NewZone([]Name{{Name: "Web"}}, ""); return err },
		"address":    func() error { _, err := NewZone([]Name{{Name: "a", Addresses: []string{"x"}}}, ""); return err },
		"mapped": func() error {
			_, err := NewZone([]Name{{Name: "a", Addresses: []string{"::ffff:1.2.3.4"}}}, "")
			return err
		},
		"zone": func() error {
			_, err := NewZone([]Name{{Name: "a", Addresses: []string{"fe80::1%eth0"}}}, "")
			return err
		},
		"DNS server":  func() error { _, err := NewZone(nil, "dns.example.org:53"); return err },
		"port of it":  func() error { _, err := NewZone(nil, "192.0.2.1"); return err },
		"name of 250": func() error { _, err := NewZone([]Name{{Name: strings.Repeat("a.", 124) + "aa"}}, ""); return err },
	} {
		if err := try(); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}

// Whatever comes, the answer is a well-formed response to that question, within
// its size, or there is none.
func FuzzAnswer(f *testing.F) {
	for _, message := range []dnsmessage.Message{
		asking("web.localspace.", dnsmessage.TypeA), asking("1.0.0.10.in-addr.arpa.", dnsmessage.TypePTR),
		asking("6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", dnsmessage.TypePTR),
		asking("example.org.", dnsmessage.TypeMX), asking(".", dnsmessage.TypeALL),
	} {
		packed, err := message.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	zone, err := NewZone(names, "")
	if err != nil {
		f.Fatal(err)
	}
	r := New(slog.New(slog.DiscardHandler))
	r.Update(zone)
	f.Fuzz(func(t *testing.T, query []byte) {
		for _, network := range []string{"udp", "tcp"} {
			answer, later := r.answer(query, network, netip.Addr{})
			if later != nil {
				t.Fatal("asks nobody")
			}
			if answer == nil {
				continue
			}
			var got dnsmessage.Message
			if err := got.Unpack(answer); err != nil {
				t.Fatalf("%x: %v", answer, err)
			}
			if !got.Response || got.ID != binary.BigEndian.Uint16(query) || network == "udp" && len(answer) > maxPacket {
				t.Fatalf("%d bytes, %+v", len(answer), got.Header)
			}
		}
	})
}
