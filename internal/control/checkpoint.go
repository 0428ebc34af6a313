package control

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Checkpoints signs the log's tree at the latest a second after an append
// (spec/ledger.md §4). It is not part of the kernel's batch: a slow anchor
// delays the signature, not the commands.
type Checkpoints struct {
	Store  store.Store
	Signer *ledger.Signer
	Log    *slog.Logger

	mu sync.Mutex
}

// signEvery is well below the second that the format promises.
const signEvery = 250 * time.Millisecond

// Run signs until ctx ends, and once more then.
func (c *Checkpoints) Run(ctx context.Context) error {
	tick := time.NewTicker(signEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			_, _, err := c.Sign(context.WithoutCancel(ctx))
			return err
		case <-tick.C:
			_, _, err := c.Sign(ctx)
			switch {
			case err != nil && !failing && ctx.Err() == nil:
				c.Log.Error("checkpoint not signed", "error", err)
			case err == nil && failing:
				c.Log.Info("checkpoints are signed again")
			}
			failing = err != nil
		}
	}
}

// Newest gives the newest checkpoint that was released, and its signed form.
func (c *Checkpoints) Newest() (ledger.Checkpoint, []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Signer.Newest()
}

// Sign gives the checkpoint over all entries that are durable now, signing it
// if there is none yet.
func (c *Checkpoints) Sign(ctx context.Context) (ledger.Checkpoint, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, err := c.Store.Head(ctx)
	if err != nil {
		return ledger.Checkpoint{}, nil, err
	}
	if newest, signed := c.Signer.Newest(); signed != nil && newest.Size == head.Size {
		return newest, signed, nil
	}
	return c.Signer.Sign(head.Size, c.Store.Hashes(ctx))
}
