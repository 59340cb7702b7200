// Package decision is how a metastate decides: proposals, electorates, polls
// and ballots (SPEC §8).
//
// A proposal becomes a poll when a checkpoint covers it. Its phases follow the
// charter's class of decision: discussion, frozen, voting, contest, passed,
// in-force. The electorate is the roll at the checkpoint that opens the vote
// (the record date); the vote closes at the first checkpoint whose time is at
// or past the deadline, and a ballot counts if it is covered by then.
package decision
