package people_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/attempts"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
)

const password = "CANARY a long password"

func anonymous() control.By {
	return control.By{Actor: ledger.Actor{Kind: ledger.AnonymousActor, IP: "203.0.113.9"}, Via: ledger.ViaAPI}
}

func TestAccounts(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	cmd := &people.CreateAccount{Email: " Ann@Example.org", Name: " Ann ", Password: *commandtest.Value(password)}
	lines := w.Record(cmd, w.As("root"))
	a := commandtest.Get[*document.Account](w, cmd.Account.ID)
	if a.Email != "ann@example.org" || a.Name != "Ann" || a.CreatedBy != w.Accounts["root"].ID || a.Operator || a.Password == nil || lines[0].Scope != "" {
		t.Errorf("%+v", a)
	}
	if where := w.Tells("CANARY"); len(where) > 0 {
		t.Errorf("the password is told by %v", where)
	}
	if where := w.Tells("pbkdf2-sha256$"); len(where) > 0 {
		t.Errorf("its hash is told by %v", where)
	}
	w.Accounts["ann"] = a
	w.Refused(fault.Conflict, commandtest.None, &people.CreateAccount{Email: "ann@example.org"}, w.As("root"))
	w.Refused(fault.Invalid, commandtest.None, &people.CreateAccount{Email: "ann"}, w.As("root"))
	w.Refused(fault.Invalid, commandtest.None, &people.CreateAccount{Email: "bob@example.org", Password: *commandtest.Value("short")}, w.As("root"))
	w.Refused(fault.Forbidden, "", &people.CreateAccount{Email: "bob@example.org", Operator: true}, w.As("ann"))
	w.Refused(fault.Unauthenticated, "", &people.CreateAccount{Email: "eve@example.org", Operator: true}, anonymous())
	w.Refused(fault.Forbidden, "", &people.SuspendAccount{Email: "root@example.org"}, w.As("ann"))
	w.Refused(fault.Conflict, commandtest.None, &people.SuspendAccount{Email: "root@example.org"}, w.As("root"))
	w.Refused(fault.NotFound, commandtest.None, &people.SuspendAccount{Email: "nobody@example.org"}, w.As("root"))
}

func TestSuspend(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	w.Do(&people.SuspendAccount{Email: "dev@example.org"}, w.As("root"))
	if n := len(commandtest.Find[*document.Token](w, "account", w.Accounts["dev"].ID)); n != 0 {
		t.Errorf("%d tokens are left", n)
	}
	on := true
	w.Refused(fault.NotFound, w.IDs["space:ward"], &apps.Update{Identity: "clinic", Maintenance: &on}, w.As("dev"))
	w.Refused(fault.Forbidden, "", &people.CreateToken{Description: "again"}, w.As("dev"))
	w.Refused(fault.Forbidden, "", &people.AddKey{PublicKey: publicKey(t)}, w.As("dev"))
}

func TestUse(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	dev := w.Accounts["dev"].ID
	w.Refused(fault.Conflict, commandtest.None, &people.Use{Account: dev}, w.As("dev"))
	w.Pass(25 * time.Hour)
	w.Refused(fault.Forbidden, "", &people.Use{Account: dev}, w.As("owner"))
	w.Do(&people.Use{Account: dev}, w.As("dev"))
	if got := commandtest.Get[*document.Account](w, dev); got.UsedAt == nil || !got.UsedAt.Equal(w.Now()) || !people.LastUse(got).Equal(w.Now()) {
		t.Errorf("used at %v", got.UsedAt)
	}
	w.Refused(fault.Conflict, commandtest.None, &people.Use{Account: dev}, w.As("dev"))
	w.Do(&people.SuspendAccount{Email: "dev@example.org"}, w.As("root"))
	w.Pass(25 * time.Hour)
	w.Refused(fault.Forbidden, "", &people.Use{Account: dev}, w.As("dev"))

	stage := &attempts.Set{}
	w.Do(stage, commandtest.Platform)
	w.Accounts["nobody"] = stage.Stage.Member
	w.Pass(25 * time.Hour)
	w.Refused(fault.Conflict, commandtest.None, &people.Use{Account: stage.Stage.Member.ID}, w.As("nobody"))
}

func TestLogin(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	w.Account("ann", password)
	w.Account("bob", "") // has none
	login := func(email, password string) *people.Login {
		return &people.Login{Email: email, Password: *commandtest.Value(password)}
	}
	right := login("ANN@example.org", password)
	lines := w.Record(right, anonymous())
	if right.Account == nil || right.Account.Email != "ann@example.org" || lines[0].Outcome != ledger.OK || lines[0].Target.Name != "ann@example.org" {
		t.Errorf("%+v, recorded as %v", right.Account, lines)
	}
	if who := lines[0].Actor; who.Kind != ledger.AccountActor || who.ID != right.Account.ID || who.Email != "ann@example.org" || who.IP != "203.0.113.9" {
		t.Errorf("a log-in that succeeded was done by %+v", who)
	}
	var messages []string
	for _, c := range []*people.Login{
		login("ann@example.org", "CANARY wrong"), login("ann@example.org", ""), login("bob@example.org", ""), login("nobody@example.org", password),
		login("CANARY typed into the wrong field", password),
	} {
		err := w.Refused(fault.Unauthenticated, "", c, anonymous())
		messages = append(messages, err.Error())
	}
	w.Do(&people.SuspendAccount{Email: "ann@example.org"}, w.As("root"))
	messages = append(messages, w.Refused(fault.Unauthenticated, "", login("ann@example.org", password), anonymous()).Error())
	for _, m := range messages {
		if m != messages[0] {
			t.Errorf("%q tells more than %q", m, messages[0])
		}
	}
	if where := w.Tells("CANARY"); len(where) > 0 {
		t.Errorf("what was typed is told by %v", where)
	}
	if where := w.Tells("nobody@example.org"); len(where) > 0 {
		t.Errorf("an address that belongs to nobody is told by %v", where)
	}
	w.Refused(fault.Unauthenticated, "", &people.Refuse{Why: "unknown token"}, anonymous())
}

func TestTokens(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	w.Account("ann", "")
	w.Account("bob", "")
	cmd := &people.CreateToken{Description: "laptop", ExpiresIn: time.Hour}
	w.Do(cmd, w.As("ann"))
	text := string(cmd.Secret.Reveal())
	if !strings.HasPrefix(text, people.TokenPrefix) || len(text) != len(people.TokenPrefix)+64 || cmd.Token.Digest != people.TokenDigest(text) {
		t.Errorf("%+v", cmd.Token)
	}
	if cmd.Token.Account != w.Accounts["ann"].ID || !cmd.Token.ExpiresAt.Equal(w.Now().Add(time.Hour)) || len(cmd.Token.Scope) != 1 || cmd.Token.Scope[0] != "global" {
		t.Errorf("%+v", cmd.Token)
	}
	if where := w.Tells(text[len(people.TokenPrefix):]); len(where) > 0 {
		t.Errorf("the token is told by %v", where)
	}
	if list := commandtest.Find[*document.Token](w, "digest", people.TokenDigest(text)); len(list) != 1 {
		t.Errorf("%d tokens by its digest", len(list))
	}
	// Nobody makes tokens for others, not even an operator.
	w.Refused(fault.Forbidden, "", &people.CreateToken{Account: w.Accounts["ann"].ID}, w.As("root"))
	w.Refused(fault.Unauthenticated, "", &people.CreateToken{}, anonymous())
	w.Refused(fault.Invalid, commandtest.None, &people.CreateToken{Description: strings.Repeat("x", 201)}, w.As("ann"))
	w.Refused(fault.Invalid, commandtest.None, &people.CreateToken{ExpiresIn: -1}, w.As("ann"))

	w.Refused(fault.Forbidden, "", &people.RevokeToken{ID: cmd.Token.ID}, w.As("bob"))
	w.Do(&people.RevokeToken{ID: cmd.Token.ID}, w.As("ann"))
	w.Refused(fault.NotFound, commandtest.None, &people.RevokeToken{ID: cmd.Token.ID}, w.As("ann"))
	again := &people.CreateToken{}
	w.Do(again, w.As("ann"))
	w.Do(&people.RevokeToken{ID: again.Token.ID}, w.As("root")) // an operator ends any
}

func publicKey(t *testing.T) string {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " ann@laptop"
}

func TestKeys(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	w.Account("ann", "")
	w.Account("bob", "")
	line := publicKey(t)
	add := &people.AddKey{PublicKey: line}
	w.Do(add, w.As("ann"))
	if k := add.Key; k.Account != w.Accounts["ann"].ID || k.Comment != "ann@laptop" || !strings.HasPrefix(k.Fingerprint, "SHA256:") {
		t.Errorf("%+v", k)
	}
	// A key names one person.
	w.Refused(fault.Invalid, commandtest.None, &people.AddKey{PublicKey: line}, w.As("bob"))
	w.Refused(fault.Invalid, commandtest.None, &people.AddKey{PublicKey: strings.Replace(line, "ann@laptop", "another comment", 1)}, w.As("ann"))
	for _, bad := range []string{"", "x", "ssh-ed25519 AAAA", line + "\n" + publicKey(t), "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\n-----END OPENSSH PRIVATE KEY-----"} {
		w.Refused(fault.Invalid, commandtest.None, &people.AddKey{PublicKey: bad}, w.As("bob"))
	}
	w.Refused(fault.TooLarge, commandtest.None, &people.AddKey{PublicKey: strings.Repeat("x", 20<<10)}, w.As("bob"))
	w.Refused(fault.Unauthenticated, "", &people.AddKey{PublicKey: publicKey(t)}, anonymous())
	if where := w.Tells("CANARY"); len(where) > 0 {
		t.Errorf("a private key is told by %v", where)
	}
	w.Refused(fault.NotFound, commandtest.None, &people.RemoveKey{ID: add.Key.ID}, w.As("bob")) // not bob's
	w.Do(&people.RemoveKey{ID: add.Key.Fingerprint}, w.As("ann"))
	w.Do(&people.AddKey{PublicKey: line}, w.As("bob")) // free again
}

// TestNoHashNoLogin is an account without a password and a log-in without one.
func TestNoHashNoLogin(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	cmd := &people.Login{Email: "root@example.org", Password: secret.Value{}}
	w.Refused(fault.Unauthenticated, "", cmd, anonymous())
}
