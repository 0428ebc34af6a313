//go:build live

package live

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/driver"
)

// TestInside tries, from inside a dyno, what must not work: as the dyno's user,
// and as root, which no app gets and which the engine is asked for here. Each
// attempt is made on the host as well, by the same program, where it must
// succeed, or in a dyno that may; one that could not have succeeded proves
// nothing.
func TestInside(t *testing.T) {
	in := newInsider(t)
	for _, who := range []struct {
		name string
		uid  int
	}{{"user", 1000}, {"root", 0}} {
		t.Run(who.name+" against the kernel", func(t *testing.T) { in.kernel(t, who.uid) })
		t.Run(who.name+" against the host", func(t *testing.T) { in.host(t, who.uid) })
		t.Run(who.name+" against another space", func(t *testing.T) { in.neighbour(t, who.uid) })
	}
	t.Run("by heroku run", in.byRun)
}

// insider is an app in the space other that has the program attempt.
type insider struct {
	*site
	app     string
	image   string // of its release
	program string // attempt, on the host
	engine  driver.Driver
	own     string // id of its space
	clinic  string // id of the space next door
}

func newInsider(t *testing.T) *insider {
	t.Helper()
	tag := strings.ToLower(rand.Text()[:5])
	in := &insider{site: newSite(t), app: "insider-" + tag, program: filepath.Join(t.TempDir(), "attempt")}
	in.engine = in.site.engine(t)
	in.own, in.clinic = in.spaceID(t, "other"), in.spaceID(t, "clinic")

	build := exec.Command("go", "build", "-o", in.program, "./attempt")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build attempt: %v\n%s", err, out)
	}
	in.h(t, "developer", "apps:create", in.app, "--space", "other", "--team", "care", "--no-remote").ok()
	t.Cleanup(func() { in.h(t, "operator", "apps:destroy", "-a", in.app, "--confirm", in.app).ok() })
	dir := in.repository(t, t.TempDir(), in.app, "", map[string]string{
		"package.json": `{"name":"insider","version":"1.0.0","private":true,"engines":{"node":"24.x"}}`,
		"Procfile":     "web: node server.js\n",
		"server.js":    "require('http').createServer((_, r) => r.end('insider " + tag + "')).listen(process.env.PORT, '::');\n",
	})
	program, err := os.ReadFile(in.program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "attempt"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	in.commit(t, dir, "The program that tries")
	in.push(t, in.app, dir)
	c := in.client(t, in.app)
	eventually(t, time.Minute, "the insider answering", func() error {
		_, err := in.get(c, in.app, "/")
		return err
	})
	var app struct{ ID string }
	in.fetch(t, "developer", "/apps/"+in.app, &app)
	for _, f := range in.formations(t) {
		if f.Labels.App == app.ID {
			in.image = f.Process.Image
		}
	}
	if in.image == "" {
		t.Fatal("the engine runs no formation of the app")
	}
	return in
}

func (s *site) spaceID(t *testing.T, name string) string {
	t.Helper()
	var space struct{ ID string }
	if err := json.Unmarshal([]byte(s.h(t, "operator", "spaces:info", name, "--json").ok().out), &space); err != nil {
		t.Fatal(err)
	}
	return space.ID
}

// outcomes are the results by attempt.
type outcomes map[string]outcome

type outcome struct{ Attempt, Result, Read string }

// collect reads what the program says until it has made its attempts.
func collect(t *testing.T, r io.Reader) outcomes {
	t.Helper()
	out := outcomes{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		if text == "done" {
			return out
		}
		var o outcome
		if json.Unmarshal([]byte(text), &o) == nil && o.Attempt != "" {
			out[o.Attempt] = o
		}
	}
	t.Fatalf("the program ended early: %v %v", lines.Err(), out)
	return nil
}

// onHost makes the attempts as root on the host, in name spaces of its own
// where they would change something.
func (in *insider) onHost(t *testing.T, attempts []string) outcomes {
	t.Helper()
	cmd := exec.Command(in.program)
	cmd.Stdin = strings.NewReader(strings.Join(attempts, "\n") + "\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC} // mounts are private then
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("attempts on the host: %v\n%s", err, out)
	}
	return collect(t, bytes.NewReader(out))
}

// inside makes the attempts in a dyno of a space; look is called while its
// process is still there.
func (in *insider) inside(t *testing.T, space string, uid int, peers, attempts []string, look func()) outcomes {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	session, err := in.engine.StartTask(ctx, driver.Task{
		ID: uuid.NewString(), Space: space, Name: "insider.1", Attach: true, Timeout: 3 * time.Minute, Peers: peers,
		Labels: driver.Labels{Source: "heroku", Type: "run"},
		Process: driver.Process{
			Image: in.image, Args: []string{"/app/attempt"}, UID: uid, Dir: "/app",
			Env:    []driver.EnvVar{{Name: "PATH", Value: "/usr/bin:/bin"}},
			Limits: driver.Limits{MemoryBytes: 256 << 20, PIDs: 256},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := io.WriteString(session, strings.Join(attempts, "\n")+"\n\n"); err != nil {
		t.Fatal(err)
	}
	out := collect(t, session)
	if look != nil {
		look()
	}
	return out
}

// refusals are what the kernel says to those who may not, and where there is
// nothing to be seen.
var refusals = []string{"EPERM", "EACCES", "EROFS", "ENOENT", "ESRCH"}

// kernel tries what only root on the host may do.
func (in *insider) kernel(t *testing.T, uid int) {
	mark := "attempt-" + strings.ToLower(rand.Text()[:8])
	victim := exec.Command("sleep", "120")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
	defer removeMarks(mark)
	pid := strconv.Itoa(victim.Process.Pid)
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	must := []string{
		"mount tmpfs /mnt", "mount proc /mnt", "mount cgroup /mnt", "bind / /mnt", "remount /proc", "chroot /",
		"mknod /tmp/" + mark + "-disk b 8 0", "mknod /tmp/" + mark + "-mem c 1 1", "mknod /tmp/" + mark + "-kmsg c 1 11",
		"setns /proc/self/ns/net", "setns /proc/" + pid + "/ns/net", "unshare user", "unshare mount", "unshare net", "unshare pid", "unshare cgroup",
		"kill " + pid, "ptrace " + pid, "rawsocket", "packet", "hostname inside",
		"bpf", "perf", "keyctl", "syslog", "handle /etc/hosts", "swapoff", "module", "kexec",
		"write /proc/sys/kernel/core_pattern " + strings.TrimSpace(string(pattern)), "write /proc/sys/kernel/hostname inside",
		"list /sys/kernel", "list /sys/fs/cgroup", "list " + in.data, "list " + in.run, "list " + in.repo,
		"read /dev/kmsg", "list /proc/" + pid,
	}
	if device := blockDevice(t); device != "" {
		must = append(must, "read "+device)
	}
	own := "/etc/" // that belongs to the user inside
	if uid != 0 {
		own = "/app/"
		must = append(must, "setuid", "create /etc/"+mark+" x", "create /usr/bin/"+mark+" x")
	}
	may := []string{
		"create /tmp/" + mark + " made inside", "create " + own + mark + " made inside",
		"read /proc/self/uid_map", "read /proc/self/status", "list /proc", "list /dev",
	}
	// Of one's own file: the only difference is the capability.
	must = append(must, "chown /tmp/"+mark+" 1")
	attempts := append(slices.Clone(may), must...)

	host := in.onHost(t, append([]string{"create /tmp/" + mark + " made outside"}, must...))
	if err := os.Remove("/tmp/" + mark); err != nil {
		t.Fatal(err)
	}
	base, ids := in.ids(t, in.own)
	got := in.inside(t, in.own, uid, nil, attempts, func() { in.ownedByTheSpace(t, mark, base, base+ids, base+uid) })

	for _, a := range must {
		switch {
		case slices.Contains(refusals, host[a].Result):
			t.Errorf("%s: %s on the host too: the attempt proves nothing", a, host[a].Result)
		case !slices.Contains(refusals, got[a].Result):
			t.Errorf("%s: %q inside (%q on the host)", a, got[a].Result, host[a].Result)
		}
	}
	for _, a := range may {
		if got[a].Result != "ok" {
			t.Errorf("%s: %q", a, got[a].Result)
		}
	}
	var first, at, size int
	if _, err := fmt.Sscan(got["read /proc/self/uid_map"].Read, &first, &at, &size); err != nil || first != 0 || at != base || size != ids {
		t.Errorf("the uid map is %q, want 0 %d %d", got["read /proc/self/uid_map"].Read, base, ids)
	}
	status := got["read /proc/self/status"].Read
	for _, want := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want+"\n") {
			t.Errorf("the process's status lacks %q:\n%s", want, status)
		}
	}
	known := []string{"console", "core", "fd", "full", "init", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
	for name := range strings.FieldsSeq(got["list /dev"].Read) {
		if !slices.Contains(known, name) {
			t.Errorf("there is a device /dev/%s", name)
		}
	}
	for name := range strings.FieldsSeq(got["list /proc"].Read) {
		if n, err := strconv.Atoi(name); err == nil && n > 100 {
			t.Errorf("there is a process %d", n)
		}
	}
}

// removeMarks removes what the attempts made on the host.
func removeMarks(mark string) {
	for _, dir := range []string{"/tmp", "/etc", "/usr/bin"} {
		made, _ := filepath.Glob(filepath.Join(dir, mark+"*"))
		for _, name := range made {
			_ = os.Remove(name)
		}
	}
}

// blockDevice is one that root can read, "" if there is none.
func blockDevice(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("/sys/class/block/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		f, err := os.Open("/dev/" + filepath.Base(n))
		if err != nil {
			continue
		}
		_, err = f.Read(make([]byte, 512))
		f.Close()
		if err == nil {
			return "/dev/" + filepath.Base(n)
		}
	}
	return ""
}

func (in *insider) ids(t *testing.T, space string) (base, count int) {
	t.Helper()
	for _, s := range in.observe(t, in.engine).Spaces {
		if s.ID == space {
			return s.UIDBase, s.UIDs
		}
	}
	t.Fatalf("the engine does not know the space %s", space)
	return 0, 0
}

// ownedByTheSpace looks from the host: at the process, and at the files that it
// made.
func (in *insider) ownedByTheSpace(t *testing.T, mark string, from, to, want int) {
	t.Helper()
	if from < 100_000 {
		t.Errorf("the space's ids begin at %d", from)
	}
	found := 0
	err := filepath.WalkDir(filepath.Join(in.data, "engine/volumes/mnt"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // what others remove meanwhile
		}
		if e.Name() != mark {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		found++
		if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != want {
			t.Errorf("%s belongs to uid %d on the host, want %d", path, uid, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if found != 2 {
		t.Errorf("%d files that were made inside are found on the host, want 2", found)
	}
	processes := 0
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Error(err)
	}
	for _, p := range all {
		line, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(line, []byte("/app/attempt")) {
			continue
		}
		info, err := os.Stat(filepath.Dir(p))
		if err != nil {
			continue
		}
		uid := int(info.Sys().(*syscall.Stat_t).Uid)
		if uid >= from && uid < to {
			processes++
		}
		if uid == 0 {
			t.Errorf("the process %s is root on the host", filepath.Dir(p))
		}
	}
	if processes == 0 {
		t.Error("the process is not seen on the host")
	}
}

// host tries to reach the host: what listens there, the metadata services of
// clouds, the platform's sockets.
func (in *insider) host(t *testing.T, uid int) {
	l, err := net.Listen("tcp", ":0") // a service on every address of the host
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	abstract := "@strongroom-" + rand.Text()
	u, err := net.Listen("unix", abstract)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	metadata := metadataServices(t)

	attempts := hostServices(t)
	attempts = append(attempts, metadata...)
	attempts = append(attempts, in.sockets(t)...)
	attempts = append(attempts, "unix "+abstract)
	everywhere := "tcp " + net.JoinHostPort(hostAddresses(t)[0].String(), strconv.Itoa(l.Addr().(*net.TCPAddr).Port))

	host := in.onHost(t, attempts)
	resolver := "dns 169.254.1.1:53 web." + in.app + ".app.localspace"
	got := in.inside(t, in.own, uid, nil, append(attempts, resolver, "tcp 169.254.1.1:53"), nil)
	for _, a := range []string{resolver, "tcp 169.254.1.1:53"} {
		if got[a].Result != "ok" {
			t.Errorf("%s: %q: the dyno does not even reach its own resolver", a, got[a].Result)
		}
	}
	must := append([]string{everywhere, "unix " + abstract, "tcp " + in.edge, in.apiAttempt()}, metadata...)
	for _, name := range []string{"engine.sock", "edge.sock", "spool.sock", "engine/containerd.sock"} {
		must = append(must, "unix "+filepath.Join(in.run, name))
	}
	for _, a := range must {
		if host[a].Result != "ok" {
			t.Errorf("%s: %q on the host: the attempt proves nothing", a, host[a].Result)
		}
	}
	reached := 0
	for _, a := range attempts {
		if host[a].Result == "ok" {
			reached++
		}
		if got[a].Result == "ok" || got[a].Result == "" || got[a].Result == "unknown" {
			t.Errorf("%s: %q inside", a, got[a].Result)
		}
	}
	t.Logf("%d attempts, of which %d succeed on the host and none inside", len(attempts), reached)
}

// apiAttempt is the attempt at the API.
func (s *site) apiAttempt() string {
	return "tcp 127.0.0.1" + strings.TrimPrefix(s.api, "https://localhost")
}

// hostAddresses are those of the host but for the loopback's.
func hostAddresses(t *testing.T) []netip.Addr {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var out []netip.Addr
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		out = append(out, p.Addr())
	}
	if len(out) == 0 {
		t.Fatal("the host has no address but the loopback's")
	}
	return out
}

// hostServices are attempts at everything that listens on the host, at every
// address where it might be reached.
func hostServices(t *testing.T) []string {
	t.Helper()
	addresses := append(hostAddresses(t), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("169.254.1.1"))
	set := map[string]bool{}
	for _, at := range listeners(t) {
		// Port 53 of the resolver's address is the space's own.
		for _, a := range append(addresses, at.Addr()) {
			if a.IsUnspecified() || a.String() == "169.254.1.1" && at.Port() == 53 {
				continue
			}
			set["tcp "+netip.AddrPortFrom(a, at.Port()).String()] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// listeners are the TCP sockets that listen on the host.
func listeners(t *testing.T) []netip.AddrPort {
	t.Helper()
	var out []netip.AddrPort
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a host without IPv6
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != "0A" {
				continue
			}
			address, port, _ := strings.Cut(f[1], ":")
			raw, err := hex.DecodeString(address)
			n, err2 := strconv.ParseUint(port, 16, 16)
			if err != nil || err2 != nil {
				t.Fatalf("%s: %s", file, line)
			}
			for i := 0; i+4 <= len(raw); i += 4 { // words in the host's order
				slices.Reverse(raw[i : i+4])
			}
			a, _ := netip.AddrFromSlice(raw)
			out = append(out, netip.AddrPortFrom(a.Unmap(), uint16(n)))
		}
	}
	return out
}

// metadataServices listens where clouds have their metadata services, on the
// host's loopback interface, for the time of the test.
func metadataServices(t *testing.T) []string {
	t.Helper()
	var attempts []string
	for _, a := range []string{"169.254.169.254/32", "fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"} {
		p := netip.MustParsePrefix(a)
		at := netip.AddrPortFrom(p.Addr(), 80).String()
		if c, err := net.DialTimeout("tcp", at, time.Second); err == nil {
			c.Close() // this host is in such a cloud
		} else {
			if out, err := exec.Command("ip", "address", "add", a, "dev", "lo").CombinedOutput(); err != nil {
				if p.Addr().Is6() {
					t.Logf("this host has no IPv6: %s", out)
					continue
				}
				t.Fatalf("ip address add %s: %v %s", a, err, out)
			}
			t.Cleanup(func() { _ = exec.Command("ip", "address", "del", a, "dev", "lo").Run() })
			var l net.Listener
			eventually(t, 5*time.Second, "listening on "+at, func() (err error) { // an IPv6 address takes its time
				l, err = net.Listen("tcp", at)
				return err
			})
			t.Cleanup(func() { l.Close() })
		}
		attempts = append(attempts, "tcp "+at)
	}
	return attempts
}

// sockets are attempts at the unix sockets of the platform, and at every
// abstract one on the host.
func (in *insider) sockets(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(in.run, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&fs.ModeSocket != 0 {
			out = append(out, "unix "+path, "unix /proc/1/root"+path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 8 && strings.HasPrefix(f[7], "@") {
			out = append(out, "unix "+f[7])
		}
	}
	return out
}

// neighbour tries to reach another space's dynos, database, router and names.
func (in *insider) neighbour(t *testing.T, uid int) {
	o := in.observe(t, in.engine)
	formations := map[string][]string{} // by space
	for _, f := range o.Formations {
		formations[f.Space] = append(formations[f.Space], f.ID)
	}
	at := func(space string) (attempts []string) {
		for _, i := range o.Instances {
			if !slices.Contains(formations[space], i.Formation) || i.Address == "" {
				continue
			}
			for _, port := range []string{"5000", "5432", "22"} {
				attempts = append(attempts, "tcp "+net.JoinHostPort(i.Address, port))
			}
		}
		return attempts
	}
	names := []string{"dns 169.254.1.1:53 web.intake.app.localspace"}
	theirs := append(at(in.clinic), names...)
	mine := append(at(in.own), "dns 169.254.1.1:53 web."+in.app+".app.localspace", "dns 169.254.1.1:53 web.echo.app.localspace")
	router := in.routerAddresses(t, in.clinic)

	// What the clinic's own dyno with the database attached reaches.
	control := in.inside(t, in.clinic, 1000, formations[in.clinic], theirs, nil)
	web, database, reached := false, false, []string{}
	for _, a := range theirs {
		if control[a].Result != "ok" {
			continue
		}
		reached = append(reached, a)
		web, database = web || strings.HasSuffix(a, ":5000"), database || strings.HasSuffix(a, ":5432")
	}
	if !web || !database || control[names[0]].Result != "ok" {
		t.Errorf("the clinic's own dyno reaches only %v: the attempts prove nothing", reached)
	}
	got := in.inside(t, in.own, uid, formations[in.clinic], slices.Concat(theirs, router, mine), nil)
	for _, a := range slices.Concat(theirs, router) {
		if got[a].Result == "ok" || got[a].Result == "" {
			t.Errorf("%s: %q from the space other", a, got[a].Result)
		}
	}
	mineReached := 0
	for _, a := range mine {
		if got[a].Result == "ok" {
			mineReached++
		}
	}
	if mineReached < 4 { // two dynos, two names
		t.Errorf("the dyno reaches only %d of its own space: the attempts prove nothing: %v", mineReached, got)
	}
	// And in the other direction: the space other has a way out, so an address.
	back := in.inside(t, in.clinic, uid, formations[in.own], slices.Concat(mine, in.routerAddresses(t, in.own)), nil)
	for a, o := range back {
		if o.Result == "ok" {
			t.Errorf("%s: reached from the clinic", a)
		}
	}
	t.Logf("the clinic's dyno reaches %v; the insider none of them", reached)
}

// routerAddresses are attempts at the addresses of a space's own network
// namespace, where its router and resolver are: at what listens there, and at
// the router's usual ports.
func (in *insider) routerAddresses(t *testing.T, space string) []string {
	t.Helper()
	pid := ""
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		line, err := os.ReadFile(p)
		if err == nil && bytes.HasPrefix(line, []byte(in.site.program+"\x00router\x00")) && bytes.Contains(line, []byte("--space="+space)) {
			pid = filepath.Base(filepath.Dir(p))
		}
	}
	if pid == "" {
		t.Fatalf("the space %s has no router", space)
	}
	out, err := exec.Command("nsenter", "-t", pid, "-n", "ip", "-o", "address").Output()
	if err != nil {
		t.Fatal(err)
	}
	var attempts []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		p, err := netip.ParsePrefix(f[3])
		// The loopback and the resolver's address are the same in every space.
		if err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		for _, port := range []string{"53", "80", "443", "22"} {
			attempts = append(attempts, "tcp "+net.JoinHostPort(p.Addr().String(), port))
		}
		attempts = append(attempts, "dns "+net.JoinHostPort(p.Addr().String(), "53")+" web.intake.app.localspace")
	}
	return attempts
}

// byRun makes attempts by the way that people have: heroku run.
func (in *insider) byRun(t *testing.T) {
	attempts := []string{
		"mount tmpfs /mnt", "unshare user", "setuid", in.apiAttempt(),
		"unix " + in.run + "/engine.sock", "dns 169.254.1.1:53 web.intake.app.localspace", "dns 169.254.1.1:53 web." + in.app + ".app.localspace",
	}
	r := in.command(t, "developer", in.out, "sh", "-c", `printf '%s\n' "$2" | "$0" heroku run --no-tty --exit-code -a "$1" -- ./attempt`,
		in.site.program, in.app, strings.Join(attempts, "\n")+"\n").ok()
	got := collect(t, strings.NewReader(r.out))
	for i, a := range attempts {
		if allowed := i == len(attempts)-1; (got[a].Result == "ok") != allowed || got[a].Result == "" {
			t.Errorf("%s: %q by heroku run", a, got[a].Result)
		}
	}
}
