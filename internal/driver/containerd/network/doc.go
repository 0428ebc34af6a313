// Package network gives every space a network namespace of its own, and every
// instance a namespace that is connected to its space and to nothing else.
//
//	instance ──/32 veth──┐
//	instance ──/32 veth──┤ space ──veth "up0"── host ── elsewhere
//	router, resolver ────┘        (only if something may leave)
//
// Invariants:
//
//   - There is no bridge. Every packet of an instance is routed by its space's
//     namespace and passes its forward chain, whose policy is drop.
//   - A veth carries packets of the one address that it was made for: an nft
//     set pins it, and strict reverse path filtering does so once more.
//   - The host has no route to any instance, and instances have none to the
//     host: what leaves is translated to an address of the veth pair in the
//     space and to an address of the host on the host. A space without
//     outbound rules has no interface that leads out at all.
//   - The edge's rule is loaded before anything else, and stays when this
//     process ends.
//   - Rules are replaced in one transaction. Connections that they still allow
//     go on; those that they no longer allow are cut.
//   - What is true is read from the kernel. Files hold what cannot be found
//     there: the desired values, and digests of the rules in force.
//
// Trusted addresses are enforced by the edge and by the space's router, and cannot be
// enforced here: the edge hands connected sockets to the space's router, and a socket that was
// handed over still belongs to the host's network. Its packets never pass the
// space's namespace. Nothing else comes into a space from outside: its input
// and forward chains accept no new connection from the veth that leads out.
//
// IPv6 is switched off inside the namespaces (an instance keeps ::1) and
// dropped by every chain. Addresses are netip values and the tables are of the
// inet family, so that it can be added without another interface.
//
// internal/driver/containerd calls this package, as root. It runs nft(8).
package network
