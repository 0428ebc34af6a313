// Package recording writes down interactive sessions, keystroke by keystroke,
// as asciicast v2.
//
// Invariants:
//   - Input and Output return only when what they were given is on disk. The
//     caller passes it on afterwards: no keystroke reaches a process and no
//     output reaches a person that a crash could take out of the recording.
//   - A recording that cannot be written fails for good: every later call
//     returns the error, and the caller ends the session.
//   - While the session runs, its recording lies in a file of its own whose
//     space was reserved beforehand, encrypted in chunks. Each chunk names the
//     digest of the one before, so that none can be taken out or changed.
//   - A sealed recording is a blob: its scope's key opens it, the digest of the
//     plaintext is what the ledger names.
//   - The file stays until Remove. It is called when the ledger's closing entry
//     is durable, so a crash in between loses neither.
//
// Bytes that are not UTF-8 cannot be written in an asciicast string. Where they
// occur, the event's text has U+FFFD in their place, as players expect, and an
// event that players skip follows with the exact bytes (see Event).
//
// The gateway records with it; the command that starts sessions opens the
// recordings and, at start, recovers those that a crash left; evidence and the
// command line read them back.
package recording
