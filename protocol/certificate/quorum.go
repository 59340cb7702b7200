package certificate

// MaxClerks is the largest clerk set. A message of each clerk in each phase
// must pass between all of them over slow links, which is what bounds it.
const MaxClerks = 13

// Quorum returns, for n ≥ 1 clerks, how many of them may be dishonest or away
// (f = ⌊(n−1)/3⌋) and how many must sign (q = ⌊(n+f)/2⌋+1): any two quorums
// share an honest clerk, and the honest ones are enough for one (SPEC §7.2).
// For n of 1, 2, 3, 4, 7 the quorum is 1, 2, 2, 3, 5.
func Quorum(n int) (f, q int) {
	f = (n - 1) / 3
	return f, (n+f)/2 + 1
}
