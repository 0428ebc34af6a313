package buildpack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bench lays out what the runner script works on, on this host.
type bench struct {
	*testing.T
	root string
}

func newBench(t *testing.T, order string) bench {
	b := bench{t, t.TempDir()}
	for _, dir := range []string{"app", "cache", "input/env", "input/buildpacks", "work"} {
		if err := os.MkdirAll(filepath.Join(b.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.write("input/order", order)
	b.write("input/run.sh", string(Runner))
	return b
}

func (b bench) write(name, content string) {
	b.Helper()
	name = filepath.Join(b.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
		b.Fatal(err)
	}
}

func (b bench) read(name string) string {
	b.Helper()
	raw, err := os.ReadFile(filepath.Join(b.root, name))
	if err != nil {
		b.Error(err)
	}
	return string(raw)
}

func (b bench) run(env ...string) (string, int) {
	cmd := exec.Command("bash", filepath.Join(b.root, "input/run.sh"))
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.root, "MODE=all", "GIT_CONFIG_NOSYSTEM=1",
		"APP_DIR=" + b.root + "/app", "CACHE_DIR=" + b.root + "/cache", "INPUT_DIR=" + b.root + "/input", "WORK_DIR=" + b.root + "/work",
	}, env...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

const gitPack = `mkdir -p bin
printf '#!/bin/sh\necho FromGit\n' > bin/detect
printf '#!/bin/sh\necho compiled > "$1/made"\n' > bin/compile
chmod +x bin/*
git init -q -b main . && git add -A && git -c user.name=a -c user.email=a@b commit -q -m x && git tag v1
git rm -q -r bin && git -c user.name=a -c user.email=a@b commit -q -m gone`

func TestRunnerFetchesGitBuildpack(t *testing.T) {
	remote := t.TempDir()
	cmd := exec.Command("sh", "-c", gitPack)
	cmd.Dir = remote
	cmd.Env = append(os.Environ(), "HOME="+remote)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	b := newBench(t, "0\tgit\tfile://"+remote+"\tv1\n")
	out, code := b.run("GIT_ALLOW=file")
	if code != 0 || !strings.Contains(out, "-----> FromGit app detected") {
		t.Fatalf("exit %d:\n%s", code, out)
	}
	if b.read("app/made") != "compiled\n" || b.read("work/out/0.name") != "FromGit\n" || len(strings.TrimSpace(b.read("work/out/0.commit"))) != 40 {
		t.Errorf("results are not there:\n%s", out)
	}

	// The newest commit is no buildpack; without its tag it is what one gets.
	b = newBench(t, "0\tgit\tfile://"+remote+"\t\n")
	if out, code := b.run("GIT_ALLOW=file"); code != 93 || !strings.Contains(out, "no bin/detect") {
		t.Errorf("exit %d:\n%s", code, out)
	}

	// Nothing but https in production.
	b = newBench(t, "0\tgit\tfile://"+remote+"\tv1\n")
	if out, code := b.run(); code != 92 || !strings.Contains(out, "not allowed") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	b = newBench(t, "0\tgit\text::sh -c 'touch "+b.root+"/pwned'\t\n")
	if out, code := b.run(); code != 92 {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestRunnerStopsAtTheFirstFailure(t *testing.T) {
	b := newBench(t, "0\tdirectory\tone\t\n1\tdirectory\ttwo\t\n")
	b.write("input/buildpacks/0/bin/detect", "#!/bin/sh\n")
	b.write("input/buildpacks/0/bin/compile", "#!/bin/sh\nread x && echo got input; exit 5\n")
	b.write("input/buildpacks/1/bin/detect", "#!/bin/sh\n")
	b.write("input/buildpacks/1/bin/compile", "#!/bin/sh\necho second ran\n")
	out, code := b.run()
	if code != 1 || strings.Contains(out, "second ran") || strings.Contains(out, "got input") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestRunnerTrustsTheOperatorsAuthorities(t *testing.T) {
	b := newBench(t, "0\tdirectory\tone\t\n")
	b.write("input/ca.pem", "EXTRA AUTHORITY\n")
	b.write("input/buildpacks/0/bin/detect", "#!/bin/sh\n")
	b.write("input/buildpacks/0/bin/compile", "#!/bin/sh\ncat $NODE_EXTRA_CA_CERTS; tail -n 1 $SSL_CERT_FILE $GIT_SSL_CAINFO $CURL_CA_BUNDLE\n")
	if out, code := b.run(); code != 0 || strings.Count(out, "EXTRA AUTHORITY") != 4 {
		t.Errorf("exit %d:\n%s", code, out)
	}
}
