// Package witness is a C2SP tlog-witness: it runs on a machine that the logs'
// operators do not administer, remembers the newest checkpoint of each log that
// it knows, and cosigns only what extends that. It also has the other end, with
// which a log asks a witness.
//
// Invariants: of two cosigned checkpoints of a log the later extends the
// earlier; what was cosigned is on disk before anybody is answered; one process
// has a witness's directory at a time; nothing that a stranger sends is kept.
// internal/cli runs it; internal/outside asks it.
package witness
