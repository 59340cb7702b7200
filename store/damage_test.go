package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
)

const damagedCount = 1600

func fillForDamage(t *testing.T, dir string) {
	s := mustOpen(t, dir)
	must(t, s.Append(items(0, damagedCount/2, 200)...))
	must(t, s.PutCheckpoint(1, []byte("cert 1"), []byte("chunk 1")))
	must(t, s.PutPrivate("vote", []byte("yes")))
	must(t, s.Append(items(damagedCount/2, damagedCount, 200)...))
	must(t, s.Close())
}

// childRead opens a store and reads all of it. It succeeds if all is there, and
// fails if something is missing and nobody said so.
func childRead(dir string) error {
	s, err := Open(Config{Dir: dir, Key: testKey})
	if errors.Is(err, ErrKey) || isDamaged(err) {
		fmt.Println("damaged", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if s.Len() != damagedCount {
		return fmt.Errorf("silent loss: %d records", s.Len())
	}
	told := 0
	tell := func(what string, err error) error {
		if isDamaged(err) {
			told++
			return nil
		}
		return fmt.Errorf("silent loss: %s: %v", what, err)
	}
	for _, it := range items(0, damagedCount, 200) {
		if b, err := s.Get(it.ID); err != nil || !bytes.Equal(b, it.Inner) {
			if err := tell("record", err); err != nil {
				return err
			}
		}
	}
	for _, set := range s.Sets() {
		n := uint64(0)
		var last error
		want, _ := s.ix.set(set)
		for _, err := range s.Set(set) {
			n, last = n+1, err
		}
		if last != nil || n != want.count {
			if err := tell("set", last); err != nil {
				return err
			}
		}
	}
	if c, err := s.Checkpoint(1); err != nil || string(c.Cert) != "cert 1" {
		if err := tell("certificate", err); err != nil {
			return err
		}
	}
	if v, err := s.Private("vote"); err != nil || string(v) != "yes" {
		if err := tell("vote", err); err != nil {
			return err
		}
	}
	if told > 0 {
		fmt.Println("damaged", told)
	} else {
		fmt.Println("whole")
	}
	return nil
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	must(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

// files lists the non-empty files under dir.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if info, ierr := d.Info(); err == nil && ierr == nil && !d.IsDir() && info.Size() > 0 {
			paths = append(paths, p)
		}
		return err
	}))
	return paths
}

// TestFlippedByte flips a bit anywhere: the store either has everything or says
// that it is damaged; and a Rebuild accounts for every record.
func TestFlippedByte(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 16
	}
	dir := t.TempDir()
	fillForDamage(t, dir)
	killed := killedCopy(t)
	rng := rand.New(rand.NewPCG(3, 4))
	outcomes := map[string]int{}
	for range rounds {
		from := dir
		if rng.IntN(3) == 0 {
			from = killed
		}
		d := copyDir(t, from)
		all := files(t, d)
		path := all[rng.IntN(len(all))]
		b, err := os.ReadFile(path)
		must(t, err)
		used := len(bytes.TrimRight(b, "\x00"))
		at := rng.IntN(max(used, 1))
		bit := byte(1) << rng.IntN(8)
		b[at] ^= bit
		must(t, os.WriteFile(path, b, 0o600))
		where := fmt.Sprintf("%s at %d of %d, bit %#x", filepath.Base(path), at, used, bit)

		crash := false
		said := ""
		for try := 0; try < 2; try++ { // a crash of Badger counts only if the next Open does not explain it
			cmd, out := startChild(t, "read "+d)
			for out.Scan() {
				if said = out.Text(); strings.HasPrefix(said, "error") {
					t.Fatalf("%s: %s", where, said)
				}
			}
			if crash = cmd.Wait() != nil; !crash {
				break
			}
			outcomes["crash"]++
		}
		if crash {
			t.Fatalf("%s: crashes again and again", where)
		}
		outcomes[strings.Fields(said)[0]]++
		rebuildAll(t, d, where)
		must(t, os.RemoveAll(d))
	}
	t.Log(outcomes)
	if outcomes["damaged"] == 0 {
		t.Error("no flip was noticed: the test flips nothing")
	}
}

// killedCopy is a store as kill -9 leaves it: records in Badger's log, no clean
// inventory.
func killedCopy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	must(t, s.Append(items(0, damagedCount/2, 200)...))
	must(t, s.PutCheckpoint(1, []byte("cert 1"), []byte("chunk 1")))
	must(t, s.PutPrivate("vote", []byte("yes")))
	must(t, s.Append(items(damagedCount/2, damagedCount-500, 200)...))
	must(t, s.Append(items(damagedCount-500, damagedCount, 200)...))
	return copyDir(t, dir)
}

func rebuildAll(t *testing.T, dir, where string) {
	t.Helper()
	r, err := Rebuild(Config{Dir: dir, Key: testKey})
	if errors.Is(err, ErrKey) {
		t.Fatalf("%s: Rebuild: %v", where, err)
	}
	if err != nil {
		t.Fatalf("%s: Rebuild: %v", where, err)
	}
	if n := r.Records + uint64(len(r.Damaged)) + r.Unnamed; n < damagedCount && len(r.Problems) == 0 {
		t.Fatalf("%s: Rebuild accounts for %d records: %+v", where, n, r)
	}
	s, err := Open(Config{Dir: dir, Key: testKey})
	if err != nil {
		t.Fatalf("%s: after Rebuild: %v", where, err)
	}
	defer s.Close()
	if s.Len() != r.Records {
		t.Fatalf("%s: Rebuild saved %d records, the store has %d", where, r.Records, s.Len())
	}
	if v, err := s.Private("vote"); !r.PrivateUncertain && (err != nil || string(v) != "yes") {
		t.Fatalf("%s: a vote was lost in silence", where)
	}
	if rep, err := s.Verify(context.Background()); err != nil || rep.Records != r.Records || len(rep.Damaged) > 0 {
		t.Fatalf("%s: after Rebuild: %+v %v", where, rep, err)
	}
	must(t, s.Append(items(0, damagedCount, 200)...)) // peers give back what was lost
	if s.Len() != damagedCount {
		t.Fatalf("%s: %d records after repair", where, s.Len())
	}
}

// Rows that vanish while the store is open are noticed at the next read, and
// healed by appending the record again.
func TestLostRows(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	want := items(0, 500, 200)
	must(t, s.Append(want...))
	must(t, s.PutCheckpoint(1, []byte("c"), []byte("k")))
	must(t, s.PutPrivate("p", []byte("v")))
	lost, wrongRec := want[:s.ix.packOf(200)], want[200] // all packs before, and one record
	var spoilt []row
	for _, start := range s.ix.starts {
		if uint64(start) < s.ix.packOf(200) {
			spoilt = append(spoilt, row{key: key(rowPack, be64(uint64(start)))})
		}
	}
	pk, err := s.pack(s.ix.packOf(200))
	must(t, err)
	wrong, err := pk.at(int(200 - pk.seq))
	must(t, err)
	wrong.bytes = bytes.Clone(wrong.bytes)
	wrong.bytes[len(wrong.bytes)-70] ^= 1 // in the payload
	bad, err := s.repack(pk.seq, map[uint64]slot{200: wrong})
	must(t, err)
	must(t, s.write(append(spoilt, bad, row{key: key(rowBody, be64(1))}, row{key: key(rowPrivate, []byte("p"))})))
	var ids []protocol.ID
	for _, it := range append(slices.Clone(lost), wrongRec) {
		ids = append(ids, it.ID)
		_, err := s.Get(it.ID)
		if d, ok := errors.AsType[*DamagedError](err); !ok || d.ID != it.ID {
			t.Errorf("Get: %v", err)
		}
		if _, err := s.Has(it.ID); !isDamaged(err) {
			t.Errorf("Has: %v", err)
		}
	}
	if _, err := s.Get(want[201].ID); err != nil {
		t.Errorf("the neighbour of a damaged record: %v", err)
	}
	if _, err := s.Checkpoint(1); !isDamaged(err) {
		t.Errorf("Checkpoint: %v", err)
	}
	if _, err := s.Private("p"); !isDamaged(err) {
		t.Errorf("Private: %v", err)
	}
	r, err := s.Verify(context.Background())
	must(t, err)
	sortIDs(ids)
	if len(lost) == 0 || fmt.Sprint(r.Damaged) != fmt.Sprint(ids) || len(r.Checkpoints) != 1 || !r.PrivateUncertain || len(r.Problems) != 1 {
		t.Errorf("Verify: %+v", r)
	}
	must(t, s.Append(lost[0]))
	if _, err := s.Get(lost[1].ID); !isDamaged(err) {
		t.Errorf("the neighbour of a healed record: %v", err)
	}
	must(t, s.Append(append(lost[1:len(lost):len(lost)], wrongRec)...))
	must(t, s.PutCheckpoint(1, []byte("c"), []byte("k")))
	if _, err := s.Checkpoint(1); err != nil {
		t.Errorf("after healing: %v", err)
	}
	holds(t, s, want)
}

// Log and inventory bind each other: a shorter, altered or older Badger is
// refused at Open.
func TestInventory(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, s *Store){
		"log row gone": func(t *testing.T, s *Store) { must(t, s.write([]row{{key: key(rowLog, be64(0))}})) },
		"last log row gone": func(t *testing.T, s *Store) {
			must(t, s.write([]row{{key: key(rowLog, be64(50))}}))
		},
		"two entries exchanged": func(t *testing.T, s *Store) { must(t, s.write(exchanged(t, s, 4, 8))) },
		"private value gone":    func(t *testing.T, s *Store) { must(t, s.write([]row{{key: key(rowPrivate, []byte("p"))}})) },
		"all of meta gone": func(t *testing.T, s *Store) {
			must(t, s.write([]row{{key: key(rowPrivate, []byte("p"))}, {key: []byte{rowVersion}}, {key: key(rowCert, be64(1))}}))
		},
		"certificate gone": func(t *testing.T, s *Store) { must(t, s.write([]row{{key: key(rowCert, be64(1))}})) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			must(t, s.Append(items(0, 50, 200)...))
			must(t, s.Append(items(50, 100, 200)...))
			must(t, s.PutPrivate("p", []byte("v")))
			must(t, s.PutCheckpoint(1, []byte("c")))
			spoil(t, s)
			must(t, s.Close())
			_, err := Open(Config{Dir: dir, Key: testKey})
			if !isDamaged(err) {
				t.Fatalf("Open: %v", err)
			}
		})
	}
}

// Missing files are damage, not an empty store.
func TestMissingFiles(t *testing.T) {
	dir := t.TempDir()
	fillForDamage(t, dir)
	for _, pattern := range []string{"inventory", "db-1", "db-1/MANIFEST", "db-1/KEYREGISTRY", "db-1/*.sst"} {
		d := copyDir(t, dir)
		paths, err := filepath.Glob(filepath.Join(d, pattern))
		must(t, err)
		if len(paths) == 0 {
			t.Fatalf("no %s", pattern)
		}
		for _, p := range paths {
			must(t, os.RemoveAll(p))
		}
		if _, err := Open(Config{Dir: d, Key: testKey}); !isDamaged(err) {
			t.Fatalf("without %s: %v", pattern, err)
		}
		r, err := Rebuild(Config{Dir: d, Key: testKey})
		must(t, err)
		switch pattern {
		case "inventory", "db-1/MANIFEST", "db-1/KEYREGISTRY":
			if r.Records != damagedCount {
				t.Errorf("without %s: Rebuild saved %d", pattern, r.Records)
			}
		default:
			if r.Unnamed != damagedCount || !r.PrivateUncertain {
				t.Errorf("without %s: %+v", pattern, r)
			}
		}
		if r.Quarantine == "" && pattern != "db-1" {
			t.Errorf("without %s: nothing quarantined", pattern)
		}
		s := mustOpen(t, d)
		must(t, s.Append(items(0, damagedCount, 200)...))
		must(t, s.Close())
		holds(t, mustOpen(t, d), items(0, damagedCount, 200))
	}
}

// Badger killed while it makes a log leaves it empty, and would not open again.
func TestEmptyLogs(t *testing.T) {
	d := killedCopy(t)
	for _, name := range []string{"00009.mem", "000009.vlog"} {
		must(t, os.WriteFile(filepath.Join(d, "db-1", name), nil, 0o600))
	}
	holds(t, mustOpen(t, d), items(0, damagedCount, 200))
}

// A byte flipped in Badger's log is found before Badger cuts the log there, and
// all the other records are saved.
func TestLogIsSavedBeforeBadgerCutsIt(t *testing.T) {
	d := killedCopy(t)
	paths, err := filepath.Glob(filepath.Join(d, "db-1", "*.mem"))
	must(t, err)
	if len(paths) == 0 {
		t.Fatal("no log")
	}
	b, err := os.ReadFile(paths[0])
	must(t, err)
	b[walHeader+400] ^= 4
	must(t, os.WriteFile(paths[0], b, 0o600))
	if _, err := Open(Config{Dir: d, Key: testKey}); !isDamaged(err) {
		t.Fatalf("Open: %v", err)
	}
	r, err := Rebuild(Config{Dir: d, Key: testKey})
	must(t, err)
	if most := uint64(packTarget / 150); r.Records+most < damagedCount { // a pack's
		t.Fatalf("one flipped byte cost %s records", strconv.Itoa(damagedCount-int(r.Records)))
	}
}
