package workbook

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendText appends text for a cell. What XML cannot carry is written as
// spreadsheet programs read it, `_x001B_`; what somebody wrote that looks so is
// kept from being read so.
func appendText(b []byte, s string) []byte {
	for i, r := range s {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&quot;"...)
		case r == '_' && escaped(s[i:]):
			b = append(b, "_x005F_"...)
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			b = fmt.Appendf(b, "_x%04X_", r)
		default:
			b = utf8.AppendRune(b, r) // what is no UTF-8 comes as U+FFFD
		}
	}
	return b
}

// escaped tells whether s begins like `_x001B_`.
func escaped(s string) bool {
	if len(s) < 7 || s[1] != 'x' && s[1] != 'X' || s[6] != '_' {
		return false
	}
	_, err := strconv.ParseUint(s[2:6], 16, 16)
	return err == nil
}

// fit cuts text that is too long for a cell, and says so in it.
func fit(s string) (string, bool) {
	if len(s) <= maxCell || units(s) <= maxCell { // a byte is a unit at most
		return s, false
	}
	note := fmt.Sprintf(" … [cut here: the cell has %d characters, and the CSV has all of them]", utf8.RuneCountInString(s))
	room := maxCell - units(note)
	for i, r := range s {
		if room -= width16(r); room < 0 {
			return s[:i] + note, true
		}
	}
	return s, false
}

func units(s string) (n int) {
	for _, r := range s {
		n += width16(r)
	}
	return n
}

// width16 is how many UTF-16 units a character has.
func width16(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// number tells whether a cell can be a number and be shown as it stands.
func number(s string) bool {
	if s == "" || len(s) > 15 || s[0] == '0' && len(s) > 1 {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// appendRef appends the name of a cell: A1, AB12.
func appendRef(b []byte, column, row int) []byte {
	return strconv.AppendInt(appendColumn(b, column), int64(row), 10)
}

func appendColumn(b []byte, column int) []byte {
	if column >= 26 {
		b = appendColumn(b, column/26-1)
	}
	return append(b, byte('A'+column%26))
}
