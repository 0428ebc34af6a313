// Package spool keeps what dynos and routers print: it holds the read ends of
// their output FIFOs and writes log segments, and it answers queries over them.
//
// It is a process of its own (`strongroom spool`), small and restarted at once,
// because a dyno whose FIFO has no reader freezes after some 64 KB. The engine
// registers streams and asks for logs through Client; nobody else calls it.
//
// Invariants:
//
//   - While spool lives, no line is lost, save when the disk refuses writes or
//     stalls for more than two seconds: then what does not fit into memory is
//     dropped and counted, and a line in its place says how many were. Dynos
//     never freeze for a broken disk.
//   - Memory is bounded: reading stops while 256 KiB of an app wait to be
//     written (one chunk of 16 KiB can exceed that, as records of very short lines
//     are many times their size: at worst 2 MiB an app). An idle app holds none.
//   - Disk use is bounded: 256 MiB an app, 30 days, 4096 apps a space. What is
//     deleted for lack of room is told in the log itself.
//   - Ids grow within an app, also across restarts and clock steps.
//   - A line is visible to queries only when it is in its segment.
//
// What a crash may lose: kill -9 loses what was read and not yet written (20 ms
// or 64 KiB, while the disk keeps up), and may cut the one line that was half read. Lines
// still in a FIFO are read by the next spool. A power failure loses in addition
// what the kernel had not yet written back: segments are not fsynced line by line. A
// torn record at a segment's end is cut off when the app is next opened.
package spool
