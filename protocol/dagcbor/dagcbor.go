// Package dagcbor reads and writes the strict profile of DAG-CBOR that every
// metastate record, checkpoint and frame uses (SPEC §2.1).
//
// One value has exactly one encoding: integers and lengths in their shortest
// form, definite lengths only, maps with unique text keys sorted by length and
// then bytes, no tag but 42 (a link), no floats, no undefined, valid UTF-8 and
// nothing after the value. Two encodings of one value would give it two ids,
// so a decoder that forgave would let a peer mint copies of a record.
//
// [Reader] walks bytes without allocating and refuses anything else as it
// goes. [Check] applies it to a whole value. [Marshal] and [Unmarshal] map
// values to Go structs; Unmarshal checks first, and refuses unknown fields.
package dagcbor

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// MaxDepth is the deepest nesting of arrays and maps that is read.
const MaxDepth = 16

// ErrNotCanonical is wrapped by every refusal of this package: the bytes are
// not the one canonical encoding of a value.
var ErrNotCanonical = errors.New("not canonical DAG-CBOR")

var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortLengthFirst,
		ShortestFloat: cbor.ShortestFloatNone,
		IndefLength:   cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
		OmitEmpty:     cbor.OmitEmptyCBORValue,
		FieldName:     cbor.FieldNameToTextString,
	}.EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		MaxNestedLevels:   MaxDepth,
		MaxArrayElements:  1 << 20,
		MaxMapPairs:       1 << 16,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("dagcbor: " + err.Error()) // a broken constant of this package
	}
	return v
}

// Marshal returns the canonical encoding of v. Struct fields are named by
// their `cbor` tags; fields tagged omitempty are left out when empty.
func Marshal(v any) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("dagcbor: encoding %T: %w", v, err)
	}
	if err := Check(b); err != nil {
		return nil, fmt.Errorf("dagcbor: encoding %T: %w", v, err)
	}
	return b, nil
}

// Encode is [Marshal] for values of our own types, whose texts were checked on the
// way in: it panics at what has no encoding.
func Encode(v any) []byte {
	b, err := Marshal(v)
	if err != nil {
		panic(err.Error())
	}
	return b
}

// Unmarshal decodes b into v, a pointer to a zero value. It accepts exactly
// what [Marshal] writes for values of v's type, so that a value has one
// encoding there too: it refuses bytes that are not canonical, fields v does
// not have or that Marshal would have left out, missing fields and values that
// only nearly fit (errors wrapping [ErrNotCanonical]). The caller bounds
// len(b) first.
func Unmarshal(b []byte, v any) error {
	if err := Check(b); err != nil {
		return err
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: decoding %T: %v", ErrNotCanonical, v, err)
	}
	if again, err := encMode.Marshal(v); err != nil || !bytes.Equal(again, b) {
		return fmt.Errorf("%w: not the one encoding of a %T", ErrNotCanonical, v)
	}
	return nil
}

// Check reports whether b is exactly one canonical value. It allocates nothing
// for canonical values whose links are dag-cbor by sha2-256, as all of ours
// are.
func Check(b []byte) error {
	r := NewReader(b)
	r.Skip()
	return r.End()
}
