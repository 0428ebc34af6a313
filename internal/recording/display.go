package recording

import "io"

// Display passes on to a terminal what shows text, moves the cursor or colours,
// and holds back the rest: whoever recorded a session could otherwise reach the
// terminal of whoever reviews it. Held back are strings to the terminal (OSC,
// DCS, APC, PM, SOS: titles, clipboard, files), control sequences that make it
// answer or change its window, and 8-bit controls.
type Display struct {
	w     io.Writer
	state displayState
	seq   []byte // the control sequence so far
	lead  bool   // 0xC2, the first byte of an 8-bit control in UTF-8, is held
}

type displayState int

const (
	showText    displayState = iota
	afterEscape              // ESC
	afterInter               // ESC and intermediate bytes
	inControl                // ESC [ …
	inString                 // ESC ] … and the like, up to BEL or ST
	endOfString              // ESC inside a string
)

// NewDisplay returns a Display that writes to w.
func NewDisplay(w io.Writer) *Display { return &Display{w: w} }

// Write implements io.Writer. Sequences may be split over calls.
func (d *Display) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+8)
	for _, c := range p {
		out = d.step(out, c)
	}
	if _, err := d.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

const (
	bel = 0x07
	can = 0x18
	sub = 0x1a
	esc = 0x1b

	// maxSequence bounds a control sequence; real ones are far shorter.
	maxSequence = 256
)

func (d *Display) step(out []byte, c byte) []byte {
	switch d.state {
	case afterEscape:
		return d.escape(out, c)
	case afterInter:
		return d.intermediate(out, c)
	case inControl:
		return d.control(out, c)
	case inString:
		d.string(c)
		return out
	case endOfString:
		d.state = inString
		if c == '\\' {
			d.state = showText
		} else if c != esc {
			d.string(c)
		}
		return out
	}
	return d.text(out, c)
}

func (d *Display) text(out []byte, c byte) []byte {
	if d.lead {
		d.lead = false
		if c >= 0x80 && c < 0xa0 {
			return out // an 8-bit control
		}
		out = append(out, 0xc2)
	}
	switch {
	case c == esc:
		d.state, d.seq = afterEscape, append(d.seq[:0], c)
		return out
	case c == 0xc2:
		d.lead = true
		return out
	case c == 0x05: // ENQ: the terminal answers
		return out
	}
	return append(out, c)
}

func (d *Display) escape(out []byte, c byte) []byte {
	d.seq = append(d.seq, c)
	d.state = showText
	switch {
	case c == '[':
		d.state = inControl
	case c == ']' || c == 'P' || c == '_' || c == '^' || c == 'X':
		d.state = inString
	case c >= 0x20 && c < 0x30:
		d.state = afterInter
	case c == esc:
		d.state, d.seq = afterEscape, d.seq[:1]
	case c == 'Z': // DECID: the terminal answers
	case c >= 0x30 && c < 0x7f:
		return append(out, d.seq...)
	}
	return out
}

// intermediate: ESC ( B and the like, which choose character sets.
func (d *Display) intermediate(out []byte, c byte) []byte {
	d.seq = append(d.seq, c)
	if c >= 0x20 && c < 0x30 && len(d.seq) < maxSequence {
		return out
	}
	d.state = showText
	// "%" and " " would switch the terminal out of UTF-8 or to 8-bit controls.
	if inter := d.seq[1]; c < 0x30 || c >= 0x7f || inter == '%' || inter == ' ' {
		return out
	}
	return append(out, d.seq...)
}

func (d *Display) control(out []byte, c byte) []byte {
	switch {
	case c == esc:
		d.state, d.seq = afterEscape, append(d.seq[:0], c)
		return out
	case c < 0x20 || c >= 0x7f || len(d.seq) >= maxSequence:
		d.state = showText
		return out
	}
	d.seq = append(d.seq, c)
	if c < 0x40 {
		return out
	}
	d.state = showText
	if !harmless(d.seq) {
		return out
	}
	return append(out, d.seq...)
}

// harmless tells of a whole control sequence that it neither makes the terminal
// send anything nor reaches beyond its text.
func harmless(seq []byte) bool {
	private := seq[2] >= '<' && seq[2] <= '?'
	for _, c := range seq[2 : len(seq)-1] {
		if c >= 0x20 && c < 0x30 {
			return false // with intermediate bytes: requests, cursor style, resets
		}
	}
	switch final := seq[len(seq)-1]; final {
	case 'h', 'l': // modes: the alternate screen and the cursor, not mouse reports
		return string(seq[2:len(seq)-1]) == "?1049" || string(seq[2:len(seq)-1]) == "?25" ||
			string(seq[2:len(seq)-1]) == "?7" || string(seq[2:len(seq)-1]) == "?1047"
	default:
		const moves = "@ABCDEFGHIJKLMPSTXZ`abdefgmrsu"
		for i := range len(moves) {
			if moves[i] == final {
				return !private || final == 'J' || final == 'K'
			}
		}
	}
	return false
}

func (d *Display) string(c byte) {
	switch c {
	case bel, can, sub:
		d.state = showText
	case esc:
		d.state = endOfString
	}
}
