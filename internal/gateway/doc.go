// Package gateway holds the edges for interactive access: the rendezvous
// server, through which `heroku run` reaches a process, and the bastion, through
// which `heroku pg:psql` reaches a database.
//
// Invariants, in the order in which they come about:
//   - Nothing begins before its session.open entry is durable. Sessions.Redeem
//     and Tunnel.Open see to that; the gateway starts nothing itself.
//   - A keystroke is on disk before the process gets it, output before the
//     person sees it. If it cannot be recorded, the session ends.
//   - Every session that was opened is closed: its recording is sealed, then
//     Close appends session.close, then the working file is removed. What fails
//     on the way stays for recording.Recorder.Recover.
//   - Who does not have a valid secret or key learns nothing: not what was
//     wrong with it, and not by how long the answer takes.
//
// The gateway decides nothing about who may do what, appends no entries and
// knows no driver: what it needs of them are the interfaces declared here.
// Package server builds it and implements them by commands.
package gateway
