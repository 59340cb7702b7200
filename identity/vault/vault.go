package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a new vault, and its directory (0700) if there is none. It
// never overwrites ([ErrExists]). The zero Params stands for [DefaultParams].
func Create(path string, passphrase []byte, c *Contents, p Params) error {
	return wrap("creating", disk{}.create(path, passphrase, c, p))
}

// Open reads a vault. The caller wipes the contents after use.
func Open(path string, passphrase []byte) (*Contents, error) {
	c, err := disk{}.open(path, passphrase)
	return c, wrap("opening", err)
}

// Update reads a vault, lets change alter its contents, and writes it back,
// running Argon2id once. An error of change leaves the vault as it was and is
// returned wrapped. The contents are wiped after change returns and must not
// be kept.
func Update(path string, passphrase []byte, change func(*Contents) error) error {
	return wrap("updating", disk{}.update(path, passphrase, change))
}

// ChangePassphrase has the vault open with another passphrase and no longer
// with the old. If interrupted, the vault opens with one or the other. Copies
// of the old file still open with the old passphrase; the data key is new, so
// they do not open the new file.
func ChangePassphrase(path string, old, passphrase []byte, p Params) error {
	return wrap("changing the passphrase of", disk{}.changePassphrase(path, old, passphrase, p))
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("vault: %s the vault: %w", doing, err)
}

func (d disk) create(path string, passphrase []byte, c *Contents, p Params) error {
	p = p.orDefault()
	if err := p.validate(); err != nil {
		return err
	}
	pass, err := normaliseNew(passphrase)
	if err != nil {
		return err
	}
	defer clear(pass)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return d.locked(path, func() error {
		switch _, err := os.Lstat(path); {
		case err == nil:
			return fmt.Errorf("%w (%s)", ErrExists, path)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		return d.writeNewKey(path, pass, c, p)
	})
}

func (d disk) open(path string, passphrase []byte) (*Contents, error) {
	pass, err := normalise(passphrase)
	if err != nil {
		return nil, ErrWrongPassphrase // no vault has such a passphrase
	}
	defer clear(pass)
	file, err := d.read(path)
	if err != nil {
		return nil, err
	}
	s, err := parse(file)
	if err != nil {
		return nil, err
	}
	key, err := s.unlock(pass)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	return s.contents(&key)
}

func (d disk) update(path string, passphrase []byte, change func(*Contents) error) error {
	pass, err := normalise(passphrase)
	if err != nil {
		return ErrWrongPassphrase
	}
	defer clear(pass)
	return d.locked(path, func() error {
		file, err := d.read(path)
		if err != nil {
			return err
		}
		s, err := parse(file)
		if err != nil {
			return err
		}
		key, err := s.unlock(pass)
		if err != nil {
			return err
		}
		defer clear(key[:])
		c, err := s.contents(&key)
		if err != nil {
			return err
		}
		defer c.Wipe()
		if err := change(c); err != nil {
			return err
		}
		if file, err = seal(c, &key, s.header.Slots); err != nil {
			return err
		}
		return d.write(path, file)
	})
}

func (d disk) changePassphrase(path string, old, passphrase []byte, p Params) error {
	p = p.orDefault()
	if err := p.validate(); err != nil {
		return err
	}
	pass, err := normaliseNew(passphrase)
	if err != nil {
		return err
	}
	defer clear(pass)
	return d.locked(path, func() error {
		c, err := d.open(path, old)
		if err != nil {
			return err
		}
		defer c.Wipe()
		return d.writeNewKey(path, pass, c, p)
	})
}

// writeNewKey writes c under a new data key in one slot.
func (d disk) writeNewKey(path string, pass []byte, c *Contents, p Params) error {
	key := [keySize]byte(random(keySize))
	defer clear(key[:])
	s, err := newSlot(&key, pass, p)
	if err != nil {
		return err
	}
	file, err := seal(c, &key, []slot{s})
	if err != nil {
		return err
	}
	return d.write(path, file)
}

// locked runs do while no other process changes the vault. The lock file stays:
// removing it would let two processes lock two files of one name.
func (d disk) locked(path string, do func() error) (err error) {
	if err := checkDir(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { // closing releases the lock
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if err := tryLock(f); err != nil {
		return err
	}
	return do()
}
