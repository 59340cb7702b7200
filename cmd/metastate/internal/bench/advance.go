package bench

import "context"

// bars are the parts of advance: each takes the figures of one bar, or of some
// that are measured on the same thing.
var bars = [...]func(context.Context, Options, *report) error{
	inserts,
	finality,
	flood,
}

// advance measures how what a node does for one record, or holds for one
// member, depends on the size of the community. Options.Records is the length
// of the longest history.
func advance(ctx context.Context, o Options, r *report) error {
	for _, measure := range bars {
		if err := measure(ctx, o, r); err != nil {
			return err
		}
	}
	return nil
}
