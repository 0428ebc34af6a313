package control

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/fault"
)

type content struct {
	Name string `json:"name"`
}

// start serves a handler that echoes content, or fails with the error.
func start(t *testing.T, uid int, fails error) (*Client, *bytes.Buffer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var value content
		err := Decode(w, r, 100, &value)
		if err == nil {
			err = fails
		}
		Reply(w, log, value, err)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, listener, uid, handler, log) }()
	client := NewClient(path)
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("served until %v", err)
		}
	})
	return client, &logged
}

func TestRoundTrip(t *testing.T) {
	client, _ := start(t, os.Getuid(), nil)
	var got content
	if err := client.Do(t.Context(), http.MethodPut, "/", content{"a"}, &got); err != nil || got.Name != "a" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFaultsTravel(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Invalid, fault.Conflict, fault.NotFound, fault.Unavailable, fault.TooLarge} {
		client, _ := start(t, os.Getuid(), fault.Wrap(kind, errors.New("the cause"), "what to do"))
		err := client.Do(t.Context(), http.MethodPut, "/", content{}, nil)
		if fault.Of(err) != kind || fault.Message(err) != "what to do" || strings.Contains(err.Error(), "the cause") {
			t.Errorf("%s arrives as %v", kind, err)
		}
	}
}

func TestInternalErrorsStayInside(t *testing.T) {
	client, logged := start(t, os.Getuid(), errors.New("the cause"))
	err := client.Do(t.Context(), http.MethodPut, "/", content{}, nil)
	if err == nil || fault.Of(err) != "" || strings.Contains(err.Error(), "the cause") {
		t.Errorf("arrives as %v", err)
	}
	if !strings.Contains(logged.String(), "the cause") {
		t.Errorf("logged is only %q", logged)
	}
}

func TestDecodeIsStrictAndDiscreet(t *testing.T) {
	client, logged := start(t, os.Getuid(), nil)
	for name, body := range map[string]any{
		"unknown key": map[string]string{"secretkey": "secretvalue"},
		"wrong type":  map[string]int{"name": 1},
		"too large":   content{strings.Repeat("secret", 100)},
		"not a map":   "secretvalue",
	} {
		err := client.Do(t.Context(), http.MethodPut, "/", body, nil)
		if kind := fault.Of(err); kind != fault.Invalid && kind != fault.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.Contains(logged.String(), "secret") {
		t.Errorf("the log quotes a body: %s", logged)
	}
}

func TestOthersAreDisconnected(t *testing.T) {
	client, _ := start(t, os.Getuid()+1, nil)
	if err := client.Do(t.Context(), http.MethodPut, "/", content{}, nil); fault.Of(err) != fault.Unavailable {
		t.Errorf("another user gets %v, want Unavailable", err)
	}
}

func TestNobodyThere(t *testing.T) {
	client := NewClient(filepath.Join(t.TempDir(), "none"))
	if err := client.Do(t.Context(), http.MethodGet, "/", nil, nil); fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
}
