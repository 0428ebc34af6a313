package names

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/time/rate"

	"github.com/strongroom/strongroom/internal/fault"
)

// Bounds of what a space can make its server do.
const (
	maxAsked   = 128 // questions being answered
	perSecond  = 500 // that leave or are refused
	atOnce     = 1000
	defaultMin = time.Minute
	defaultMax = time.Hour
)

// Space is who keeps the network of a space.
type Space interface {
	// Asks tells whether the space may ask for a name, in lower case and without
	// the final dot.
	Asks(name string) bool
	// Lead says where a name of the outside leads, and that connections there
	// are to be let out, as far as rules for the name say, for so long. It
	// refuses (Forbidden) addresses to which no name may lead.
	Lead(ctx context.Context, name string, to []netip.Addr, lasts time.Duration) error
}

// Config of a server. Zero values mean what the comments say.
type Config struct {
	// Upstreams are DNS servers ("ip:port") that are asked from the network in
	// which this runs. None: no name of the outside has an answer.
	Upstreams []string
	// Least is how long an address is open at least, whatever its answer says:
	// programs remember a while. Default a minute.
	Least time.Duration
	// Most is how long an answer lasts at most. Default an hour.
	Most time.Duration
}

// Server answers the router of one space.
type Server struct {
	cfg     Config
	space   Space
	log     *slog.Logger
	asked   chan struct{} // holds one element for each question being answered
	limit   *rate.Limiter
	refused refusals
}

// New returns a server that is not serving yet.
func New(cfg Config, space Space, log *slog.Logger) *Server {
	cfg.Least, cfg.Most = cmp.Or(cfg.Least, defaultMin), cmp.Or(cfg.Most, defaultMax)
	return &Server{cfg: cfg, space: space, log: log, asked: make(chan struct{}, maxAsked), limit: rate.NewLimiter(perSecond, atOnce)}
}

// Refused lists what was refused within the last hour; not all of it where that
// is much.
func (s *Server) Refused() []Refusal { return s.refused.list(time.Now()) }

// Serve answers what comes until ctx ends. It closes conn.
func (s *Server) Serve(ctx context.Context, conn net.PacketConn) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	buffer := make([]byte, maxQuestion)
	for {
		n, router, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // such as an ICMP error that a former answer caused
			s.log.Debug("read a DNS question", "err", err)
			continue
		}
		q, ok := parse(buffer[:n])
		if !ok {
			continue
		}
		select {
		case s.asked <- struct{}{}:
			go func() {
				defer func() { <-s.asked }()
				s.send(conn, router, s.answer(ctx, q))
			}()
		default:
			s.send(conn, router, s.pack(q, failed, ""))
		}
	}
}

func (s *Server) send(conn net.PacketConn, router net.Addr, packet []byte) {
	if _, err := conn.WriteTo(packet, router); err != nil {
		s.log.Debug("send a DNS answer", "err", err)
	}
}

// Answers without records.
var (
	failed  = answer{code: dnsmessage.RCodeServerFailure}
	denied  = answer{code: dnsmessage.RCodeRefused}
	nothing = answer{code: dnsmessage.RCodeSuccess}
)

// answer answers one question.
func (s *Server) answer(ctx context.Context, q question) []byte {
	switch {
	case !s.limit.Allow():
		return s.pack(q, failed, "too many questions of this space")
	case !s.space.Asks(q.name):
		s.refused.note(q, Unlisted, time.Now())
		return s.pack(q, denied, "no outbound rule of this space covers the name")
	case !forwarded[q.asked.Type]:
		return s.pack(q, nothing, "")
	}
	a, err := s.ask(ctx, q)
	if err != nil {
		s.log.Debug("ask for a name", "err", err)
		return s.pack(q, failed, "")
	}
	a.lasts = min(a.lasts, s.cfg.Most)
	if len(a.addresses) == 0 {
		return s.pack(q, a, "")
	}
	err = s.space.Lead(ctx, q.name, a.addresses, max(a.lasts, s.cfg.Least))
	switch {
	case err == nil:
		return s.pack(q, a, "")
	case fault.Of(err) == fault.Forbidden:
		s.refused.note(q, Inside, time.Now())
		return s.pack(q, denied, "the name leads to where nothing of this space may go")
	}
	s.log.Warn("where a name leads is not open", "err", err)
	return s.pack(q, failed, "")
}

// pack never fails for an answer without records.
func (s *Server) pack(q question, a answer, reason string) []byte {
	packed, err := a.pack(q, reason)
	if err != nil {
		s.log.Debug("pack a DNS answer", "err", err)
		packed, _ = failed.pack(q, "")
	}
	return packed
}
