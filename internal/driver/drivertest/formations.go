package drivertest

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

func keepsFormation(b *bench) {
	f := b.web(2)
	b.apply(f)
	b.apply(f)
	first := b.settled(f)
	if first[0].Address == first[1].Address || first[0].Address == "" {
		b.Errorf("addresses %q and %q", first[0].Address, first[1].Address)
	}
	if got, err := b.ask(f, "hello"); err != nil || got != "one hello" {
		b.Errorf("answer %q, %v", got, err)
	}

	f.Quantity = 3
	b.apply(f)
	more := b.settled(f)
	if more[0].ID != first[0].ID || more[1].ID != first[1].ID {
		b.Error("scaling up replaced instances")
	}

	f.Quantity = 1
	b.apply(f)
	if fewer := b.settled(f); fewer[0].ID != first[0].ID {
		b.Error("scaling down replaced the instance that stays")
	}

	b.must("remove formation", b.driver.RemoveFormation(b.Context(), f.ID))
	b.must("remove it again", b.driver.RemoveFormation(b.Context(), f.ID))
	b.eventually("no formation and no instance", func(o driver.Observation) bool {
		for _, seen := range o.Formations {
			if seen.ID == f.ID {
				return false
			}
		}
		return states(o, f) == ""
	})
	_, err := b.driver.Dial(b.Context(), f.ID, f.Process.Port)
	b.wantFault("dial a removed formation", err, fault.NotFound)
}

func rolls(b *bench) {
	f := b.web(2)
	b.apply(f)
	old := b.settled(f)

	f.Revision = "2"
	f.Process.Env[1].Value = "two"
	b.apply(f)
	b.eventually("revision 2 alone", func(o driver.Observation) bool {
		up, fresh := 0, 0
		for _, i := range instances(o, f.ID) {
			if i.State == driver.Up {
				up++
				if i.Revision == "2" {
					fresh++
				}
			}
		}
		if up < 2 {
			b.Errorf("while rolling: %s", states(o, f))
		}
		if got := ready(o, f); got != fresh {
			b.Errorf("%d ready of revision 2, observed as %d", fresh, got)
		}
		if _, err := b.ask(f, "still there?"); err != nil {
			b.Errorf("while rolling: %v", err)
		}
		return states(o, f) == "1:up@2 2:up@2"
	})
	if got, err := b.ask(f, "hello"); err != nil || got != "two hello" {
		b.Errorf("answer %q, %v", got, err)
	}
	if now := b.settled(f); now[0].ID == old[0].ID {
		b.Error("the instance is the same")
	}
}

func ready(o driver.Observation, f driver.Formation) int {
	for _, seen := range o.Formations {
		if seen.ID == f.ID {
			return seen.Ready
		}
	}
	return -1
}

func replaces(b *bench) {
	f := b.web(2)
	f.Rolling = false
	b.apply(f)
	b.settled(f)

	f.Revision = "2"
	b.apply(f)
	b.eventually("revision 2 alone", func(o driver.Observation) bool {
		seen := states(o, f)
		if strings.Contains(seen, "@1") && strings.Contains(seen, "@2") {
			b.Errorf("two revisions at once: %s", seen)
		}
		return seen == "1:up@2 2:up@2"
	})
}

// drains checks that an instance that is drained keeps its grace, and no more.
func drains(b *bench) {
	f := b.worker("say began", "env DYNO", "linger 30s", "wait")
	f.Grace = b.Patience / 4
	b.apply(f)
	b.settled(f)
	b.wantLog(f.Labels.App, "DYNO=worker.1")
	time.Sleep(b.Patience / 20) // for the program to come to its second statement
	begun := time.Now()
	b.must("remove formation", b.driver.RemoveFormation(b.Context(), f.ID))
	b.eventually("a draining instance", func(o driver.Observation) bool {
		return states(o, f) == "1:draining@1"
	})
	b.eventually("no instance", func(o driver.Observation) bool { return states(o, f) == "" })
	if took := time.Since(begun); took < f.Grace {
		b.Errorf("gone after %v, its grace is %v", took, f.Grace)
	}
}

func crashes(b *bench) {
	f := b.worker("say here we go", "exit 3")
	b.apply(f)
	o := b.eventually("a restart after a crash", func(o driver.Observation) bool {
		list := instances(o, f.ID)
		return len(list) == 1 && list[0].State == driver.Crashed && list[0].Restarts >= 1 && list[0].LastExit != nil
	})
	if i := instances(o, f.ID)[0]; i.LastExit.Code != 3 || i.LastExit.OOMKilled {
		b.Errorf("last exit %+v, want code 3", *i.LastExit)
	}

	f.Revision = "2"
	f.Process = b.process("wait")
	b.apply(f)
	if i := b.settled(f)[0]; i.Restarts != 0 || i.LastExit != nil {
		b.Errorf("a new revision starts with %d restarts and exit %v", i.Restarts, i.LastExit)
	}
}

func failsBoot(b *bench) {
	f := b.web(1)
	f.Process.Args = append(f.Process.Args[:1:1], "deaf", "sleep 1h")
	f.Boot = b.Settle
	b.apply(f)
	b.eventually("a crash for want of a listener", func(o driver.Observation) bool {
		list := instances(o, f.ID)
		return len(list) == 1 && list[0].LastExit != nil && list[0].LastExit.Code == 137
	})
	_, err := b.ask(f, "hello")
	b.wantFault("dial a formation that is not up", err, fault.Unavailable)
}

// keepsOldOverFailingBoot: code that never listens takes nothing out of service.
func keepsOldOverFailingBoot(b *bench) {
	f := b.web(1)
	b.apply(f)
	old := b.settled(f)[0].ID
	good := f.Process
	f.Revision = "2"
	f.Process.Args = append(f.Process.Args[:1:1], "deaf", "sleep 1h")
	f.Boot = b.Settle
	b.apply(f)
	b.eventually("a crash of the new for want of a listener, the old up", func(o driver.Observation) bool {
		list := instances(o, f.ID)
		failed := slices.ContainsFunc(list, func(i driver.Instance) bool {
			return i.Revision == "2" && i.State == driver.Crashed && i.LastExit != nil && i.LastExit.Code == 137
		})
		return failed && slices.ContainsFunc(list, func(i driver.Instance) bool { return i.ID == old && i.State == driver.Up })
	})
	if _, err := b.ask(f, "hello"); err != nil {
		b.Errorf("the old instance does not answer: %v", err)
	}
	f.Revision, f.Process, f.Boot = "3", good, b.Patience
	b.apply(f)
	b.settled(f)
}

func stopsInstance(b *bench) {
	f := b.web(2)
	b.apply(f)
	before := b.settled(f)
	b.must("stop instance", b.driver.StopInstance(b.Context(), before[0].ID))
	b.eventually("another instance in its place", func(o driver.Observation) bool {
		now := instances(o, f.ID)
		return states(o, f) == "1:up@1 2:up@1" && now[0].ID != before[0].ID && now[1].ID == before[1].ID
	})
	b.wantFault("stop an unknown instance", b.driver.StopInstance(b.Context(), uuid.NewString()), fault.NotFound)
}

func privateFormation(b *bench) {
	db := b.web(1)
	db.Private = true
	b.apply(db)
	shop := b.web(1)
	b.apply(shop)
	target := fmt.Sprintf("%s:%d", b.settled(db)[0].Address, db.Process.Port)
	open := fmt.Sprintf("%s:%d", b.settled(shop)[0].Address, shop.Process.Port)

	peer, stranger := b.task("dial "+target, "dial "+open), b.task("dial "+target, "dial "+open)
	peer.Peers = []string{db.ID}
	b.wantOutput(peer, "dial "+target+" ok\ndial "+open+" ok\n")
	b.wantOutput(stranger, "dial "+target+" refused\ndial "+open+" ok\n")

	worker := b.worker("dial "+target, "wait")
	worker.Peers = []string{db.ID}
	b.apply(worker)
	b.wantLog(worker.Labels.App, "dial "+target+" ok")
	worker = b.worker("dial "+target, "wait")
	b.apply(worker)
	b.wantLog(worker.Labels.App, "dial "+target+" refused")

	if b.Names {
		byName := fmt.Sprintf("dial %s.localspace:%d", db.Name, db.Process.Port)
		named := b.task(byName)
		named.Peers = []string{db.ID}
		b.wantOutput(named, byName+" ok\n")
	}
}

// privateTask has two tasks listen; only the one that is not private is reached.
func privateTask(b *bench) {
	web := b.web(1)
	b.apply(web)
	outside := fmt.Sprintf("%s:%d", b.settled(web)[0].Address, web.Process.Port)
	listen := func(private bool) string {
		t := b.task("address", "serve 7000", "dial "+outside, "say ready", "wait")
		t.Private = private
		s, err := b.driver.StartTask(b.Context(), t)
		b.must("start task", err)
		b.Cleanup(func() { s.Close() })
		out := bufio.NewReader(s)
		line, err := out.ReadString('\n')
		b.must("read its address", err)
		b.wantLine(out, "dial "+outside+" ok") // it reaches others
		b.wantLine(out, "ready")
		return strings.TrimSpace(line) + ":7000"
	}
	open, closed := listen(false), listen(true)
	b.wantOutput(b.task("dial "+open, "dial "+closed), "dial "+open+" ok\ndial "+closed+" refused\n")
}

func isolation(b *bench) {
	f := b.web(1)
	b.apply(f)
	address := fmt.Sprintf("%s:%d", b.settled(f)[0].Address, f.Process.Port)
	b.wantOutput(b.task("dial "+address), "dial "+address+" ok\n")

	elsewhere := b.task("dial " + address)
	elsewhere.Space = b.newSpace().ID
	elsewhere.Peers = []string{f.ID}
	b.wantOutput(elsewhere, "dial "+address+" refused\n")
}

func (b *bench) wantOutput(t driver.Task, want string) {
	b.Helper()
	got, exit := b.run(t)
	if got != want || exit.Code != 0 {
		b.Errorf("output %q, exit %+v; want %q", got, exit, want)
	}
}
