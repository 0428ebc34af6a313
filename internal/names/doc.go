// Package names answers what a space asks about names of the outside. Its own
// names are answered by its router (internal/router/resolver), which passes all
// others on to here: the engine runs a server for each space, on a socket in the
// space's network namespace, and asks the host's DNS servers from the host's.
//
// A name that leaves a space carries data out, and an answer says where
// connections may go. So neither is left to the router, which strangers talk to:
//
//   - A question leaves only if a rule of the space covers its name. It is made
//     anew from the name, in lower case, and the type.
//   - An answer is read here, and only what belongs to the question is passed
//     on, as a message that is made anew.
//   - Whoever keeps the space's network (Space) is told the addresses before the
//     space is. It opens them for as long as the answer lasts, or refuses them:
//     then the space gets no answer.
//
// This runs as root, and reads what strangers wrote. Everything is bounded, the
// reading is done by golang.org/x/net/dns/dnsmessage alone, and both ways are
// fuzzed. What was refused is counted by client and name.
package names
