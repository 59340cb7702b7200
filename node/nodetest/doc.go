// Package nodetest helps to test and measure nodes from outside. [Flood] does
// to a lobby what a hostile crowd would.
package nodetest
