// Package resolver is the DNS server of one space. The space's router runs it
// on the gateway address, which is the only name server that a dyno knows.
//
// It answers for localspace, the names of what runs in the space, and for the
// addresses of those. Reverse questions about any other private address have no
// answer. All other names are passed to the engine (internal/names), which knows
// what may leave the space: a name can carry data out. Nothing else is sent
// outside, and the space's network lets nothing else of the router out.
//
// Everything is bounded: the size of a question, the questions of one client, the
// number being answered, the time that the engine may take. A question above the
// bounds is dropped (UDP) or disconnected (TCP), which clients answer by asking
// again.
package resolver
