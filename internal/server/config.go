// Package server composes the unprivileged server from its parts, in the order
// of their dependencies, and runs it. It is the only package that may import
// everything; internal/cli's `server` and `init` and the tests call it.
package server

import (
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/outside"
	"github.com/strongroom/strongroom/internal/secret"
)

// Config of a server. Zero values mean the defaults named.
type Config struct {
	// Data is the installation's directory; default /var/lib/strongroom.
	Data string `json:"-"`
	// Run holds sockets and what a reboot may forget; default /run/strongroom.
	Run string `json:"-"`
	// Host is the name under which people reach the API. Because of how the
	// heroku CLI treats other names, it must be "localhost" or contain
	// "localhost". Default "localhost".
	Host string `json:"host"`
	// API, Rendezvous and Bastion are addresses to listen on. Defaults
	// 127.0.0.1:5443, 127.0.0.1:5444 and 127.0.0.1:5422. The heroku CLI reaches
	// bastions on port 22 only: give the bastion that port of an address of its own.
	API        string `json:"api"`
	Rendezvous string `json:"rendezvous"`
	Bastion    string `json:"bastion"`
	// BastionHost is the name or address that clients are told to reach the
	// bastion at; default: that of Bastion.
	BastionHost string `json:"bastion_host"`
	// Listeners are addresses of the host on which others than the platform may
	// listen, as 192.0.2.1:22, or :22 for a port of every address: what else
	// listens is a finding.
	Listeners []string `json:"listeners"`
	// Domain is where apps are reached: <app>.<Domain>; default "apps.localhost".
	Domain string `json:"domain"`
	// EdgePort is the port that the edge serves apps on, for the URLs shown;
	// default 443.
	EdgePort int `json:"edge_port"`
	// EdgeHTTPS and EdgeHTTP are the addresses of the edge, as the engine has
	// them: it may listen there, and the platform tries there what must be
	// refused. "" = none.
	EdgeHTTPS string `json:"-"`
	EdgeHTTP  string `json:"-"`
	// MasterKeyFrom is "file" (the default) or "passphrase": then the master key
	// is derived from a passphrase and the salt in Data/secrets/master.salt, and
	// nothing starts without the passphrase. It is read from the service's
	// credential "strongroom-passphrase" (systemd), from the descriptor that
	// STRONGROOM_PASSPHRASE_FD names, or from PassphraseFile.
	MasterKeyFrom string `json:"master_key_from"`
	// MasterKey is the file of the master key; default Data/secrets/master.key.
	MasterKey string `json:"master_key"`
	// PassphraseFile holds the passphrase. It belongs on a tmpfs or a medium
	// that is taken away: beside the data it protects nothing.
	PassphraseFile string `json:"passphrase_file"`
	// Images holds the archives of the platform's images; default Data/images.
	Images string `json:"images"`
	// Build is how builds reach package registries, and what bounds pushes and
	// builds.
	Build BuildConfig `json:"build"`
	// Catalogue is a directory of the operator's own controls and frameworks, in
	// its folders controls and frameworks; "" = none.
	Catalogue string `json:"catalogue"`
	// Witnesses are asked to cosign the ledger's checkpoints. They are of use on
	// machines that this installation's operators do not administer.
	Witnesses []outside.Witness `json:"witnesses"`
	// Timestamps is a time-stamp authority that stamps checkpoints.
	Timestamps outside.Timestamps `json:"timestamps"`
	// Help is the address of a page on which an installation's people read what
	// errors mean and whom to ask, with an anchor for each id ("forbidden");
	// the API's errors and the heroku CLI show it. "" = errors have no url.
	Help string `json:"help"`
	// Alerts is how findings reach people.
	Alerts AlertsConfig `json:"alerts"`
	// TrustedProxies are the networks of reverse proxies, as 10.0.0.0/8 or one
	// address: only they are believed when they say in X-Forwarded-For where a
	// request comes from. Without any, a proxy is the source of all requests.
	TrustedProxies []string `json:"trusted_proxies"`
	// RatePerHour is how many requests an account has in an hour; default 4500.
	RatePerHour int `json:"rate_per_hour"`
	// Settings is the file that all of this was read from, "" = none.
	Settings string `json:"-"`
	// Version of the program.
	Version string `json:"-"`

	given   secret.Value   // the passphrase, once it was read
	proxies []netip.Prefix // TrustedProxies, once they were checked
}

// BuildConfig is how builds reach package registries, and their bounds.
type BuildConfig struct {
	// Registry is the npm registry's address; "" = npm's own default.
	Registry string `json:"registry"`
	// CAFile holds certificates that builds trust besides the distribution's.
	CAFile string `json:"ca_file"`
	// Proxy and NoProxy are the usual variables.
	Proxy   string `json:"proxy"`
	NoProxy string `json:"no_proxy"`
	// Allow lists further hosts, as host:port, that builds may reach although
	// their addresses are private: a git server of one's own, say. The
	// registry, the proxy and the host's resolvers are reached anyway.
	Allow []string `json:"allow"`
	// Buildpacks is a directory of the operator's own buildpacks, each a
	// directory that apps name it by; "" = none.
	Buildpacks string `json:"buildpacks"`

	// Timeout ends a build: a duration such as "15m", the default.
	Timeout string `json:"timeout"`
	// PushMiB is the most that one push may send; default 512.
	PushMiB int64 `json:"push_mib"`
	// SourceMiB and SlugMiB bound the unpacked source and what is left after
	// the build; default 1024 each.
	SourceMiB int64 `json:"source_mib"`
	SlugMiB   int64 `json:"slug_mib"`
	// ScratchMiB is the disk that a build has; default 4096.
	ScratchMiB int64 `json:"scratch_mib"`
	// MemoryMiB is the memory that a build has; default 2048.
	MemoryMiB int64 `json:"memory_mib"`
	// LogKiB is how much of a build's output is shown and kept; default 8192.
	LogKiB int64 `json:"log_kib"`
}

// timeout is Timeout as a duration, 0 = the default.
func (c BuildConfig) timeout() (time.Duration, error) {
	if c.Timeout == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(c.Timeout)
	if err != nil || d <= 0 {
		return 0, fault.New(fault.Invalid, "build.timeout: %q is not a duration such as \"15m\"", c.Timeout)
	}
	return d, nil
}

// check refuses bounds that would not be any.
func (c BuildConfig) check() error {
	for name, n := range map[string]int64{
		"push_mib": c.PushMiB, "source_mib": c.SourceMiB, "slug_mib": c.SlugMiB, "scratch_mib": c.ScratchMiB, "memory_mib": c.MemoryMiB, "log_kib": c.LogKiB,
	} {
		if n < 0 || n > 1<<30 {
			return fault.New(fault.Invalid, "build.%s: %d is not a bound", name, n)
		}
	}
	_, err := c.timeout()
	return err
}

func (c *Config) defaults() error {
	def := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	def(&c.Data, "/var/lib/strongroom")
	def(&c.Run, "/run/strongroom")
	def(&c.Host, "localhost")
	def(&c.API, "127.0.0.1:5443")
	def(&c.Rendezvous, "127.0.0.1:5444")
	def(&c.Bastion, "127.0.0.1:5422")
	def(&c.Domain, "apps.localhost")
	def(&c.MasterKeyFrom, FromFile)
	def(&c.MasterKey, filepath.Join(c.Data, "secrets", "master.key"))
	def(&c.Images, filepath.Join(c.Data, "images"))
	if c.EdgePort == 0 {
		c.EdgePort = 443
	}
	if _, err := c.Build.endpoints(); err != nil {
		return err
	}
	if c.MasterKeyFrom != FromFile && c.MasterKeyFrom != FromPassphrase {
		return fault.New(fault.Invalid, "master_key_from: %q is neither \"file\" nor \"passphrase\"", c.MasterKeyFrom)
	}
	if err := c.Build.check(); err != nil {
		return err
	}
	if err := c.Alerts.check(); err != nil {
		return err
	}
	if err := c.parseProxies(); err != nil {
		return err
	}
	if err := c.checkListeners(); err != nil {
		return err
	}
	if c.RatePerHour < 0 {
		return fault.New(fault.Invalid, "rate_per_hour: %d is not a bound", c.RatePerHour)
	}
	host, _, err := net.SplitHostPort(c.Bastion)
	if err != nil {
		return fault.New(fault.Invalid, "bastion: %q is not an address such as 127.0.0.1:5422", c.Bastion)
	}
	def(&c.BastionHost, host)
	if !strings.Contains(c.Host, "localhost") && !strings.Contains(c.Host, "127.0.0.1") {
		return fault.New(fault.Invalid, "host: %q does not contain \"localhost\". The heroku CLI would take any other name for a mistake and send its token to Heroku.", c.Host)
	}
	return nil
}

func (c *Config) parseProxies() error {
	c.proxies = nil
	for _, s := range c.TrustedProxies {
		network, err := document.CleanCIDR(s)
		if err != nil {
			return fault.New(fault.Invalid, "trusted_proxies: %s", fault.Message(err))
		}
		p, err := netip.ParsePrefix(network)
		if err != nil {
			return err
		}
		c.proxies = append(c.proxies, p)
	}
	return nil
}

// checkListeners refuses what would declare nothing.
func (c *Config) checkListeners() error {
	for _, s := range c.Listeners {
		host, port, err := net.SplitHostPort(s)
		if err == nil && host != "" {
			_, err = netip.ParseAddr(host)
		}
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fault.New(fault.Invalid, "listeners: %q is neither an address such as 192.0.2.1:22 nor a port such as :22", s)
		}
	}
	return nil
}

// Paths of an installation.

func (c *Config) ledgerPath() string  { return filepath.Join(c.Data, "server", "ledger.db") }
func (c *Config) anchorPath() string  { return filepath.Join(c.Data, "anchor", "checkpoint") }
func (c *Config) outsidePath() string { return filepath.Join(c.Data, "anchor", "outside") }
func (c *Config) logKeyPath() string  { return filepath.Join(c.Data, "secrets", "log.key") }
func (c *Config) saltPath() string    { return filepath.Join(c.Data, "secrets", "master.salt") }
func (c *Config) buildKeyPath() string {
	return filepath.Join(c.Data, "secrets", "build.key")
}

func (c *Config) tlsPath(name string) string    { return filepath.Join(c.Data, "server", "tls", name) }
func (c *Config) serverPath(name string) string { return filepath.Join(c.Data, "server", name) }
func (c *Config) imagePath(name string) string  { return filepath.Join(c.Images, name+".tar") }
func (c *Config) engineSocket() string          { return filepath.Join(c.Run, "engine.sock") }
func (c *Config) controlSocket() string         { return filepath.Join(c.Run, "server", "control.sock") }

// apiURL is where people reach the API.
func (c *Config) apiURL() string {
	_, port, err := net.SplitHostPort(c.API)
	if err != nil {
		return "https://" + c.Host
	}
	return "https://" + net.JoinHostPort(c.Host, port)
}
