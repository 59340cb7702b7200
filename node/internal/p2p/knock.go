package p2p

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Knock sends request to the lobbies of an invite, to one at a time, in the order
// in which they come within reach, and gives each answer to take with the peer id
// it came from, until take says that no other is needed. The host it uses listens
// nowhere, talks to these lobbies only, and is gone when Knock returns; of cfg
// only Seed, Profile, Hidden and Underlay matter.
//
// A lobby that refuses does not end the search: it may not be the one to
// decide. The error is nil if any lobby answered; else it wraps ErrRefused if any
// refused, ErrUnreachable if none did, or ErrTooBig.
func Knock(ctx context.Context, cfg Config, lobbies []Peer, request []byte, take func(peerID string, answer []byte) (enough bool)) error {
	if len(request) > MaxKnock {
		return fmt.Errorf("p2p: knocking: %w: request of %d bytes", ErrTooBig, len(request))
	}
	if cfg.Profile == ProfileRelay { // who knocks is reached by nobody
		cfg.Profile = ProfileMember
	}
	cfg.Listen, cfg.Hidden.Onion = nil, ""
	if cfg.Underlay == nil {
		cfg.Underlay = cfg.underlay(nil)
	}
	if err := cfg.complete(); err != nil {
		return fmt.Errorf("p2p: knocking: %w", err)
	}
	var doors []candidate
	allowed := map[peer.ID]bool{}
	for _, b := range lobbies {
		id, addrs, err := parsePeer(b)
		if err != nil {
			return err
		}
		doors = append(doors, candidate{id, addrs})
		allowed[id] = true
		for _, a := range addrs {
			if relay, ok := relayOf(a); ok {
				allowed[relay] = true
			}
		}
	}
	h, err := newHost(cfg, visiting, gater{allow: func(p peer.ID) bool { return allowed[p] }, meter: &meter{}})
	if err != nil {
		return fmt.Errorf("p2p: knocking: %w", err)
	}
	defer func() { _ = h.Close() }()
	// By way of a relay a lobby is reached for one knock only.
	ctx = network.WithAllowLimitedConn(ctx, "knocking")
	failure := ErrUnreachable
	answered := false
	for l := range reached(ctx, h, doors, cfg.Profile.patience()) {
		answer, err := ask(ctx, h, l, request)
		if err == nil {
			answered = true
			if take(l.id.String(), answer) {
				break
			}
		}
		if errors.Is(err, ErrRefused) {
			failure = ErrRefused
		}
	}
	switch {
	case answered:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("p2p: knocking: %w: %w", failure, ctx.Err())
	}
	return fmt.Errorf("p2p: knocking: %w: %d lobbies tried", failure, len(doors))
}

// reached dials all doors at once, each within patience, and yields them as they are reached.
func reached(ctx context.Context, h host.Host, doors []candidate, patience time.Duration) iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var dials sync.WaitGroup
		defer dials.Wait()
		defer cancel()
		open := make(chan *candidate, len(doors))
		for _, d := range doors {
			dials.Go(func() {
				if connect(ctx, h, d, patience) != nil {
					open <- nil
					return
				}
				open <- &d
			})
		}
		for range doors {
			if d := <-open; d != nil && !yield(*d) {
				return
			}
		}
	}
}

// ask sends a request over a connection and returns the answer.
func ask(ctx context.Context, h host.Host, l candidate, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	s, err := h.NewStream(ctx, l.id, joinProtocol)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	defer func() { _ = s.Reset() }()
	w := newWire(s)
	if err := w.send(knockFrame, request); err != nil {
		return nil, err
	}
	typ, body, err := w.recv(MaxAnswer, knockTimeout)
	switch {
	case err != nil:
		return nil, err
	case typ == answerFrame:
		return body, nil
	case typ == refusedFrame:
		return nil, ErrRefused
	}
	return nil, fmt.Errorf("%w: frame type %d", ErrPeer, typ)
}
