// Package pack writes and verifies evidence packs: one zip that holds part of
// the ledger, the proofs that nothing in scope was left out, and reports that
// are recomputed from the entries. docs/reference/evidence-pack.md describes
// the format for people who write a verifier of their own.
//
// Invariants. Verify reads untrusted bytes: it believes nothing before the
// check that establishes it, reads no more of a file than the manifest says,
// and keeps in memory the manifest, the range proof and one small record for
// each document, state report row and erased body, never the pack. Its checks
// are in the order of the reference page; the first that fails is the verdict.
// Headers and bodies are read once for all that is checked of them: what their
// digests say at the end comes before what their entries said.
// Exporter and verifier compute a report by the same code (Rows).
//
// The package is light, like ledger: standard library, x/mod's tlog and note,
// ledger and fault. Called by evidence (export) and cli (verification).
//
// Exit codes of the command that verifies: 0 VERIFIED; 1 REFUSED; 3 CONSISTENT,
// ORIGIN NOT CHECKED (no key was given). See Report.ExitCode.
package pack
