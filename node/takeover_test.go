package node

import (
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

func loopbackNode(t *testing.T) *Node {
	return mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
}

// later moves the clock of the only clerk on, and waits for a checkpoint then.
func later(t *testing.T, c *Community, by time.Duration) {
	t.Helper()
	l := c.book()
	l.mu.Lock()
	was := l.now
	l.now = func() time.Time { return was().Add(by) }
	l.mu.Unlock()
	height := l.currentTip().Ref().Height
	await(t, c, "a checkpoint because a recovery runs", func() bool { return l.currentTip().Ref().Height > height })
}

func chooseGuardians(t *testing.T, n *Node, refs ...string) []GuardianCode {
	t.Helper()
	r, err := n.Rotate(t.Context(), RotateRequest{Guard: &GuardChoice{Personas: refs, Threshold: 1, Delay: 72 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Codes
}

// A member loses everything. Guardians give the persona the key of a new node,
// which takes it up: the old node can do nothing any more.
func TestRecoverPersona(t *testing.T) {
	na, nb := loopbackNode(t), loopbackNode(t)
	a := foundAs(t, na, "Free Coders", "Anna")
	b, _ := enterBy(t, nb, a, "Boris")
	codes := chooseGuardians(t, nb, "Anna")
	guarded := func() bool {
		m := a.Snapshot().Final.Roll().Member(b.Persona())
		return m != nil && m.Keys.Guard != nil
	}
	await(t, a, "Boris has guardians", guarded)
	await(t, b, "Boris has guardians", func() bool { g, err := b.Guardians(); return err == nil && g.Guardians == 1 && g.Delay == "72h0m0s" })

	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	nc := loopbackNode(t)
	ask := RecoveryAsk{Link: inv.Link, Persona: b.Persona().String()}
	req, err := nc.RequestRecovery(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := nc.RequestRecovery(t.Context(), ask); err != nil || again != req {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	c := nc.Communities()[0]
	await(t, c, "the newcomer hears why not", func() bool { return strings.Contains(c.Status().Trouble, "have not given") })
	if _, err := a.Support(t.Context(), req.Request, codes[0].Code); err != nil {
		t.Fatal(err)
	}
	running := func() bool {
		list, _ := a.Recoveries()
		return len(list.Recoveries) == 1 && list.Recoveries[0].Final && list.Recoveries[0].Due != nil && list.Recoveries[0].Key != ""
	}
	await(t, a, "the recovery runs", running)
	await(t, b, "Boris is warned", func() bool { return strings.Contains(b.Status().Trouble, "metastate rotate") })
	for range 3 {
		later(t, a, 24*time.Hour)
	}
	await(t, c, "the persona is taken up", func() bool { return c.Status().Step == stepMember })
	if c.Persona() != b.Persona() || a.Snapshot().Final.Roll().Invite(inv.Invite).Used != 0 {
		t.Error("another persona, or an invite was used up")
	}
	if _, err := c.Propose(t.Context(), ProposeRequest{Title: "Here I am", ClosesIn: time.Hour}); err != nil {
		t.Error(err)
	}
	await(t, a, "the proposal of the new device is known", func() bool { return len(a.Proposals().Proposals) == 1 })
	await(t, b, "the old node knows", func() bool { return !b.Snapshot().Final.Roll().Device(b.key.Public()).Live(b.Snapshot().Final.AsOf()) })
	if _, err := nb.Rotate(t.Context(), RotateRequest{}); err == nil {
		t.Error("the lost vault still rotates the persona")
	}
	if why, err := a.RollWhy(b.Persona()); err != nil || why.Because[len(why.Because)-1].Rule != roll.RuleRecovered {
		t.Errorf("why %+v, %v", why, err)
	}
	// The new vault's own next key, chosen with the request.
	if _, err := nc.Rotate(t.Context(), RotateRequest{}); err != nil {
		t.Error(err)
	}
}

// Whoever has the keys vetoes, and a guardian takes a word back.
func TestVetoByRotation(t *testing.T) {
	na, nb := loopbackNode(t), loopbackNode(t)
	a := foundAs(t, na, "Free Coders", "Anna")
	b, _ := enterBy(t, nb, a, "Boris")
	codes := chooseGuardians(t, nb, "Anna")
	await(t, a, "guardians", func() bool { return a.Snapshot().Final.Roll().Member(b.Persona()).Keys.Guard != nil })
	key, e := identity.GenerateSigningKey(), identity.GenerateEntropy()
	next := e.Persona(a.id, 0).Commitment(1)
	text := newPlea(a.id, b.Persona(), key, next).String()
	wants := func(c *Community, n int) func() bool {
		return func() bool {
			list, _ := c.Recoveries()
			return len(list.Recoveries) == n && (n == 0 || list.Recoveries[0].Final)
		}
	}
	if _, err := a.Withdraw(t.Context(), codes[0].Code); err == nil {
		t.Error("takes back what was never said")
	}
	for range 2 {
		if _, err := a.Support(t.Context(), text, codes[0].Code); err != nil {
			t.Fatal(err)
		}
		await(t, a, "Anna's word", wants(a, 1))
		if _, err := a.Withdraw(t.Context(), codes[0].Code); err != nil {
			t.Fatal(err)
		}
		await(t, a, "Anna takes it back", wants(a, 0))
	}
	if _, err := a.Support(t.Context(), text, codes[0].Code); err != nil {
		t.Fatal(err)
	}
	await(t, b, "Boris hears of it", wants(b, 1))
	told := func(key identity.PublicKey) string { // who holds the key, when it asks
		s := a.Snapshot()
		return s.notGiven(s.Final.Roll().Member(b.Persona()), key)
	}
	if yes, no := told(key.Public()), told(identity.GenerateSigningKey().Public()); !strings.Contains(yes, "takes over 20") || !strings.HasSuffix(no, " yet") {
		t.Errorf("it runs: %q; a stranger hears %q", yes, no)
	}
	if _, err := nb.Rotate(t.Context(), RotateRequest{}); err != nil {
		t.Fatal(err)
	}
	await(t, a, "the veto", wants(a, 0))
	await(t, b, "nothing to warn of", func() bool { return b.Status().Trouble == "" && b.Status().Provisional == 0 })
	if why, err := b.RollWhy(b.Persona()); err != nil || why.Because[len(why.Because)-1].Rule != roll.RuleVeto {
		t.Errorf("why %+v, %v", why, err)
	}
	if no := told(key.Public()); !strings.Contains(no, "vetoed") {
		t.Errorf("who asked for the key hears of no veto: %q", no)
	}
	other, err := foundAs(t, loopbackNode(t), "Elsewhere", "Eva"), error(nil)
	for what, f := range map[string]func() error{
		"another's code": func() error { _, err = b.Support(t.Context(), text, codes[0].Code); return err },
		"there":          func() error { _, err = other.Support(t.Context(), text, codes[0].Code); return err },
		"about another": func() error {
			_, err = a.Support(t.Context(), newPlea(a.id, a.Persona(), key, next).String(), codes[0].Code)
			return err
		},
		"signed by nobody": func() error {
			p := newPlea(a.id, b.Persona(), key, next)
			p.Next[0]++
			_, err = a.Support(t.Context(), p.String(), codes[0].Code)
			return err
		},
		"no guardians of one's own": func() error {
			_, err = na.Rotate(t.Context(), RotateRequest{Guard: &GuardChoice{Personas: []string{"Anna"}, Threshold: 1, Delay: 72 * time.Hour}})
			return err
		},
		"too soon": func() error {
			_, err = na.Rotate(t.Context(), RotateRequest{Guard: &GuardChoice{Personas: []string{"Boris"}, Threshold: 1, Delay: time.Hour}})
			return err
		},
		"too many": func() error {
			_, err = na.Rotate(t.Context(), RotateRequest{Guard: &GuardChoice{Personas: []string{"Boris"}, Threshold: 257, Delay: 72 * time.Hour}})
			return err
		},
		"a request on a member's node": func() error {
			_, err = nb.RequestRecovery(t.Context(), RecoveryAsk{Link: "metastate:j/1#", Persona: b.Persona().String()})
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s: done", what)
		}
	}
}

// A second rotation before the first is final would freeze the persona.
func TestRotateOnce(t *testing.T) {
	n := loopbackNode(t)
	c := foundAs(t, n, "Free Coders", "Anna")
	await(t, c, "founded", func() bool { return c.Status().Provisional == 0 })
	l := c.book()
	l.mu.Lock() // the clerk makes no checkpoint in between
	m, p := l.tip.State().Roll().Member(c.Persona()), n.vault.memory.Entropy.Persona(c.id, c.daily.Index)
	l.mu.Unlock()
	k := p.SigningKey(1)
	r, err := protocol.Sign(protocol.Header{
		Metastate: c.id, Kind: protocol.Rotate, Persona: m.Persona, Key: k.Public(), Checkpoint: c.Snapshot().Ref, Parents: []protocol.ID{c.id}, Time: 1,
	}, roll.RotateBody{Next: p.Commitment(2)}, nil, k)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := l.deliver([][]byte{r.Inner()}); err != nil || d.taken != 1 {
		t.Fatal(d, err)
	}
	if _, err := c.rotate(p, m, nil); err == nil {
		t.Error("a second rotation by one key")
	}
	await(t, c, "the first is final", func() bool { return c.Snapshot().Final.Roll().Member(m.Persona).Keys.Key == k.Public() })
}

// A member takes no grant from a stranger but one that guardians prepared.
func TestClaimsRefused(t *testing.T) {
	n := loopbackNode(t)
	c := foundAs(t, n, "Free Coders", "Anna")
	device, key := identity.GenerateSigningKey(), n.vault.memory.Entropy.Persona(c.id, c.daily.Index).SigningKey(0)
	b := identity.Binding{
		Metastate: c.daily.Metastate, Persona: c.daily.Persona, Device: device.Public(), PeerID: []byte("knocker"),
		Issued: time.Now().Unix(), Expires: time.Now().Unix() + 3600,
	}
	ask := func(change func(*protocol.Header, *identity.Binding)) (joinAnswer, error) {
		h := protocol.Header{Metastate: c.id, Kind: protocol.Grant, Persona: c.Persona(), Key: key.Public(), Cosigners: []identity.PublicKey{device.Public()}}
		bind := b
		change(&h, &bind)
		g, err := protocol.Sign(h, identity.Grant{Device: device.Public(), Expires: time.Now().Unix() + 3600}, nil, key, device)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := identity.SignBinding(bind, device)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := dagcbor.Marshal(joinRequest{Grant: g.Inner(), Binding: wire})
		if err != nil {
			t.Fatal(err)
		}
		var a joinAnswer
		raw, err = c.serveJoin(t.Context(), "knocker", raw)
		if err == nil {
			err = dagcbor.Unmarshal(raw, &a)
		}
		return a, err
	}
	before := c.store.Len()
	for what, x := range map[string]struct {
		change func(*protocol.Header, *identity.Binding)
		says   string
	}{
		"the key in use": {func(*protocol.Header, *identity.Binding) {}, "have not given"},
		"a stranger": {func(h *protocol.Header, b *identity.Binding) {
			h.Persona, b.Persona = protocol.ID{1}, identity.Digest{1}
		}, "does not know"},
		"another peer": {func(_ *protocol.Header, b *identity.Binding) { b.PeerID = []byte("x") }, ""},
		"another's":    {func(_ *protocol.Header, b *identity.Binding) { b.Persona = identity.Digest{1} }, ""},
		"later":        {func(h *protocol.Header, _ *identity.Binding) { h.Seq, h.Prev = 1, protocol.ID{1} }, ""},
	} {
		a, err := ask(x.change)
		if (x.says == "") != (err != nil) || !strings.Contains(a.Reason, x.says) || a.Standing != "" || len(a.Epochs) != 0 {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
	}
	if c.store.Len() != before {
		t.Error("a stranger's grant was kept")
	}
}

// Who takes a persona up again is on the roll long before the device is: till
// then only who welcomed it speaks with it.
func TestFriendsUntilTheDeviceIsFinal(t *testing.T) {
	c := foundAs(t, loopbackNode(t), "Free Coders", "Anna")
	await(t, c, "founded", isMember(c))
	r := newReplica(c.book(), newKeyring(nil, time.Now(), random32()))
	r.befriend("friend")
	r.device = identity.GenerateSigningKey().Public()
	if !r.Known("friend") || r.Known("stranger") {
		t.Error("the welcoming member is a stranger")
	}
	r.device = c.key.Public()
	if r.Known("friend") {
		t.Error("a friend outlives the need")
	}
}

// FuzzRecoverTexts: what people hand over is read in one form and never panics.
func FuzzRecoverTexts(f *testing.F) {
	key := identity.NewSigningKey(&[32]byte{1})
	p := newPlea(protocol.ID{1}, protocol.ID{2}, key, identity.Digest{3})
	f.Add(p.String())
	f.Add(guardianCode{Metastate: protocol.ID{1}, Persona: protocol.ID{2}, Guardian: protocol.ID{3}}.String())
	f.Add("for you: " + p.String() + " thanks")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parsePlea(text); err == nil {
			if !strings.Contains(text, encodeText(p)) {
				t.Errorf("reads %q as %s", text, p)
			}
		}
		if c, err := parseCode(text); err == nil && !strings.Contains(text, encodeText(c)) {
			t.Errorf("reads %q as %s", text, c)
		}
	})
}
