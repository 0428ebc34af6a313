//go:build integration

package gateway

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// openSSH returns the command of the real client with a key and a known host.
func openSSH(t *testing.T, l *sshLab, a access, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	host, port, err := net.SplitHostPort(l.addr)
	must(t, err)
	key, known := filepath.Join(dir, "key"), filepath.Join(dir, "known")
	line := fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(l.hostKey))
	must(t, os.WriteFile(key, a.key, 0o600), os.WriteFile(known, []byte(line), 0o600))
	common := []string{
		"-F", "none", "-i", key, "-p", port, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + known,
	}
	return exec.CommandContext(t.Context(), "ssh", append(append(common, args...), BastionUser+"@"+host)...)
}

func TestOpenSSHForward(t *testing.T) {
	l := newSSHLab(t, nil)
	a := l.grant(t)
	cmd := openSSH(t, l, a, "-W", database)
	data := strings.Repeat("0123456789", 100_000)
	cmd.Stdin = strings.NewReader(data)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	if err != nil || string(got) != data {
		t.Fatalf("%d bytes, %v\n%s", len(got), err, stderr.String())
	}
	if end := a.end(t); end.Channels != 1 || end.In != 1_000_000 || end.Out != 1_000_000 || end.Reason != EndedDisconnect {
		t.Errorf("%+v", end)
	}
}

func TestOpenSSHLocalForward(t *testing.T) {
	l := newSSHLab(t, nil)
	a := l.grant(t)
	local := freePort(t)
	cmd := openSSH(t, l, a, "-N", "-o", "ExitOnForwardFailure=yes", "-L", local+":"+database)
	must(t, cmd.Start())
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for range 2 {
		c := dialSoon(t, local)
		send(t, c, "hello")
		readUntil(t, c, "hello")
		c.Close()
	}
	must(t, cmd.Process.Signal(os.Interrupt))
	if end := a.end(t); end.Channels != 2 || end.In != 10 {
		t.Errorf("%+v", end)
	}
}

// What else an SSH client can ask for is refused, in the client's own words.
func TestOpenSSHRefusals(t *testing.T) {
	l := newSSHLab(t, func(c *BastionConfig) { c.Limits.Failures = 100 })
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"shell":          {nil, "only forwarding to the database is possible here"},
		"another host":   {[]string{"-W", "127.0.0.1:22"}, "this key is for another destination"},
		"back":           {[]string{"-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:" + database}, "remote port forwarding failed"},
		"group 14":       {[]string{"-o", "KexAlgorithms=diffie-hellman-group14-sha256", "-W", database}, "no matching key exchange method found"},
		"chacha20":       {[]string{"-o", "Ciphers=chacha20-poly1305@openssh.com", "-W", database}, "no matching cipher found"},
		"25519 host key": {[]string{"-o", "HostKeyAlgorithms=ssh-ed25519", "-W", database}, "no matching host key type found"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := openSSH(t, l, l.grant(t), tt.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	t.Run("used key", func(t *testing.T) {
		a := l.grant(t)
		first := openSSH(t, l, a, "-W", database)
		first.Stdin = strings.NewReader("x")
		must(t, first.Run())
		if out, err := openSSH(t, l, a, "-W", database).CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied (publickey)") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// dialSoon connects to what another process is about to listen on.
func dialSoon(t *testing.T, addr string) net.Conn {
	t.Helper()
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nothing listens on %s", addr)
	return nil
}
