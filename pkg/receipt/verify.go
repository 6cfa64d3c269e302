package receipt

import (
	"cmp"
	"slices"
)

// Chain says how a receipt hangs together with the one before.
type Chain string

// The states of a chain.
const (
	ChainFirst   Chain = "first"   // there is none before
	ChainIntact  Chain = "intact"  // the one before is here and is the one that is named
	ChainMissing Chain = "missing" // the one before is not here
)

// Verdict is what verifying a receipt came to; its signature fits.
type Verdict struct {
	Document Document `json:"receipt"`
	// Key is a short name of the key that signed. Own tells that it is the key of
	// this installation.
	Key   string `json:"key"`
	Own   bool   `json:"own"`
	Chain Chain  `json:"chain"`
}

// Verify checks a receipt's file: its signature, and where the one before is
// here, the link to it.
func (b *Book) Verify(content []byte) (*Verdict, error) {
	d, key, _, err := open(content)
	if err != nil {
		return nil, err
	}
	v := &Verdict{Document: d, Key: fingerprint(key), Chain: ChainMissing}
	own, err := b.publicKey()
	if err != nil {
		return nil, err
	}
	v.Own = own != nil && key.Equal(own)
	if d.Number == 1 && d.Previous == "" {
		v.Chain = ChainFirst
		return v, nil
	}
	if !v.Own {
		return v, nil
	}
	chain, err := b.chain()
	if err != nil {
		return nil, err
	}
	if slices.Contains(chain, link{d.Number - 1, d.Previous}) {
		v.Chain = ChainIntact
	}
	return v, nil
}

func sortLinks(list []link) {
	slices.SortFunc(list, func(a, b link) int { return cmp.Compare(a.number, b.number) })
}
