package engine

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/strongroom/strongroom/internal/driver/containerd"
	"github.com/strongroom/strongroom/internal/supervise"
)

// collect has a Go runtime collect at a quarter more than what is alive, instead
// of at twice as much: these processes hold little and do so at rest, so what
// would be left to collect is most of their memory, and collecting is cheap.
const collect = "GOGC=25"

// output is where a child's own log goes.
func (e *engine) output(name string) string {
	return filepath.Join(e.cfg.engineData(), name+".log")
}

// containerdSpec keeps the shims, which hold the containers, out of its end.
func (e *engine) containerdSpec(daemon containerd.Daemon, args []string) supervise.Spec {
	return supervise.Spec{
		Name: "containerd", Args: args, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", collect},
		Output: e.output("containerd"), Probe: supervise.ProbeSocket(daemon.Socket), KeepDescendants: true, OOMScoreAdj: -900,
		Umask: 0o022, // containers reach their root file system through its directories
	}
}

func (e *engine) spoolSpec() supervise.Spec {
	run := filepath.Join(e.cfg.Run, "spool")
	control := filepath.Join(run, "supervise.sock")
	return supervise.Spec{
		Name: "spool", Args: spoolArgs{Dir: e.cfg.logData(), Run: run, Control: control}.line(e.cfg.Program), Env: []string{collect},
		UID: e.cfg.SpoolUID, GID: e.cfg.SpoolUID, Output: e.output("spool"), NoNewPrivs: true, OOMScoreAdj: -900,
		Listen:  []supervise.Listen{{Network: "unix", Address: e.cfg.spoolSocket(), Mode: 0o600}},
		Control: control, Build: e.build,
	}
}

// edgeSpec has no name if there is to be no edge.
func (e *engine) edgeSpec() supervise.Spec {
	if e.cfg.HTTPS == "" {
		return supervise.Spec{}
	}
	run := filepath.Join(e.cfg.Run, "edge")
	control := filepath.Join(run, "supervise.sock")
	listen := []supervise.Listen{
		{Network: "unix", Address: e.cfg.edgeSocket(), Mode: 0o600},
		{Network: "tcp", Address: e.cfg.HTTPS},
	}
	if e.cfg.HTTP != "" {
		listen = append(listen, supervise.Listen{Network: "tcp", Address: e.cfg.HTTP})
	}
	return supervise.Spec{
		Name: "edge", Args: edgeArgs{Table: filepath.Join(run, "table.json"), Control: control, Redirect: e.cfg.HTTP != ""}.line(e.cfg.Program), Env: []string{collect},
		UID: e.cfg.EdgeUID, GID: e.cfg.EdgeUID, Output: e.output("edge"), NoNewPrivs: true, OOMScoreAdj: -500,
		Listen: listen, Control: control, Build: e.build,
	}
}

// routerName is what the supervisor calls a space's router.
func routerName(space string) string { return "router-" + space }

// The sockets of a space's router.
func (e *engine) handover(space string) string {
	return filepath.Join(e.cfg.routers(), space+".sock")
}

func (e *engine) routerControl(space string) string {
	return filepath.Join(e.cfg.routers(), space+".control")
}

// routerSpec is given the writing end of the access log.
func (e *engine) routerSpec(g containerd.Gate, access *os.File) supervise.Spec {
	uid := RouterUID + g.Index
	control := filepath.Join(e.cfg.routers(), g.Space, "supervise.sock")
	return supervise.Spec{
		Name: routerName(g.Space), Args: routerArgs{Space: g.Space, Edge: e.cfg.EdgeUID, Control: control}.line(e.cfg.Program), Env: []string{collect},
		UID: uid, GID: uid, NetNS: g.NetNS, Output: e.output(routerName(g.Space)), NoNewPrivs: true,
		Files: []*os.File{access},
		Listen: []supervise.Listen{
			{Network: "unixpacket", Address: e.handover(g.Space), Mode: 0o600, UID: e.cfg.EdgeUID, GID: e.cfg.EdgeUID},
			{Network: "unix", Address: e.routerControl(g.Space), Mode: 0o600},
		},
		Control: control, Build: e.build,
		Grace: routerGrace,
	}
}

// option writes one argument.
func option(name, value string) string { return "--" + name + "=" + value }

// The arguments of the children, in the one form in which they are written and
// read.
type (
	spoolArgs struct{ Dir, Run, Control string }
	edgeArgs  struct {
		Table, Control string
		Redirect       bool
	}
	routerArgs struct {
		Space   string
		Edge    int
		Control string
	}
)

func (a spoolArgs) line(program string) []string {
	return []string{program, "spool", option("dir", a.Dir), option("run", a.Run), option("control", a.Control)}
}

func (a edgeArgs) line(program string) []string {
	return []string{program, "edge", option("table", a.Table), option("control", a.Control), option("redirect", strconv.FormatBool(a.Redirect))}
}

func (a routerArgs) line(program string) []string {
	return []string{program, "router", option("space", a.Space), option("edge-uid", strconv.Itoa(a.Edge)), option("control", a.Control)}
}
