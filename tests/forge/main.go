// Command forge is the tool of the thief in the demo's story, who has a copy of
// the server's disk. It is no part of Strongroom: scripts/demo builds it to show
// that what it makes is refused.
//
//	forge copy DATA COPY         copies what a server needs, while one may run
//	forge delete COPY SEQ        deletes an entry, as an editor of databases does
//	forge remake COPY SEQ        makes the log anew without that entry, and signs it with its stolen key
//	forge remake COPY OUTCOME    without all entries of that outcome, such as denied
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/tests/forge/thief"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "forge:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: forge copy DATA COPY | delete COPY SEQ | remake COPY SEQ|OUTCOME")
	}
	switch verb, dir, what := args[0], args[1], args[2]; verb {
	case "copy":
		return thief.Copy(ctx, dir, what)
	case "delete":
		seq, err := strconv.ParseInt(what, 10, 64)
		if err != nil {
			return err
		}
		return thief.Edit(ctx, dir, thief.Delete(seq))
	case "remake":
		return remake(ctx, dir, what)
	default:
		return fmt.Errorf("%q is not copy, delete or remake", verb)
	}
}

// remake leaves entries out, and says how many.
func remake(ctx context.Context, dir, what string) error {
	rows, err := thief.Rows(ctx, dir)
	if err != nil {
		return err
	}
	all := len(rows)
	rows = slices.DeleteFunc(rows, func(r store.Record) bool { return is(r, what) })
	if len(rows) == all {
		return fmt.Errorf("no entry is %s", what)
	}
	fmt.Println(all - len(rows))
	return thief.Remake(ctx, dir, rows)
}

// is tells whether an entry has a seq, or an outcome.
func is(r store.Record, what string) bool {
	if strconv.FormatInt(r.Header.Seq, 10) == what {
		return true
	}
	body, err := ledger.ParseBody(r.Body)
	return err == nil && string(body.Outcome) == what
}
