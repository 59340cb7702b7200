package store_test

import (
	"crypto/rand"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/store"
)

func Example() {
	key := make([]byte, 32)
	rand.Read(key)
	s, err := store.Open(store.Config{Key: key, InMemory: true}) // or Dir: "…"
	if err != nil {
		panic(err)
	}
	defer s.Close()

	payload := []byte("\xa1\x64kind\x67comment")
	inner, err := dagcbor.Marshal([][]byte{payload, []byte("signatures")})
	if err != nil {
		panic(err)
	}
	id := protocol.Sum(payload)
	if err := s.Append(store.Item{ID: id, Inner: inner}); err != nil {
		panic(err)
	}
	for entry, err := range s.Log(0) {
		if err != nil {
			panic(err)
		}
		record, err := s.Get(entry.ID)
		fmt.Println(entry.Seq, len(record), err)
	}
	_, err = s.Get(protocol.Sum([]byte("another")))
	fmt.Println(err)
	// Output:
	// 0 27 <nil>
	// not found
}
