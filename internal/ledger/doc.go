// Package ledger fixes the bytes of the append-only log from which everything
// else is computed: entries (a public header and a private body), canonical
// JSON, the Merkle tree, checkpoints, and the proofs that lead from one to the
// other. docs/reference/ledger.md describes the format for people who write a
// verifier of their own.
//
// Invariants. A header or body has exactly one encoding, and what does not
// re-encode to the same bytes is refused. Numbers are integers that every JSON
// implementation represents exactly. A checkpoint is signed only if it extends
// the newest one that was stored outside the database (Signer, Anchor).
//
// The package does no I/O except through interfaces that its callers implement
// (tlog.HashReader, Anchor); FileAnchor is the one exception. It imports the
// standard library, x/mod's tlog and note, and fault, and nothing else, so that
// an auditor can read all of what a verdict rests on.
//
// An anchor that holds nothing is taken for a new installation's. Who has released
// checkpoints before must not start with an empty one: see Anchor.
//
// Called by store (append), pack (export and verification) and control (bodies).
package ledger
