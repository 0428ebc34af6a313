package gateway

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var expired []string
		tickets := NewTickets(0, func(v string) { expired = append(expired, v) })
		a, b := tickets.Issue("a"), tickets.Issue("b")
		if a == b || len(a) != 43 {
			t.Fatalf("secrets %q, %q", a, b)
		}
		if v, ok := tickets.Peek(a); v != "a" || !ok {
			t.Fatalf("peek: %q, %v", v, ok)
		}
		if v, ok := tickets.Take(a); v != "a" || !ok {
			t.Fatalf("take: %q, %v", v, ok)
		}
		if v, ok := tickets.Take(a); v != "" || ok {
			t.Fatalf("second take: %q, %v", v, ok)
		}
		if _, ok := tickets.Take("guess"); ok {
			t.Fatal("a guess was taken")
		}
		time.Sleep(59 * time.Second)
		if _, ok := tickets.Peek(b); !ok {
			t.Fatal("b is gone too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, ok := tickets.Take(b); ok {
			t.Fatal("b was taken too late")
		}
		if len(expired) != 1 || expired[0] != "b" {
			t.Fatalf("expired: %q", expired)
		}
	})
}

func TestTicketReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tickets := NewTickets(time.Minute, func(v int) { t.Errorf("%d expired", v) })
		tickets.Add("key", 1)
		time.Sleep(40 * time.Second)
		tickets.Add("key", 2)
		time.Sleep(40 * time.Second)
		if v, ok := tickets.Take("key"); v != 2 || !ok {
			t.Fatalf("%d, %v", v, ok)
		}
		time.Sleep(time.Hour)
	})
}

func TestTicketIsTakenOnce(t *testing.T) {
	tickets := NewTickets[int](0, nil)
	secret := tickets.Issue(1)
	var (
		wg    sync.WaitGroup
		taken atomic.Int32
	)
	for range 32 {
		wg.Go(func() {
			if _, ok := tickets.Take(secret); ok {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Fatalf("taken %d times", taken.Load())
	}
}

func TestSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSources(Limits{Waiting: 5, PerSource: 2, Failures: 2, Recovery: 10 * time.Second})
		a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		net6, same6, other6 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2:1"), netip.MustParseAddr("2001:db8:0:1::1")
		admit := func(addr netip.Addr, want bool) func() {
			t.Helper()
			leave, ok := s.admit(addr)
			if ok != want {
				t.Fatalf("%v admitted: %v", addr, ok)
			}
			return leave
		}
		leave := admit(a, true)
		admit(a, true)
		admit(a, false) // two wait already
		leave()
		leave() // once is enough
		admit(a, true)
		admit(net6, true)
		admit(same6, true)
		admit(net6, false) // the same /64
		admit(other6, true)
		admit(b, false) // five wait in all

		s = newSources(Limits{Failures: 2, Recovery: 10 * time.Second})
		fail := func(guess bool) {
			leave := admit(a, true)
			s.refused(a, guess)
			leave()
		}
		fail(false) // a port scanner's
		fail(true)
		fail(true)
		admit(a, false)
		admit(b, true)()
		time.Sleep(10 * time.Second)
		fail(true)
		admit(a, false)
		time.Sleep(time.Minute)
		admit(a, true)()
		if len(s.by) != 0 {
			t.Errorf("remembers %d sources that have recovered", len(s.by))
		}
	})
}

func TestSourcesAreBounded(t *testing.T) {
	s := newSources(Limits{Recovery: time.Hour})
	for i := range maxSources + 500 {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		leave, _ := s.admit(addr)
		s.refused(addr, true)
		leave()
	}
	if len(s.by) > maxSources {
		t.Errorf("%d sources", len(s.by))
	}
}
