package store

// Free is the number of bytes that this user can still write where dir is;
// known is false on systems that don't tell.
func Free(dir string) (bytes int64, known bool) {
	free, _, err := diskSpace(dir)
	return free, err == nil && free >= 0
}
