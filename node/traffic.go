package node

import (
	"fmt"
	"strings"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// What the counters of presences say to a person. Of a shared presence they are
// those of all its metastates.

// examineGossip weighs what gossip lost. Sync repairs every loss, so only much
// of it is worth a word.
func examineGossip(m p2p.Metrics) Check {
	var lost uint64
	var where []string
	for _, x := range []struct {
		n  uint64
		in string
	}{
		{m.Loss.QueueF, "before they were sent"},
		{m.Loss.OutM, "on the way to a slow peer"},
		{m.Loss.InM, "because this computer was too slow"},
		{m.Loss.FailedF, "because they could not be stored"},
		{m.Loss.PublishF, "because they could not be sent"},
	} {
		if lost += x.n; x.n > 0 {
			where = append(where, fmt.Sprintf("%d %s", x.n, x.in))
		}
	}
	all := m.Gossip.SentF + m.Gossip.ReceivedF
	detail := fmt.Sprintf("%s sent or came, and %d were dropped", wereCounted(all, "message"), lost)
	if lost > 0 {
		detail += ": " + strings.Join(where, ", ")
	}
	if n := m.Loss.UnheardF; n > 0 {
		detail += fmt.Sprintf("; %d more went out while nobody listened", n)
	}
	if n := m.Gossip.RejectedM; n > 0 {
		detail += fmt.Sprintf("; %d that came were malformed", n)
	}
	if lost > 100 && lost > all/10 {
		return Check{Name: "gossip", Detail: detail, Remedy: "nothing is lost for good: sync brings it; this computer or its network is too slow or busy for what is written just now"}
	}
	return Check{Name: "gossip", Pass: true, Detail: detail}
}

// fewSessions are too few to judge by.
const fewSessions = 10

// examineSync weighs what is dialled and exchanged. On a full disk nothing can be.
func examineSync(m p2p.Metrics, full bool) Check {
	s := m.Sync
	detail := fmt.Sprintf("of %s begun here %d failed, and of %d that others began %d",
		Counted(int(s.Sessions), "exchange"), s.Failed, s.Served+s.ServedFailed, s.ServedFailed)
	if m.Failures > 0 {
		detail += fmt.Sprintf("; %d of %s to other computers went unanswered, as those to one that is off do", m.Failures, Counted(int(m.Dials), "call"))
	}
	if s.Misbehaved > 0 {
		detail += fmt.Sprintf("; %s ended for what a peer sent that no honest node sends", wereCounted(s.Misbehaved, "exchange"))
	}
	if full && s.Failed > 0 {
		return Check{Name: "sync", Detail: detail + "; the disk is full, so that what comes can't be stored", Remedy: roomRemedy}
	}
	if s.Sessions >= fewSessions && s.Failed > s.Sessions/2 {
		return Check{Name: "sync", Detail: detail, Remedy: "see with metastate peers list who is connected; a network that loses much, or peers of another version, make exchanges fail"}
	}
	return Check{Name: "sync", Pass: true, Detail: detail}
}

// examineStrangers says what strangers tried, among members and at the lobby.
func examineStrangers(members, lobby p2p.Metrics) Check {
	return Check{Name: "strangers", Pass: true, Detail: fmt.Sprintf("%s answered at the door and %d turned away; %s refused among members",
		wereCounted(lobby.Knocks, "knock"), lobby.Declined, wereCounted(members.Refused, "connection"))}
}

// examineRelays says who is reached through whom.
func examineRelays(h p2p.Health, p Profile, members, lobby p2p.RelayMetrics) Check {
	detail := "no relay keeps a place for this node"
	switch {
	case p == ProfileRelay:
		detail = fmt.Sprintf("this node is a relay for others: %s and %s through it given, %d of these open now, %s refused, and %.1f MB carried",
			Counted(int(members.Reservations+lobby.Reservations), "place"), Counted(int(members.Circuits+lobby.Circuits), "connection"),
			members.Open+lobby.Open, Counted(int(members.Refused+lobby.Refused), "request"), float64(members.Bytes+lobby.Bytes)/1e6)
	case h.Relays > 0:
		detail = Counted(h.Relays, "relay") + " kept for this node to be reached by"
	}
	return Check{Name: "relays", Pass: true, Detail: detail}
}

func wereCounted(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing + " was"
	}
	return Counted(int(n), thing) + " were"
}
