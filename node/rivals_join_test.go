package node

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"

	"github.com/metastate-p2p/metastate/protocol/roll"
)

// newcomer opens a node on a machine of its own that is not in the village yet.
func (v *village) newcomer(machine int) *Node {
	var ports atomic.Int64
	return mustOpen(v.t, Config{Ephemeral: true, underlay: func(needs ...libp2p.Option) (host.Host, error) {
		return v.net.Underlay(machine, 8000+int(ports.Add(1)))(needs...)
	}})
}

// An invite for one is used on both sides of a partition. The admission that the
// clerks make final first holds (SPEC §5.2 rule 4); the other newcomer is pending
// on every node alike, is told why and what to do, and comes in once admitted by
// name.
func TestOneUseOnBothSidesOfAPartition(t *testing.T) {
	if underRace {
		t.Skip("whole hosts in virtual time run without the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 4)
		maker := v.all[1]
		v.eventually(time.Minute, "three lobbies are known", func() bool { return len(maker.bootstraps(maker.Snapshot())) == maxBootstraps })
		inv, err := maker.CreateInvite(t.Context(), InviteRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range v.all {
			v.eventually(time.Minute, fmt.Sprint("the invite is known to ", i), func() bool { return c.Snapshot().View.Roll().Invite(inv.Invite) != nil })
		}
		early, late := v.newcomer(4), v.newcomer(5)
		side := []int{0, 0, 1, 1, 0, 1} // the only clerk is 0
		v.net.Partition(len(side), func(m int) int { return side[m] })
		var in [2]*Community
		for i, n := range []*Node{early, late} {
			m, err := n.Join(t.Context(), JoinRequest{Link: inv.Link, As: []string{"Emil", "Lara"}[i]})
			if err != nil {
				t.Fatal(err)
			}
			in[i] = n.lookup(m.Metastate)
		}
		v.eventually(time.Minute, "who joins beside the clerk is in", isMember(in[0]))
		server := v.all[2]
		v.eventually(2*time.Minute, "the other's admission is written", func() bool {
			m := server.Snapshot().View.Roll().Member(in[1].Persona())
			other := v.all[3].Snapshot().View.Roll().Member(in[1].Persona())
			return m != nil && other != nil && m.Standing() == roll.Full
		})
		if s := in[1].Status(); s.Standing == "member" || s.Step != stepReached {
			t.Errorf("while nothing is final there: %+v", s)
		}
		v.net.Partition(len(side), nil)
		v.nodes = append(v.nodes, early)
		v.all = append(v.all, in[0])
		v.eventually(20*time.Minute, "the other is told", func() bool { return strings.Contains(in[1].Status().Trouble, "no use left") })
		v.eventually(20*time.Minute, "all equal", v.equal)
		for i, c := range v.all {
			r := c.Snapshot().Final.Roll()
			if got := r.Member(in[0].Persona()).Standing(); got != roll.Full {
				t.Errorf("at %d the first is %s", i, got)
			}
			if got := r.Member(in[1].Persona()).Standing(); got != roll.Pending {
				t.Errorf("at %d the second is %s", i, got)
			}
			if inv := r.Invite(inv.Invite); inv.Used != 1 {
				t.Errorf("at %d the invite was used %d times", i, inv.Used)
			}
		}
		if told := in[1].Status().Trouble; !strings.Contains(told, "metastate roll admit "+in[1].Persona().String()) {
			t.Errorf("the second is told %q", told)
		}
		if _, err := v.all[0].Admit(t.Context(), in[1].Persona()); err != nil {
			t.Fatal(err)
		}
		v.eventually(10*time.Minute, "the second is in, too", isMember(in[1]))
		for _, n := range append(v.nodes, late) {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
