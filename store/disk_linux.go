package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockExclusive takes the file's lock without waiting. The kernel gives it back when the process ends, however it ends.
func lockExclusive(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// diskFree returns the bytes that an ordinary user may still write on path's file system.
func diskFree(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// networkFS returns the name of the network file system that path lies on, and "" on a local one. SQLite's locks and
// shared memory do not hold over a network.
func networkFS(path string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return ""
	}
	switch uint32(st.Type) { // the magic numbers are 32 bits wide, st.Type is as wide as the machine's word
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case 0xff534d42, 0xfe534d42: // CIFS, SMB2
		return "smb"
	case unix.CEPH_SUPER_MAGIC:
		return "ceph"
	case unix.AFS_SUPER_MAGIC, 0x6b414653:
		return "afs"
	case unix.V9FS_MAGIC:
		return "9p"
	}
	return ""
}
