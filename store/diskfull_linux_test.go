package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

// smallDisk mounts a tmpfs of some bytes and returns its path.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a disk of its own needs root to mount a tmpfs: run this test as root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill writes a file until the disk is full and returns its path.
func fill(t *testing.T, disk string) string {
	t.Helper()
	path := filepath.Join(disk, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 4
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestDiskFullRecordsNothingAndRecovers: on a full disk every commit either is whole or says ErrDiskFull and left
// nothing; reading goes on; and as soon as there is space, the same store commits again.
func TestDiskFullRecordsNothingAndRecovers(t *testing.T) {
	disk := smallDisk(t, "8m")
	dir := filepath.Join(disk, "data")
	s := open(t, dir)
	seq, recorded, refused := uint64(1), []uint64{}, []uint64{}
	for round := range 3 {
		filler := fill(t, disk)
		for n := 0; ; n++ {
			if n == 5000 {
				t.Fatalf("round %d: 5000 commits on a full disk and none was refused", round)
			}
			err := s.Commit(t.Context(), []inspection.Entry{storetest.Entry(seq, inspection.Fail), storetest.Entry(seq+1, inspection.Pass)})
			if err == nil {
				recorded = append(recorded, seq, seq+1)
				seq += 2
				continue
			}
			if !errors.Is(err, inspection.ErrDiskFull) {
				t.Fatalf("round %d: got %v, want ErrDiskFull", round, err)
			}
			refused = append(refused, seq, seq+1)
			seq += 2
			if len(refused) >= 10*(round+1) {
				break
			}
		}
		if _, err := s.List(t.Context(), inspection.Query{}); err != nil {
			t.Errorf("round %d: list on a full disk: %v", round, err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), []inspection.Entry{storetest.Entry(seq, inspection.Fail)}); err != nil {
			t.Fatalf("round %d: commit when there is space again: %v", round, err)
		}
		recorded = append(recorded, seq)
		seq++
	}
	for _, n := range recorded {
		if _, err := s.Lookup(t.Context(), storetest.Key(n)); err != nil {
			t.Errorf("frame %d was recorded: %v", n, err)
		}
	}
	for _, n := range refused {
		if _, err := s.Lookup(t.Context(), storetest.Key(n)); !errors.Is(err, inspection.ErrNotFound) {
			t.Errorf("frame %d was refused: got %v, want ErrNotFound", n, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound(t, dir)
	t.Logf("%d frames recorded, %d refused over 3 full disks", len(recorded), len(refused))
}

// TestImagesOnAFullDisk: what the disk does not take is shed and says so, what was kept stays whole, and giving images up
// works on a disk without a single free byte.
func TestImagesOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, "16m")
	dir := filepath.Join(disk, "data")
	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond, RetainEvery: time.Hour, Ballast: 1 << 20})
	const size = 300_000
	const many = 20
	for seq := uint64(1); seq <= many; seq++ {
		im.Keep(withImage(t, s, seq, inspection.Fail, size, nil))
		until(t, "image to be kept", func() bool { return state(t, s, seq) == inspection.ImageKept })
	}
	pending := []store.Picture{withImage(t, s, many+1, inspection.Fail, size, nil), withImage(t, s, many+2, inspection.Fail, size, nil)}
	filler := fill(t, disk)
	for _, p := range pending {
		im.Keep(p)
	}
	for _, p := range pending {
		until(t, "image to be shed", func() bool { return state(t, s, p.Key.Seq) == inspection.ImageShed })
	}
	noKeptWithoutBytes(t, s, im)
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}

	im = openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond, RetainEvery: time.Hour, Ballast: 1 << 20, MinFree: 2 * size})
	if err := im.Retain(t.Context()); err != nil {
		t.Fatalf("make room on a full disk: %v", err)
	}
	st, err := im.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.FreeBytes < 2*size || st.Images[inspection.ImageKept].Count < many/2 { // twice the ballast and the reserve are 9 images
		t.Errorf("got %d bytes free and %d images kept: want %d free, and no more given up than that takes", st.FreeBytes, st.Images[inspection.ImageKept].Count, 2*size)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := im.Retain(t.Context()); err != nil { // takes the ballast again, as it does every second while images are refused
		t.Fatal(err)
	}
	im.Keep(withImage(t, s, many+3, inspection.Fail, size, nil))
	until(t, "image to be kept when there is space again", func() bool { return state(t, s, many+3) == inspection.ImageKept })
	noKeptWithoutBytes(t, s, im)
	for _, err := range []error{im.Close(), s.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	sound(t, dir)
}

// leave writes a file that leaves so many bytes of the disk free.
func leave(t *testing.T, disk string, bytes int64) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(disk, &st); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, int64(st.Bavail)*st.Bsize-bytes), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestImagesAreKeptAgainOnADiskDownToItsReserve: with free bytes between the reserve and what the ballast needs, and with
// fewer beyond the reserve than a picture has, older images go, the ballast is made and new ones are kept.
func TestImagesAreKeptAgainOnADiskDownToItsReserve(t *testing.T) {
	const size, ballast, minFree, many = 300_000, 1 << 20, 2 << 20, 20
	for name, c := range map[string]struct {
		ballast bool // is there
		free    int64
	}{
		"without a ballast":       {false, minFree + ballast},
		"no room for one picture": {true, minFree + size/2},
	} {
		t.Run(name, func(t *testing.T) {
			disk := smallDisk(t, "24m")
			dir := filepath.Join(disk, "data")
			s := open(t, dir)
			cfg := store.ImagesConfig{SyncEvery: time.Millisecond, RetainEvery: time.Hour, Ballast: ballast, MinFree: minFree}
			im := openImages(t, s, cfg)
			for seq := uint64(1); seq <= many; seq++ {
				im.Keep(withImage(t, s, seq, inspection.Fail, size, nil))
				until(t, "image to be kept", func() bool { return state(t, s, seq) == inspection.ImageKept })
			}
			if err := im.Close(); err != nil {
				t.Fatal(err)
			}
			if !c.ballast {
				if err := os.Remove(filepath.Join(dir, "BALLAST")); err != nil {
					t.Fatal(err)
				}
			}
			leave(t, disk, c.free)
			im = openImages(t, s, cfg)
			for seq := uint64(many + 1); ; seq++ {
				im.Keep(withImage(t, s, seq, inspection.Fail, size, nil))
				until(t, "image to be settled", func() bool { return state(t, s, seq) != inspection.ImagePending })
				if state(t, s, seq) == inspection.ImageKept {
					break
				}
				if seq == many+5 {
					t.Fatal("no image is kept any more")
				}
				if err := im.Retain(t.Context()); err != nil { // as it does every second while images are refused
					t.Fatal(err)
				}
			}
			st, err := im.Stats(t.Context())
			if err != nil || st.NotKept != "" {
				t.Errorf("images are kept, and the status says %q, %v", st.NotKept, err)
			}
			if err := im.Close(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes free, %d images kept", st.FreeBytes, st.Images[inspection.ImageKept].Count)
			if st.Images[inspection.ImageKept].Count < many/4 {
				t.Errorf("%d images are kept of %d: more were given up than that takes", st.Images[inspection.ImageKept].Count, many)
			}
		})
	}
}

// TestImagesThatCannotBeKeptAreSaid: where nothing is left to be given up for the ballast, the status has the remedy, and
// following it is enough.
func TestImagesThatCannotBeKeptAreSaid(t *testing.T) {
	const size, ballast, minFree = 300_000, 1 << 20, 4 << 20
	disk := smallDisk(t, "24m")
	dir := filepath.Join(disk, "data")
	s := open(t, dir)
	leave(t, disk, minFree+ballast/2)
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond, RetainEvery: time.Hour, Ballast: ballast, MinFree: minFree})
	im.Keep(withImage(t, s, 1, inspection.Fail, size, nil))
	until(t, "image to be shed", func() bool { return state(t, s, 1) == inspection.ImageShed })
	st, err := im.Stats(t.Context())
	if want := "free 2 MiB on the data disk, or lower images.min_free by as much"; err != nil || st.NotKept != want {
		t.Fatalf("the status says %q, %v; want %q", st.NotKept, err, want)
	}
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	leave(t, disk, st.FreeBytes+2<<20)
	if err := im.Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	im.Keep(withImage(t, s, 2, inspection.Fail, size, nil))
	until(t, "image to be kept again", func() bool { return state(t, s, 2) == inspection.ImageKept })
	if st, err = im.Stats(t.Context()); err != nil || st.NotKept != "" {
		t.Errorf("images are kept again, and the status says %q, %v", st.NotKept, err)
	}
}
