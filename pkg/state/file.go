package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"labctl.dev/labctl/pkg/clierr"
)

// record is the frame of every JSON file here. Schema counts up when the
// meaning of Data changes.
type record struct {
	Schema int             `json:"schema"`
	Data   json.RawMessage `json:"data"`
}

// schema is the newest form this build reads and the one it writes.
const schema = 1

// writeFile replaces a file so that a reader, or a machine that loses power,
// sees the old content or the new one, never a part.
func (d *Dir) writeFile(rel string, content []byte) (err error) {
	dir, err := d.mkdir(filepath.Dir(rel))
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*") // 0600 from the start
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(content); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err = tmp.Sync(); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err = tmp.Close(); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err = os.Rename(tmp.Name(), filepath.Join(d.root, rel)); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

func (d *Dir) writeJSON(rel string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", rel, err)
	}
	out, err := json.MarshalIndent(record{Schema: schema, Data: data}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", rel, err)
	}
	return d.writeFile(rel, append(out, '\n'))
}

// readJSON fills v and tells whether there was a file. A file that can't be
// understood is set aside and counts as none, because nothing here is worth
// more than going on. A file of a newer labctl is an error: it is fine, and
// this build must not replace it.
func (d *Dir) readJSON(rel string, v any) (bool, error) {
	content, err := os.ReadFile(filepath.Join(d.root, rel))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read state: %w", err)
	}
	var r record
	if err := json.Unmarshal(content, &r); err != nil || r.Schema < 1 {
		return false, d.setAside(rel)
	}
	if r.Schema > schema {
		return false, clierr.New("Use that labctl, or remove the file if you no longer have it.",
			"%s was written by a newer labctl (schema %d, this one knows %d)", filepath.Join(d.root, rel), r.Schema, schema)
	}
	if err := json.Unmarshal(r.Data, v); err != nil {
		return false, d.setAside(rel)
	}
	return true, nil
}

// setAside renames a corrupt file to the first free name, so that it can be
// looked at and the next write starts afresh.
func (d *Dir) setAside(rel string) error {
	from := filepath.Join(d.root, rel)
	for n := 1; ; n++ {
		to := fmt.Sprintf("%s%s%d", from, corruptMark, n)
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set a corrupt file aside: %w", err)
		}
		d.warn(fmt.Sprintf("%s could not be read; it was set aside as %s", from, filepath.Base(to)))
		return nil
	}
}
