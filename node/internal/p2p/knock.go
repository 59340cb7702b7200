package p2p

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Knock sends request to the first lobby of an invite's bootstraps that takes
// it, and returns its response and its peer id. The host it uses listens
// nowhere, talks to the bootstraps only, and is gone when Knock returns; of cfg
// only Seed and Underlay matter.
//
// A lobby that refuses does not end the search: it may not be the one to
// decide. The error wraps ErrRefused if any lobby refused, ErrUnreachable if
// none answered, or ErrTooBig.
func Knock(ctx context.Context, cfg Config, bootstraps []Peer, request []byte) (response []byte, reached string, err error) {
	if len(request) > MaxKnock {
		return nil, "", fmt.Errorf("p2p: knocking: %w: request of %d bytes", ErrTooBig, len(request))
	}
	if cfg.Underlay == nil {
		cfg.Underlay = system(nil)
	}
	if err := cfg.complete(); err != nil {
		return nil, "", fmt.Errorf("p2p: knocking: %w", err)
	}
	var lobbies []candidate
	allowed := map[peer.ID]bool{}
	for _, b := range bootstraps {
		id, addrs, err := parsePeer(b)
		if err != nil {
			return nil, "", err
		}
		lobbies = append(lobbies, candidate{id, addrs})
		allowed[id] = true
	}
	h, err := newHost(cfg.Seed, cfg.Underlay, cfg.Limits, gater{allow: func(p peer.ID) bool { return allowed[p] }, meter: &meter{}})
	if err != nil {
		return nil, "", fmt.Errorf("p2p: knocking: %w", err)
	}
	defer func() { _ = h.Close() }()
	failure := ErrUnreachable
	for _, l := range lobbies {
		response, err := knockAt(ctx, h, l, request)
		if err == nil {
			return response, l.id.String(), nil
		}
		if errors.Is(err, ErrRefused) {
			failure = ErrRefused
		}
		if ctx.Err() != nil {
			return nil, "", fmt.Errorf("p2p: knocking: %w: %w", failure, ctx.Err())
		}
	}
	return nil, "", fmt.Errorf("p2p: knocking: %w: %d lobbies tried", failure, len(lobbies))
}

func knockAt(ctx context.Context, h host.Host, l candidate, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+knockTimeout)
	defer cancel()
	if err := connect(ctx, h, l.id, l.addrs); err != nil {
		return nil, err
	}
	return ask(ctx, h, l, request)
}

// ask sends a request over a connection and returns the answer.
func ask(ctx context.Context, h host.Host, l candidate, request []byte) ([]byte, error) {
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
