package receipt

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/state"
)

const (
	keyFile  = "receipt.pem"
	pemType  = "PRIVATE KEY"
	lockName = "receipts"
)

// Book is the chain of receipts of this installation of labctl, and the key
// that signs them. Both lie in the state directory.
type Book struct {
	dir *state.Dir
	now func() time.Time
}

// NewBook makes a Book. Nothing is written before the first receipt.
func NewBook(dir *state.Dir, now func() time.Time) *Book { return &Book{dir: dir, now: now} }

// Issued is a receipt that was written.
type Issued struct {
	Document Document
	File     string
	Content  []byte
}

// Issue numbers a document, links it to the one before, signs it and keeps it.
func (b *Book) Issue(ctx context.Context, d Document) (*Issued, error) {
	unlock, err := b.dir.Lock(ctx, lockName, "labctl receipt", nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	key, err := b.key()
	if err != nil {
		return nil, err
	}
	chain, err := b.chain()
	if err != nil {
		return nil, err
	}
	d.Schema, d.Issued = Schema, b.now().UTC().Truncate(time.Second)
	d.Number, d.Previous = 1, ""
	if n := len(chain); n > 0 {
		d.Number, d.Previous = chain[n-1].number+1, chain[n-1].hash
	}
	content, err := seal(d, key)
	if err != nil {
		return nil, err
	}
	name := fileName(d)
	if _, err := b.dir.ReadFile(state.Receipts, name); err == nil {
		return nil, clierr.New("run the command again", "there is a receipt of this second already")
	}
	file, err := b.dir.WriteFile(state.Receipts, name, content)
	return &Issued{Document: d, File: file, Content: content}, clierr.Wrap(err, "keep the receipt", "")
}

// fileName sorts by lab and time.
func fileName(d Document) string {
	return fmt.Sprintf("%s-%s.json", d.Lab.Name, strings.ToLower(d.Issued.Format("20060102T150405Z")))
}

// key reads the signing key, drawing it on first use. A key that can't be read
// is not replaced: receipts of two keys are two chains.
func (b *Book) key() (ed25519.PrivateKey, error) {
	content, err := b.dir.ReadFile(state.Keys, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return b.drawKey()
	}
	if err != nil {
		return nil, clierr.Wrap(err, "read the key that signs receipts", "")
	}
	if block, _ := pem.Decode(content); block != nil && block.Type == pemType {
		if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := parsed.(ed25519.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, clierr.New("remove keys/"+keyFile+" from the state directory; a new key begins a new chain", "the key that signs receipts is damaged")
}

func (b *Book) drawKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	_, err = b.dir.WriteFile(state.Keys, keyFile, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
	return key, clierr.Wrap(err, "keep the key that signs receipts", "")
}

// link is one receipt of the chain.
type link struct {
	number int
	hash   string
}

// chain gives the receipts of the current key, by number. Those that can't be
// read, or are of another key, are no part of it.
func (b *Book) chain() ([]link, error) {
	files, err := b.dir.Files(state.Receipts)
	if err != nil {
		return nil, err
	}
	own, err := b.publicKey()
	if err != nil {
		return nil, err
	}
	var list []link
	for _, f := range files {
		content, err := b.dir.ReadFile(state.Receipts, f)
		if err != nil {
			return nil, fmt.Errorf("read receipt: %w", err)
		}
		d, key, hash, err := open(content)
		if err != nil || !key.Equal(own) {
			continue
		}
		list = append(list, link{d.Number, hash})
	}
	sortLinks(list)
	return list, nil
}

// publicKey is that of this installation; nil before the first receipt.
func (b *Book) publicKey() (ed25519.PublicKey, error) {
	if _, err := b.dir.ReadFile(state.Keys, keyFile); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	key, err := b.key()
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("not an ed25519 key")
	}
	return public, nil
}
