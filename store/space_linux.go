package store

import (
	"os"
	"syscall"
)

// diskSpace returns the bytes free to this user and in total where dir is;
// free is -1 where that is unknown.
func diskSpace(dir string) (free, total int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// allocate makes f occupy n bytes of disk.
func allocate(f *os.File, n int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, n)
	if err == syscall.EOPNOTSUPP {
		return fill(f, n)
	}
	return err
}
