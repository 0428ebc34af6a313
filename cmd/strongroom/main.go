// Command strongroom is the whole platform: server, engine and data plane as
// subcommands, and the tool that operators and auditors use.
package main

import (
	"os"

	"github.com/strongroom/strongroom/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
