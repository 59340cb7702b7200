//go:build race

package node

// underRace: the race detector makes everything about ten times slower.
const underRace = true
