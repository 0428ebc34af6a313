// Package spool keeps what dynos and routers print: it holds the read ends of
// their output FIFOs and writes log segments, and it answers queries over them.
//
// It is a process of its own (`strongroom spool`), small and restarted at once,
// because a dyno whose FIFO has no reader freezes after some 64 KB. The engine
// registers streams and asks for logs through Client; nobody else calls it.
//
// Invariants:
//
//   - While spool lives, no line is lost, save when the disk refuses or stalls
//     for longer than two seconds: then lines are dropped and counted, and the
//     first line that can be written says how many were. Dynos never wait for a
//     broken disk.
//   - Memory is bounded: what is read and not yet written is at most 512 KiB an
//     app; past that the FIFO holds the writer back.
//   - Ids grow within an app, also across restarts and clock steps.
//   - A line is visible to queries only when it is in its segment.
//
// What a crash may lose: kill -9 loses what was read and not yet written (at most 50 ms
// or the 512 KiB above), and may cut the one line that was half read. Lines
// still in a FIFO are read by the next spool. A power failure loses in addition
// what the kernel had not yet written back: segments are not fsynced line by line. A
// torn record at a segment's end is cut off when the app is next opened.
package spool
