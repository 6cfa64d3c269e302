package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Sealed is a document with its signature: the content of a receipt's file.
type Sealed struct {
	Receipt Document `json:"receipt"`
	// Key is the public key, "ed25519:" and base64.
	Key       string `json:"key"`
	Signature string `json:"signature"`
}

// parts is a file whose document is kept as it was written, because that is
// what was signed: a later labctl may know more fields, or fewer.
type parts struct {
	Receipt   json.RawMessage `json:"receipt"`
	Key       string          `json:"key"`
	Signature string          `json:"signature"`
}

const keyPrefix = "ed25519:"

// domain is signed along, so that the key can't be made to sign something else.
const domain = "labctl receipt v1\n"

// ErrSignature is in the chain of the error for a receipt that was changed.
var ErrSignature = errors.New("the signature does not fit: the receipt was changed, or is not complete")

// seal signs a document.
func seal(d Document, key ed25519.PrivateKey) ([]byte, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	doc, err := canonical(raw)
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("sign receipt: not an ed25519 key")
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(Sealed{
		Receipt: d, Key: keyPrefix + base64.StdEncoding.EncodeToString(public),
		Signature: base64.StdEncoding.EncodeToString(ed25519.Sign(key, append([]byte(domain), doc...))),
	})
	return out.Bytes(), err
}

// open checks the signature of a receipt's file and gives the document with
// the key and the hash that the next receipt names.
func open(content []byte) (d Document, key ed25519.PublicKey, hash string, err error) {
	var p parts
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return d, nil, "", fmt.Errorf("this is no receipt: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return d, nil, "", errors.New("this is no receipt: something follows it")
	}
	encoded, ours := strings.CutPrefix(p.Key, keyPrefix)
	key, keyErr := base64.StdEncoding.DecodeString(encoded)
	signature, sigErr := base64.StdEncoding.DecodeString(p.Signature)
	if !ours || keyErr != nil || sigErr != nil || len(key) != ed25519.PublicKeySize {
		return d, nil, "", errors.New("this is no receipt: key or signature can't be read")
	}
	doc, err := canonical(p.Receipt)
	if err != nil {
		return d, nil, "", err
	}
	if !ed25519.Verify(key, append([]byte(domain), doc...), signature) {
		return d, nil, "", ErrSignature
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return d, nil, "", fmt.Errorf("read receipt: %w", err)
	}
	if d.Schema > Schema {
		return d, nil, "", fmt.Errorf("the receipt is of a newer labctl (schema %d, this one knows %d)", d.Schema, Schema)
	}
	return d, key, hashOf(doc, p), nil
}

// hashOf is the hash of a receipt, its signature included.
func hashOf(doc []byte, p parts) string {
	sum := sha256.New()
	for _, part := range []string{string(doc), p.Key, p.Signature} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// canonical gives a JSON document in one form: no spaces, keys sorted, numbers
// as they were written.
func canonical(raw []byte) ([]byte, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("read receipt: %w", err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // maps are written with sorted keys
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// fingerprint is a short name of a public key for people.
func fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}
