// Package api is the Platform API: Heroku's resources and conventions, and the
// few resources of our own, in one route table (Routes).
//
// Invariants:
//   - Every change, and every read of something sensitive, is a command that
//     goes through the kernel; every other read goes through internal/query.
//   - Who is not logged in gets nothing but a 401; what a caller may not see is
//     a 404 in the words of what does not exist; both are on record.
//   - A token does what its scope allows, whoever its account is.
//   - Requests are bounded: body, headers that are parsed, rate.
//   - An internal error shows a request id and nothing else.
//   - An error has Heroku's id and message, and a url where the installation
//     has a page for its people to read (Config.Help).
//
// internal/server builds it with New and serves it. What other parts of the
// program do for it (terminals, log streams, evidence packs) are the small
// interfaces of Config.
package api
