package p2p

import (
	"net/netip"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/time/rate"
)

// subnet is what an address limit counts: the IPv4 address or IPv6 /56.
func subnet(a ma.Multiaddr) string {
	ip, err := manet.ToIP(a)
	if err != nil {
		return ""
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return ""
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	p, err := addr.Prefix(56)
	if err != nil {
		return ""
	}
	return p.String()
}

// rates limits each key by a token bucket. A full table forgets the buckets
// that are full again, and refuses new keys while there are none.
type rates struct {
	limit rate.Limit
	burst int
	mu    sync.Mutex
	keys  map[string]*rate.Limiter // guarded by mu; at most maxRateEntries
	swept time.Time                // guarded by mu; when full buckets were last dropped
}

func newRates(limit rate.Limit, burst int) *rates {
	return &rates{limit: limit, burst: burst, keys: map[string]*rate.Limiter{}}
}

func (r *rates) allow(key string) bool {
	b := r.of(key)
	return b != nil && b.Allow()
}

// of is a key's bucket, nil if the table is full.
func (r *rates) of(key string) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.keys[key]
	if b == nil {
		if len(r.keys) >= maxRateEntries && time.Since(r.swept) > time.Second {
			r.forget()
		}
		if len(r.keys) >= maxRateEntries {
			return nil
		}
		b = rate.NewLimiter(r.limit, r.burst)
		r.keys[key] = b
	}
	return b
}

// forget drops full buckets. The caller holds r.mu.
func (r *rates) forget() {
	r.swept = time.Now()
	for k, b := range r.keys {
		if b.Tokens() >= float64(r.burst) {
			delete(r.keys, k)
		}
	}
}
