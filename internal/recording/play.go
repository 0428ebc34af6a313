package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Play writes the output of a recorded session to w as it came: speed times as
// fast, with pauses cut to maxIdle (0: not cut; speed 0: all at once). What could
// make the terminal do more than show text, such as setting the clipboard or
// answering as if the viewer had typed, is left out: see Display.
func Play(ctx context.Context, r io.Reader, w io.Writer, speed float64, maxIdle time.Duration) error {
	rd, err := NewReader(r)
	if err != nil {
		return err
	}
	display := NewDisplay(w)
	var last time.Duration
	for {
		event, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := pause(ctx, event.At-last, speed, maxIdle); err != nil {
			return err
		}
		last = event.At
		if event.Code != codeOutput {
			continue
		}
		if _, err := display.Write(event.Data); err != nil {
			return fmt.Errorf("play recording: %w", err)
		}
	}
}

func pause(ctx context.Context, d time.Duration, speed float64, maxIdle time.Duration) error {
	if maxIdle > 0 {
		d = min(d, maxIdle)
	}
	if speed <= 0 || d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(time.Duration(float64(d) / speed))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
