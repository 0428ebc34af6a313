package evidence

import (
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/workbook"
)

// emptyPopulation is how an empty one is stated, on every page and sheet.
const emptyPopulation = "There is none: the population is empty"

// caption is what a workbook says of the table in it.
type caption struct {
	name, title, says, covers string
	proven                    bool // the CSV beside it
}

func (r *report) caption() caption { return caption{r.Name, r.Title, r.Says, r.Covers, true} }

// book is the workbook of a report in the making.
type book struct {
	*workbook.Writer
	facts []workbook.Fact
}

// newBook begins reports/<name>.xlsx.
func newBook(w *pack.Writer, a About, x caption, head []string, count int) (*book, error) {
	out, err := w.Add("reports/" + x.name + ".xlsx")
	if err != nil {
		return nil, err
	}
	facts := append([]workbook.Fact{{Name: "Answers", Says: x.says}}, a.facts()...)
	facts = append(facts, x.population(count), workbook.Fact{Name: "How to check it", Says: x.check(a)})
	return &book{workbook.Create(out, workbook.Table{
		Title: x.title + ", " + a.Space, Footer: "Space " + a.Space + ", " + span(a) + ". Signed, not proven; made of " + x.name + ".csv.",
		Head: head, Count: count, At: a.Created,
	}), facts}, nil
}

func (b *book) end() error { return b.Close(b.facts) }

// population says what is counted, and how many there are.
func (x caption) population(count int) workbook.Fact {
	switch {
	case count == 0 && x.proven:
		return workbook.Fact{Name: "Population", Says: sentence(x.covers) + " " + emptyPopulation + ", which the proofs of this pack cover too."}
	case count == 0:
		return workbook.Fact{Name: "Population", Says: sentence(x.covers) + " " + emptyPopulation + "."}
	}
	return workbook.Fact{Name: "Population", Says: sentence(x.covers) + " " + counted(count) + ", one in each row of the sheet Rows."}
}

func counted(n int) string {
	if n == 1 {
		return "It has 1 member"
	}
	return fmt.Sprintf("It has %d members", n)
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// check says how the rows are checked.
func (x caption) check(a About) string {
	s := "Signed, not proven: this workbook is made of the rows of " + x.name + ".csv beside it, and signed with the pack. "
	if x.proven {
		s += "That file is proven: " + a.command() + " computes it again from the entries of the pack and finds any row that is missing, added or changed. "
	} else {
		s += "That file is signed too; " + a.command() + " finds any change of either, and the rows name the entries that they follow from. "
	}
	return s + "The first column is the sequence number of the entry behind each row. Times are in UTC."
}

// command is how a pack is verified.
func (a About) command() string {
	return "strongroom evidence:verify pack.zip --key log.vkey, with the key of fingerprint " + a.Fingerprint + ","
}

// facts say of which pack this is, as the pages do.
func (a About) facts() []workbook.Fact {
	var out []workbook.Fact
	if a.Simulated {
		out = append(out, workbook.Fact{Name: "Simulated", Says: "A program made this installation up. Nothing of this has happened."})
	}
	out = append(out,
		workbook.Fact{Name: "Space", Says: a.Space},
		workbook.Fact{Name: "Period", Says: "from " + day(a.From) + " up to, and not including, " + day(a.To)},
	)
	if !a.Notice.IsZero() {
		out = append(out, workbook.Fact{Name: "Versions", Says: "as of " + day(a.Notice) + ", the date of the notice"})
	}
	if len(a.Only) > 0 {
		out = append(out, workbook.Fact{Name: "Items", Says: "only those that were asked for, and the reports that they rest on: " + strings.Join(a.Only, ", ")})
	}
	return append(out,
		workbook.Fact{Name: "Written", Says: day(a.Created) + " by " + a.Program},
		workbook.Fact{Name: "Log", Says: fmt.Sprintf("%s, %d entries under the checkpoint", a.Origin, a.Entries)},
		workbook.Fact{Name: "Log key", Says: "fingerprint " + a.Fingerprint + ". Compare it with the one that you were given outside this pack."},
	)
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006 15:04:05 UTC") }

// span is the period in few words.
func span(a About) string {
	return a.From.UTC().Format("2006-01-02 15:04") + " to " + a.To.UTC().Format("2006-01-02 15:04") + " UTC"
}
