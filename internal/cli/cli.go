// Package cli is the command line: one file a command, flags parsed into an
// options struct, then run. It talks to a server through client only; `server`,
// `engine` and their like are the doors to the processes themselves.
//
// Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 a pack that is
// consistent but whose origin was not checked.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/engine"
	"github.com/strongroom/strongroom/internal/fault"
)

// Version of the program, set by the build.
var Version = "0.1.0-dev"

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exit is an error with an exit code of its own. An empty text prints nothing.
type exit struct {
	code int
	text string
}

func (e *exit) Error() string { return e.text }

// usage is a mistake in how a command was called.
func usage(format string, args ...any) error { return &exit{2, fmt.Sprintf(format, args...)} }

// Main runs the command line and returns its exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot(streams{stdin, stdout, stderr})
	root.SetArgs(args)
	return code(root.ExecuteContext(ctx), stderr)
}

func code(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	var e *exit
	if errors.As(err, &e) {
		if e.text != "" {
			fmt.Fprintln(stderr, "strongroom:", e.text)
		}
		return e.code
	}
	if m := fault.Message(err); m != "" {
		fmt.Fprintln(stderr, "strongroom:", m)
		return 1
	}
	fmt.Fprintln(stderr, "strongroom:", err)
	return 1
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "strongroom",
		Short: "A platform for apps that hold health data, and the evidence that it is kept well",
		Long: `Strongroom runs apps, databases and sessions in private spaces and records
everything in a ledger that an auditor can check offline.

The heroku CLI works with it: strongroom heroku ARGS... runs it with every
variable set.`,
		SilenceUsage: true, SilenceErrors: true, Version: Version,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%v\nRun '%s --help' for its flags.", err, c.CommandPath())
	})
	for _, group := range []struct{ id, title string }{
		{"use", "Using it:"}, {"evidence", "Evidence:"}, {"people", "People and policy:"}, {"run", "Running it:"},
	} {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
	}
	root.AddCommand(
		newLogin(s), newHeroku(s), newEnv(s), newReleasesApprove(s), newAppsEPHI(s), newAddonsEPHI(s),
		newEvidenceExport(s), newEvidenceVerify(s), newEvidenceVerifier(s), newEvidenceSample(s), newSessions(s), newSessionsPlay(s), newSpacesProbe(s),
		newSpacesOutbound(s), newSpacesOutboundAdd(s), newSpacesOutboundRemove(s), newSpacesOutboundMode(s), newSpacesOutboundDenied(s),
		newSpacesLinks(s), newSpacesLinksMode(s), newSpacesLinksAdd(s), newSpacesLinksRemove(s),
		newControls(s), newControlsExplain(s), newControlsHistory(s), newFindings(s), newFindingsAccept(s), newFindingsAssign(s),
		newAlerts(s), newAlertsAdd(s), newAlertsRemove(s), newAlertsTest(s),
		newSpacesTLS(s), newDomainsTLS(s),
		newState(s), newDiff(s), newWhoCould(s), newSimulate(s),
		newLedgerVerify(s), newLedgerCheckpoint(s), newLedgerKey(s), newLedgerErase(s), newLedgerConfirmClock(s),
		newWitness(s), newWitnessInit(s), newWitnessTrust(s), newWitnessHistory(s),
		newAccountsCreate(s), newAccountsSuspend(s), newTeamsCreate(s), newRolesGrant(s), newRolesRevoke(s),
		newRequests(s), newRequestsDecide(s, true), newRequestsDecide(s, false), newPolicy(s),
		newInit(s), newImagesBuild(s), newSupervise(s), newDown(s), newServer(s), newEngine(s),
		newChild(s, "spool", engine.Spool), newChild(s, "edge", engine.Edge), newChild(s, "router", engine.Router),
	)
	return root
}

// exactly wants n arguments and says which.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usage("%s takes %d argument(s): %v. Run '%s --help' for an example.", c.Name(), len(names), names, c.CommandPath())
		}
		return nil
	}
}
