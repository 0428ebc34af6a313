package driver

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"path"
	"strings"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/egress"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// Bounds that every engine keeps, whatever its caller asks for.
const (
	MaxQuantity = 100
	maxArgs     = 4096
	maxEnv      = 4096
)

var (
	dnsName   = pattern.New(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.){0,4}[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dynoName  = pattern.New(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	imageName = pattern.New(`^sha256:[0-9a-f]{64}$`)
	hostName  = pattern.New(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// CheckID refuses what is not a UUID in its usual form. Engines name
// directories, cgroups and namespaces by these ids.
func CheckID(what, id string) error {
	if u, err := uuid.Parse(id); err != nil || u.String() != id {
		return fault.New(fault.Invalid, "The %s id %q is not a UUID.", what, id)
	}
	return nil
}

// Validate refuses a space that an engine could not set up as meant.
func (s Space) Validate() error {
	if err := CheckID("space", s.ID); err != nil {
		return err
	}
	for _, cidr := range s.Trusted {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			return fault.New(fault.Invalid, "The trusted range %q is not a CIDR.", cidr)
		}
	}
	for _, o := range s.Outbound {
		if err := o.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (o Outbound) validate() error {
	if o.Name != "" {
		if o.CIDR != "" || !egress.ValidName(o.Name) {
			return fault.New(fault.Invalid, "The outbound name %q is none, or there is a range %q beside it.", o.Name, o.CIDR)
		}
	} else if _, err := netip.ParsePrefix(o.CIDR); err != nil {
		return fault.New(fault.Invalid, "The outbound range %q is not a CIDR.", o.CIDR)
	}
	switch o.Protocol {
	case "tcp", "udp", "any":
	default:
		return fault.New(fault.Invalid, "The outbound protocol %q is not tcp, udp or any.", o.Protocol)
	}
	if o.FromPort < 0 || o.ToPort > 65535 || o.FromPort > o.ToPort {
		return fault.New(fault.Invalid, "The outbound ports %d to %d are not a range.", o.FromPort, o.ToPort)
	}
	return nil
}

// Validate refuses a volume without a full key.
func (v Volume) Validate() error {
	if err := CheckID("volume", v.ID); err != nil {
		return err
	}
	if err := CheckID("space", v.Space); err != nil {
		return err
	}
	if len(v.Key) != 64 || v.Bytes < 0 {
		return fault.New(fault.Invalid, "A volume needs a key of 64 bytes and a size.")
	}
	return nil
}

// Validate refuses a formation that an engine could not run as meant.
func (f Formation) Validate() error {
	if err := CheckID("formation", f.ID); err != nil {
		return err
	}
	if err := CheckID("space", f.Space); err != nil {
		return err
	}
	if len(f.Name) > 200 || !dnsName.MatchString(f.Name) {
		return fault.New(fault.Invalid, "The formation name %q is not a DNS name of up to five labels.", f.Name)
	}
	if f.Quantity < 0 || f.Quantity > MaxQuantity {
		return fault.New(fault.Invalid, "A formation has 0 to %d instances.", MaxQuantity)
	}
	if f.Grace < 0 || f.Boot < 0 {
		return fault.New(fault.Invalid, "A formation's times cannot be negative.")
	}
	if err := f.Labels.validate(); err != nil {
		return err
	}
	return f.Process.validate()
}

// Validate refuses a task that an engine could not run as meant.
func (t Task) Validate() error {
	if err := CheckID("task", t.ID); err != nil {
		return err
	}
	if err := CheckID("space", t.Space); err != nil {
		return err
	}
	if !dynoName.MatchString(t.Name) {
		return fault.New(fault.Invalid, "The task name %q is not a dyno name.", t.Name)
	}
	if t.TTY && !t.Attach {
		return fault.New(fault.Invalid, "A terminal needs an attached task.")
	}
	if t.Timeout < 0 {
		return fault.New(fault.Invalid, "A task's timeout cannot be negative.")
	}
	if err := t.Labels.validate(); err != nil {
		return err
	}
	return t.Process.validate()
}

// Validate refuses an exec without a command.
func (e Exec) Validate() error {
	if err := CheckID("exec", e.ID); err != nil {
		return err
	}
	if err := CheckID("container", e.Container); err != nil {
		return err
	}
	if len(e.Args) == 0 || e.Args[0] == "" || len(e.Args) > maxArgs {
		return fault.New(fault.Invalid, "A command is needed.")
	}
	return checkEnv(e.Env)
}

// Validate refuses routes that a router could not serve: one that is wrong
// would keep all others from taking effect. A route without a certificate is
// right, and not served until it has one.
func (r Routes) Validate() error {
	if err := CheckID("space", r.Space); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, d := range r.Domains {
		if err := d.validate(); err != nil {
			return err
		}
		if seen[d.Hostname] {
			return fault.New(fault.Invalid, "The hostname %s is routed twice.", d.Hostname)
		}
		seen[d.Hostname] = true
	}
	return nil
}

// validate does not say what is in the PEM: it holds the key.
func (r Route) validate() error {
	if len(r.Hostname) > 253 || !hostName.MatchString(r.Hostname) {
		return fault.New(fault.Invalid, "The hostname %q cannot be routed.", r.Hostname)
	}
	switch r.MinTLS {
	case "", "1.2", "1.3":
	default:
		return fault.New(fault.Invalid, "The minimum TLS version of %s is neither 1.2 nor 1.3.", r.Hostname)
	}
	if r.Clients != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(r.Clients)) {
		return fault.New(fault.Invalid, "The authorities of the clients of %s cannot be read.", r.Hostname)
	}
	if r.Certificate == "" && r.Key == "" {
		return nil
	}
	if _, err := tls.X509KeyPair([]byte(r.Certificate), []byte(r.Key)); err != nil {
		return fault.New(fault.Invalid, "The certificate and key of %s cannot be used.", r.Hostname)
	}
	return nil
}

func (l Labels) validate() error {
	if l.App != "" {
		if err := CheckID("app", l.App); err != nil {
			return err
		}
	}
	if !dynoName.MatchString(l.Type) {
		return fault.New(fault.Invalid, "The process type %q is not a name.", l.Type)
	}
	return nil
}

func (p Process) validate() error {
	switch {
	case !imageName.MatchString(p.Image):
		return fault.New(fault.Invalid, "The image %q is not a manifest digest.", p.Image)
	case len(p.Args) == 0 || p.Args[0] == "" || len(p.Args) > maxArgs:
		return fault.New(fault.Invalid, "A command is needed.")
	case p.UID < 0 || p.UID > 65534:
		return fault.New(fault.Invalid, "The user id %d is not between 0 and 65534.", p.UID)
	case p.Port < 0 || p.Port > 65535:
		return fault.New(fault.Invalid, "The port %d is not a port.", p.Port)
	case p.Limits.MemoryBytes < 0 || p.Limits.CPUMillis < 0 || p.Limits.PIDs < 0:
		return fault.New(fault.Invalid, "Limits cannot be negative.")
	case p.Dir != "" && !path.IsAbs(p.Dir):
		return fault.New(fault.Invalid, "The working directory %q is not absolute.", p.Dir)
	}
	for _, m := range p.Mounts {
		if err := m.validate(); err != nil {
			return err
		}
	}
	return checkEnv(p.Env)
}

func (m Mount) validate() error {
	if err := CheckID("volume", m.Volume); err != nil {
		return err
	}
	if err := CheckDir(m.Dir); err != nil {
		return err
	}
	if !path.IsAbs(m.Path) || path.Clean(m.Path) != m.Path || m.Path == "/" {
		return fault.New(fault.Invalid, "The mount path %q is not a plain absolute path.", m.Path)
	}
	for _, own := range []string{"/proc", "/sys", "/dev"} {
		if m.Path == own || strings.HasPrefix(m.Path, own+"/") {
			return fault.New(fault.Invalid, "Nothing can be mounted below %s.", own)
		}
	}
	return nil
}

// CheckDir refuses a directory of a volume that is not a plain relative path.
func CheckDir(dir string) error {
	if dir == "" {
		return nil
	}
	if path.IsAbs(dir) || path.Clean(dir) != dir || dir == ".." || strings.HasPrefix(dir, "../") || strings.ContainsRune(dir, 0) {
		return fault.New(fault.Invalid, "The directory %q is not a plain path inside the volume.", dir)
	}
	return nil
}

// checkEnv does not say values: they may be secrets.
func checkEnv(env []EnvVar) error {
	if len(env) > maxEnv {
		return fault.New(fault.Invalid, "More than %d environment variables.", maxEnv)
	}
	for _, e := range env {
		if e.Name == "" || strings.ContainsAny(e.Name, "=\x00") || strings.ContainsRune(e.Value, 0) {
			return fault.New(fault.Invalid, "The environment variable %q cannot be set.", e.Name)
		}
	}
	return nil
}
