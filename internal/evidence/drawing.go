package evidence

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/strongroom/strongroom/internal/document"
)

// drawing is the picture's measure; its parts are drawn by the template.
type drawing struct {
	Says          string // for who does not see it
	Width, Height int
	Wall          frame
	Boxes         []box
	Lines         []line
}

// frame is the wall around the space: what its rectangle and name need.
type frame struct {
	X, Y, W, H int
	Name       label
}

type box struct {
	X, Y, W, H int
	Stroke     string
	Title      label
	Notes      []label
}

// Inner is the size of the box's rectangle, whose stroke is drawn within it.
func (b box) Inner() struct{ W, H int } { return struct{ W, H int }{b.W - 2, b.H - 2} }

// NoteY is where the nth note stands.
func (b box) NoteY(n int) int { return 24 + noteHeight*(n+1) }

// label is a text as it fits, and whole.
type label struct{ Shown, Whole string }

// Cut tells whether only a part is shown.
func (l label) Cut() bool { return l.Shown != l.Whole }

// line leads from one place to another, or is cut where nothing gets through.
type line struct {
	X1, Y1, X2, Y2 int
	Way            way
}

// Head is the arrow's head, at the line's end.
func (l line) Head() string {
	if l.X2 < l.X1 {
		return "l9 -5 v10 z"
	}
	return "l-9 -5 v10 z"
}

// Middle is where a line is cut.
func (l line) Middle() int { return (l.X1 + l.X2) / 2 }

type way string

const (
	link     way = "link"     // both belong together
	flow     way = "flow"     // from the first to the second
	barred   way = "barred"   // nothing gets through
	laden    way = "laden"    // carries ePHI
	doubtful way = "doubtful" // nobody knows whether it carries ePHI
	broken   way = "broken"   // something got through that must not
)

// Measures of the picture, in its own units: those of a text of 13 a line.
const (
	boxWidth   = 210
	boxGap     = 18
	boxText    = boxWidth - 24
	noteHeight = 19
	wallX      = 260
	wallY      = 28
	appsX      = 290
	addonsX    = 570
	topY       = 86
	margin     = 10
)

// How wide a character is drawn is up to the reader's fonts: these are of wide
// ones.
const (
	plain = 7
	bold  = 8
	broad = 14 // an m, or a character of another script
)

// Colours say what a box is.
const (
	ink    = "#1c2430" // a process
	green  = "#1d6b3c" // a volume
	soft   = "#5b6675" // outside of the space, or without ePHI
	purple = "#6b2d7f" // with ePHI
	amber  = "#b9770e" // nobody knows
)

// draw places what is outside in the first column: who may enter, where to
// what is inside may connect, and the spaces that nothing leads to. The apps are
// in the second and the add-ons in the third, with a line for each attachment.
func (i *isolation) draw() drawing {
	d := newDrawing("The space, what is in it, who may enter, what may leave, and what nothing leads to")
	d.outside(i)
	apps := d.column(appsX, len(i.Apps), func(n int) box {
		a := i.Apps[n]
		return named(ink, a.Name, count(dynos(a), "dyno")+", ePHI: "+a.EPHI)
	})
	addons := d.column(addonsX, len(i.Addons), func(n int) box {
		a := i.Addons[n]
		return named(green, a.Name, "encrypted volume", "ePHI: "+a.EPHI)
	})
	d.attach(i, apps, addons)
	d.enclose(i.Space)
	return d
}

func newDrawing(says string) drawing {
	return drawing{Says: says, Width: addonsX + boxWidth + 30 + margin}
}

// enclose draws the wall around all that is right of it, as high as the picture
// has become.
func (d *drawing) enclose(space string) {
	bottom := topY
	for _, b := range d.Boxes {
		bottom = max(bottom, b.Y+b.H)
	}
	d.Height = bottom + boxGap + margin
	d.Wall = frame{X: wallX, Y: wallY, W: d.Width - wallX - margin, H: d.Height - wallY - margin}
	d.Wall.Name = fit("space "+space, d.Wall.W-24, bold)
}

// lead draws the line between a box of the first column and the wall.
func (d *drawing) lead(b box, w way, out bool) {
	l := line{b.X + b.W, b.Y + b.H/2, wallX, b.Y + b.H/2, w}
	if out && w != barred {
		l.X1, l.X2 = l.X2, l.X1
	}
	d.Lines = append(d.Lines, l)
}

// join draws the line between boxes of the second and the third column.
func (d *drawing) join(from, to box, w way) {
	d.Lines = append(d.Lines, line{from.X + from.W, from.Y + from.H/2, to.X, to.Y + to.H/2, w})
}

// outside is the first column, with what its boxes have to do with the space.
func (d *drawing) outside(i *isolation) {
	list := []box{
		named(soft, "edge", i.Trusted()),
		named(soft, "outside", i.leaves()...),
		named(soft, count(i.Others, "other space"), i.tried()...),
	}
	list = d.column(margin, len(list), func(n int) box { return list[n] })
	for n, w := range []way{flow, flow, barred} {
		switch {
		case n == 0 && len(i.Doc.Trusted) == 0, n == 1 && len(i.Doc.Outbound) == 0:
			w = barred
		case n == 2 && i.failed() > 0:
			w = broken
		}
		d.lead(list[n], w, n == 1)
	}
}

// column places boxes below each other.
func (d *drawing) column(x, n int, of func(int) box) []box {
	y := topY
	first := len(d.Boxes)
	for k := range n {
		b := of(k)
		b.X, b.Y, b.W, b.H = x, y, boxWidth, boxGap+noteHeight*(1+len(b.Notes))
		d.Boxes = append(d.Boxes, b)
		y += b.H + boxGap
	}
	return d.Boxes[first:]
}

func (d *drawing) attach(i *isolation, apps, addons []box) {
	at := map[string]box{}
	for n, a := range i.Addons {
		at[a.Name] = addons[n]
	}
	for n, a := range i.Apps {
		for _, name := range a.Addons {
			d.join(apps[n], at[name], link)
		}
	}
}

func named(stroke, name string, notes ...string) box {
	b := box{Stroke: stroke, Title: fit(name, boxText, bold)}
	for _, n := range notes {
		b.Notes = append(b.Notes, fit(n, boxText, plain))
	}
	return b
}

// fit shortens a text to the room that there is for it.
func fit(text string, room, usual int) label {
	cut := 0 // where the ellipsis would begin
	for at, r := range text {
		if room >= broad {
			cut = at
		}
		if r > unicode.MaxASCII || strings.ContainsRune("mwMW@%", r) {
			room -= broad
		} else {
			room -= usual
		}
		if room < 0 {
			return label{text[:cut] + "…", text}
		}
	}
	return label{text, text}
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func dynos(a isolatedApp) (n int) {
	for _, f := range a.Formations {
		n += f.Quantity
	}
	return n
}

// Trusted says how many networks may connect.
func (i *isolation) Trusted() string { return count(len(i.Doc.Trusted), "trusted network") }

// maxRules is how many outbound rules the picture has room for; the page has
// all of them.
const maxRules = 3

// leaves says what may leave the space.
func (i *isolation) leaves() []string {
	if len(i.Doc.Outbound) == 0 {
		return []string{"nothing may leave"}
	}
	var out []string
	for n, r := range i.Doc.Outbound {
		if n == maxRules {
			return append(out, fmt.Sprintf("and %s more", count(len(i.Doc.Outbound)-n, "rule")))
		}
		out = append(out, r.Target+" "+r.Protocol+" "+ports(r))
	}
	return out
}

func ports(r document.OutboundRef) string {
	if r.FromPort == r.ToPort {
		return strconv.Itoa(r.FromPort)
	}
	return fmt.Sprintf("%d–%d", r.FromPort, r.ToPort)
}

// tried says what came of the attempts to get from the other spaces into this
// one.
func (i *isolation) tried() []string {
	if len(i.Attempts) == 0 {
		return []string{"no way between them", "not tried yet"}
	}
	var times int64
	for _, a := range i.Attempts {
		times += a.Count
	}
	made := fmt.Sprintf("made %d times", times)
	attempts := count(len(i.Attempts), "attempt")
	if failed := i.failed(); failed > 0 {
		return []string{fmt.Sprintf("%s: %d NOT REFUSED", attempts, failed), made}
	}
	return []string{"no way between them", attempts + ": all refused", made}
}

func (i *isolation) failed() (n int) {
	for _, a := range i.Attempts {
		if !a.Refused {
			n++
		}
	}
	return n
}
