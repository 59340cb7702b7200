// Package roll decides who belongs to a metastate: how people join, are
// admitted, hold offices, are suspended and leave, and which devices speak for
// them (SPEC §5).
//
// [Apply] takes the roll of the last final checkpoint and a batch of records,
// and gives the roll after them and a verdict on each. Only the final roll
// confers power: an officer appointed in the batch has none in it. Restrictions
// are judged first, strongest first, and cut what their target did outside
// their past; admissions under one invite stand or fall as a group when they
// are more than its uses. So nothing depends on the order in which records
// that don't follow from one another arrived.
package roll
