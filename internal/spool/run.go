package spool

import (
	"context"
	"log/slog"

	"github.com/strongroom/strongroom/internal/fault"
)

// Run serves until ctx ends, then writes what it holds and returns.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	return fault.New(fault.Unavailable, "the log spool is not built yet")
}
