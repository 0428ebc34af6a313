package ledger

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
)

const (
	installation = "5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11"
	// goldenCheckpoint and goldenKey are of the specification's good pack.
	goldenCheckpoint = `strongroom/5f0c2c1e-8a54-4d55-9f6f-3d0a4c1d7b11/1
17
v2S6BzFLPXzjhmZDG+bhPh46WO1ZL1iqoziuusRG3zQ=

— log.example.org/strongroom E0uosK08Lfgd/lDdUuY5UflJRXdO+NvRn6v70jsc+y+HH9UassM+GcsmJfvgBXBEmxlHZZEjHWMu4WK9Rb7CUIklrgo=
`
	goldenKey = "log.example.org/strongroom+134ba8b0+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
)

// testKey makes a key pair of that name.
func testKey(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

func TestCheckpointGolden(t *testing.T) {
	key, err := note.NewVerifier(goldenKey)
	if err != nil {
		t.Fatal(err)
	}
	c, n, err := OpenCheckpoint([]byte(goldenCheckpoint), key)
	if err != nil {
		t.Fatal(err)
	}
	if c.Origin != Origin(installation, 1) || c.Size != 17 || c.Marshal() != n.Text {
		t.Errorf("%+v", c)
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	good := (&Checkpoint{Origin: Origin(installation, 1), Size: 17}).Marshal()
	if _, err := ParseCheckpoint(good); err != nil {
		t.Fatal(err)
	}
	zero := base64.StdEncoding.EncodeToString(make([]byte, tlog.HashSize))
	for name, bad := range map[string]string{
		"empty":              "",
		"extension":          good + "extra\n",
		"blank line":         good + "\n",
		"no last newline":    strings.TrimSuffix(good, "\n"),
		"two lines":          "strongroom/" + installation + "/1\n17\n",
		"other origin":       strings.Replace(good, "strongroom/", "weakroom/", 1),
		"upper-case UUID":    strings.Replace(good, "5f0c", "5F0C", 1),
		"log number 01":      strings.Replace(good, "/1\n", "/01\n", 1),
		"log number missing": strings.Replace(good, "/1\n", "\n", 1),
		"size 017":           strings.Replace(good, "17\n", "017\n", 1),
		"size -1":            strings.Replace(good, "17\n", "-1\n", 1),
		"size +1":            strings.Replace(good, "17\n", "+1\n", 1),
		"size too great":     strings.Replace(good, "17\n", "9223372036854775808\n", 1),
		"root short":         strings.Replace(good, zero, zero[4:], 1),
		"root long":          strings.Replace(good, zero, "AAAA"+zero, 1),
		"root not strict":    strings.Replace(good, zero, strings.Replace(zero, "A=", "B=", 1), 1),
		"root unpadded":      strings.Replace(good, "=", "", 1),
		"carriage return":    strings.Replace(good, "17\n", "17\r\n", 1),
	} {
		if bad == good {
			t.Fatalf("%s: no change", name)
		}
		if _, err := ParseCheckpoint(bad); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenCheckpoint(t *testing.T) {
	c := Checkpoint{Origin: Origin(installation, 3), Size: 5}
	s1, v1 := testKey(t, c.Origin)
	s2, v2 := testKey(t, c.Origin)
	_, v3 := testKey(t, "another")
	both, err := SignCheckpoint(c, s1, s2)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]note.Verifier{"first": {v1}, "second": {v2}, "both": {v1, v2}, "one of several": {v3, v2}} {
		got, _, err := OpenCheckpoint(both, keys...)
		if err != nil || got != c {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, keys := range map[string][]note.Verifier{"none": {}, "unknown": {v3}} {
		if _, _, err := OpenCheckpoint(both, keys...); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A failing signature of a known key rejects the note, however many hold.
	lines := strings.Split(string(both), "\n")
	raw, err := base64.StdEncoding.DecodeString(strings.Fields(lines[5])[2])
	if err != nil {
		t.Fatal(err)
	}
	raw[20] ^= 1
	lines[5] = "— " + c.Origin + " " + base64.StdEncoding.EncodeToString(raw)
	bad := []byte(strings.Join(lines, "\n"))
	if _, _, err := OpenCheckpoint(bad, v1, v2); fault.Of(err) != fault.Invalid {
		t.Errorf("failing signature: %v", err)
	}
	if _, _, err := OpenCheckpoint(bad, v1); err != nil {
		t.Errorf("failing signature of an unknown key: %v", err)
	}
	if _, err := SignCheckpoint(c); err == nil {
		t.Error("signed by nobody")
	}
}

// TestOpenNoteEveryByte: no byte of a note with one signature can change.
func TestOpenNoteEveryByte(t *testing.T) {
	key, err := note.NewVerifier(goldenKey)
	if err != nil {
		t.Fatal(err)
	}
	for i := range goldenCheckpoint {
		for bit := range 8 {
			b := []byte(goldenCheckpoint)
			b[i] ^= 1 << bit
			if _, err := OpenNote(b, key); err == nil {
				t.Errorf("accepted with bit %d of byte %d flipped: %q", bit, i, b)
			}
		}
	}
	twice := goldenCheckpoint + strings.SplitAfterN(goldenCheckpoint, "\n\n", 2)[1]
	if _, err := OpenNote([]byte(twice), key); err == nil {
		t.Error("accepted with the signature twice")
	}
}

func TestDigest(t *testing.T) {
	sum := [32]byte{1, 0xab}
	back, err := ParseDigest(FormatDigest(sum))
	if err != nil || back != sum {
		t.Errorf("%x, %v", back, err)
	}
	good := FormatDigest(sum)
	for _, bad := range []string{"", good[7:], good[:70], good + "0", strings.ToUpper(good), strings.Replace(good, "ab", "AB", 1), "sha512:" + good[7:]} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(goldenCheckpoint))
	f.Add([]byte((&Checkpoint{Origin: Origin(installation, 0)}).Marshal()))
	key, err := note.NewVerifier(goldenKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseCheckpoint(string(b)); err == nil && c.Marshal() != string(b) {
			t.Fatalf("%q is written %q", b, c.Marshal())
		}
		if _, _, err := OpenCheckpoint(b, key); err == nil && !strings.HasPrefix(string(b), goldenCheckpoint[:100]) {
			t.Fatalf("%q is signed", b)
		}
	})
}
