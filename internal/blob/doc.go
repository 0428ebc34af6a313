// Package blob keeps bulk evidence: recordings, logs, build output, SBOMs and
// whatever else is too big for the ledger or may hold health information. The
// ledger holds the digest, this package the bytes.
//
// A blob is found by scope and by the SHA-256 of its plaintext. It is
// encrypted with a random key of its own, which is wrapped by the scope's data
// key: destroying the data key makes every blob of the scope unreadable, copies
// and backups included.
//
// Invariants:
//   - A blob is on disk, whole and synced, when Put returns; a crash leaves
//     either the whole blob or nothing under its name.
//   - No byte is handed out that was not authenticated. A file that was cut,
//     reordered, altered, or put in another blob's or scope's place gives
//     ErrCorrupt.
//   - Nothing outside the ciphertext depends on the content alone: file names
//     are keyed hashes, so that the disk does not confirm a guess at a short
//     text, and equal content in two scopes is stored twice under two names.
//     Sizes and times are visible.
//
// The commands store blobs before they append the entry that names them;
// recording, logs, build and evidence read and write through it.
package blob
