package confine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// required is what every thread's status must say. Ambient capabilities are a
// subset of the permitted ones, so they are gone with them.
var required = map[string]string{
	"CapPrm":     "0000000000000000",
	"CapEff":     "0000000000000000",
	"NoNewPrivs": "1",
	"Seccomp":    "2",
}

// verify looks at the threads below dir, which is /proc/self/task.
func verify(dir string) error {
	threads, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("check the confinement: %w", err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(filepath.Join(dir, thread.Name(), "status"))
		if os.IsNotExist(err) {
			continue // it ended meanwhile
		}
		if err != nil {
			return fmt.Errorf("check the confinement: %w", err)
		}
		if err := verifyThread(string(status)); err != nil {
			return fmt.Errorf("thread %s is not confined: %w", thread.Name(), err)
		}
	}
	return nil
}

func verifyThread(status string) error {
	found := 0
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		want, ok := required[key]
		if !ok {
			continue
		}
		if value := strings.TrimSpace(value); value != want {
			return fmt.Errorf("%s is %s", key, value)
		}
		found++
	}
	if found != len(required) {
		return fmt.Errorf("its status names %d of %d properties", found, len(required))
	}
	return nil
}
