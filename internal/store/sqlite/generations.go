package sqlite

// generations is a bounded cache of two halves: when the young half is full it
// becomes the old one, and what was in the old one and not asked for since is
// forgotten. Not for concurrent use.
type generations[K comparable, V any] struct {
	young, old map[K]V
	half       int
}

func newGenerations[K comparable, V any](size int) *generations[K, V] {
	return &generations[K, V]{young: map[K]V{}, half: size / 2}
}

func (g *generations[K, V]) get(k K) (V, bool) {
	v, ok := g.young[k]
	if ok {
		return v, true
	}
	if v, ok = g.old[k]; ok {
		g.put(k, v)
	}
	return v, ok
}

func (g *generations[K, V]) put(k K, v V) {
	if len(g.young) >= g.half {
		g.old, g.young = g.young, make(map[K]V, g.half)
	}
	g.young[k] = v
}

func (g *generations[K, V]) drop(k K) {
	delete(g.young, k)
	delete(g.old, k)
}
