// Package logs gives people the log lines that the engine keeps: log sessions
// in Heroku's protocol, for the API to hand out.
//
// A log session is a permission to read certain lines of one app, made by the
// API after it has authorised the caller. Its token is the only secret: the
// client presents it in the URL without further authentication, as the heroku
// CLI does. So tokens are unguessable, must be used soon, end at the latest
// after an hour, and can be ended when somebody loses access. They live in
// memory only: after a restart of the server a client is told that its session
// is over, and makes another.
//
// The api package creates sessions and mounts the Handler; the server package
// gives it the engine as Source.
package logs
