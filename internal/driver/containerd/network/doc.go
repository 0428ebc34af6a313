// Package network gives every space a network namespace of its own and every
// instance a namespace that is connected to its space and to nothing else.
package network
