// Package confine takes from a data plane process what it does not need once
// its sockets are open, for all its threads and for good: binding and
// listening, executing, privileges, capabilities, namespaces, other processes.
//
// A process calls Enter after it has opened everything and before it serves
// anybody. The filter is a list of what is denied (EPERM); the rest stays
// allowed, so that a new Go runtime does not break on it. io_uring is denied as
// a whole: its operations pass every filter, and binding is one of them.
//
// What it cannot do: connect takes a pointer, which a filter cannot follow, so
// disconnecting a passed socket (AF_UNSPEC) and connecting it anew is stopped
// by a rule of the host's firewall instead; see package edge.
package confine
