package p2p_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// A stranger knocks at a member's lobby with what an invite says, and is
// answered.
func Example() {
	var lobbySeed, strangerSeed [32]byte
	_, _ = rand.Read(lobbySeed[:])
	_, _ = rand.Read(strangerSeed[:])
	here := []string{"/ip4/127.0.0.1/tcp/0"}

	lobby, err := p2p.NewLobby(p2p.Config{Seed: lobbySeed, Listen: here},
		func(_ context.Context, _ string, request []byte) ([]byte, error) {
			return fmt.Appendf(nil, "welcome, you said %q", request), nil
		})
	if err != nil {
		log.Fatal(err)
	}
	defer lobby.Close()

	invite := []p2p.Peer{{ID: lobby.ID(), Addrs: lobby.Addrs()}}
	err = p2p.Knock(context.Background(), p2p.Config{Seed: strangerSeed}, invite, []byte("let me in"), func(peerID string, answer []byte) bool {
		fmt.Println(string(answer), peerID == lobby.ID())
		return true
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: welcome, you said "let me in" true
}
