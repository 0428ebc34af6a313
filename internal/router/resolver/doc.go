// Package resolver is the DNS server of one space. The space's router runs it
// on the gateway address, which is the only name server that a dyno knows.
//
// It answers for localspace, the names of what runs in the space, and for the
// addresses of those. Reverse questions about any other private address have no
// answer. All other names are passed to upstream servers if the space has any,
// and refused otherwise: a name that leaves the space can carry data out.
//
// Everything is bounded: the size of a question, the number being answered, the
// time that an upstream may take. A question above the bounds is dropped (UDP)
// or disconnected (TCP), which clients answer by asking again.
package resolver
