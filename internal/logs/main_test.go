package logs

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strongroom/strongroom/internal/driver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// sourceFunc is a Source with the behaviour that a test needs.
type sourceFunc func(ctx context.Context, query driver.LogQuery) (io.ReadCloser, error)

func (f sourceFunc) Logs(ctx context.Context, query driver.LogQuery) (io.ReadCloser, error) {
	return f(ctx, query)
}

// feed is a body to which a test writes lines.
type feed struct {
	*io.PipeReader
	encoder *json.Encoder
	w       *io.PipeWriter
}

func newFeed() *feed {
	r, w := io.Pipe()
	return &feed{r, json.NewEncoder(w), w}
}

func (f *feed) line(t *testing.T, id, text string) {
	t.Helper()
	if err := f.encoder.Encode(testLine(id, text)); err != nil {
		t.Error(err)
	}
}

func testLine(id, text string) driver.LogLine {
	return driver.LogLine{
		ID: id, Time: time.Date(2026, 11, 23, 4, 5, 6, 7000, time.UTC),
		Source: "app", Dyno: "web.1", Text: text,
	}
}
