package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/view"
)

// Config is what the API is made of. Store, Kernel, Site and Log are needed.
// A nil part makes the endpoints that need it answer 503.
type Config struct {
	Store       store.Store
	Kernel      *control.Kernel
	Checkpoints *control.Checkpoints
	Blobs       *blob.Store
	Site        view.Site
	// Domain is the platform's: an app is reached at <name>.<Domain>.
	Domain string
	// Version of the program.
	Version string
	// Help is the address of a page that explains errors, each at an anchor
	// named by its id; "" = there is none, and errors have no url.
	Help string

	Terminals Terminals
	Bastion   Bastion
	Logs      Logs
	Evidence  Evidence
	Network   Network
	Probes    Probes
	// Programme is which controls there are and what checks them.
	Programme *compliance.Programme
	// Live gives the output of a build or a release phase that runs now, nil if
	// it does not. kind is "build" or "release", id is its document's.
	Live func(kind, id string) LiveOutput
	// Git answers everything below a path that begins with <app>.git.
	Git http.Handler
	// LogStream answers everything below /log-streams/: the addresses that
	// Logs gives out.
	LogStream http.Handler

	// TrustedProxies may say in X-Forwarded-For where a request comes from.
	TrustedProxies []netip.Prefix
	// RatePerHour is how many requests an account has in an hour (default 4500,
	// as Heroku has it).
	RatePerHour int
	Log         *slog.Logger
	Now         func() time.Time // default time.Now
}

// Terminals join clients to one-off dynos that were just recorded.
type Terminals interface {
	// Offer keeps what is to run for whoever shows the secret in the URL, which
	// is for one use and a short time. It starts nothing.
	Offer(ctx context.Context, by control.By, t Terminal) (attachURL string, err error)
}

// Terminal is a one-off dyno that a client will attach to.
type Terminal struct {
	App     *document.App
	Dyno    *document.Dyno
	Release *document.Release
	Command string // what the shell is to run; may hold PHI
	Env     []document.NameValue
	TTY     bool
	Rows    int
	Cols    int
}

// Bastion opens a way to one database for one person and one moment.
type Bastion interface {
	// Admit makes a key. Nothing is on record yet: the session is, when the key
	// is used.
	Admit(ctx context.Context, by control.By, a *document.Addon) (host string, key secret.Value, err error)
}

// Logs serve log streams. The read of them is on record already.
type Logs interface {
	// Open gives an address where the stream can be read without credentials,
	// for a short time.
	Open(ctx context.Context, by control.By, q LogQuery) (url string, err error)
}

// LogQuery selects log lines of an app.
type LogQuery struct {
	App    *document.App
	Lines  int
	Tail   bool
	Source string // "app" or "heroku"; "" = both
	Dyno   string // "web" or "web.1"; "" = all
}

// Evidence writes evidence packs.
type Evidence interface {
	// Export records the export, then calls begin with the pack's file name,
	// and writes the pack to the writer that begin returns.
	Export(ctx context.Context, by control.By, x Export, begin func(name string) io.Writer) error
}

// Export says what an evidence pack is about.
type Export struct {
	Space      string // name or id
	Ended      bool   // it is one that was destroyed
	From, To   time.Time
	Recordings bool
	// Since is a signed checkpoint that the pack shall prove to extend; empty: none.
	Since  []byte
	Items  []string  // of frameworks; nil: all
	Notice time.Time // whose versions are shown; zero: the period's end
}

// Network knows what the engine does with spaces and databases.
type Network interface {
	// Egress lists the addresses that a space's connections come from.
	Egress(ctx context.Context, space string) ([]string, error)
	// HostAddresses lists the addresses of the host itself.
	HostAddresses() ([]netip.Addr, error)
	// Disk tells how many bytes a database's volume has, and how many are used.
	Disk(ctx context.Context, volume string) (used, size int64, err error)
	// Stats asks a database about itself.
	Stats(ctx context.Context, a *document.Addon) (view.DatabaseStats, error)
}

// LiveOutput is output that is still being written.
type LiveOutput interface {
	// CopyTo writes what there is and what comes, until the output ends.
	CopyTo(ctx context.Context, w io.Writer) error
}

// Probes try what must not work.
type Probes interface {
	// Attack makes every attempt against a space now and records the results.
	Attack(ctx context.Context, space string) error
}
