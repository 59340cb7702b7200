// Package protocol defines the unit that metastate nodes sign, store and
// exchange: the record (SPEC §2).
package protocol
