package receipt_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/receipt"
	"labctl.dev/labctl/pkg/state"
)

var day = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// book gives a Book whose clock moves on by a minute with each receipt.
func book(t *testing.T, root string) *receipt.Book {
	t.Helper()
	dir, err := state.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	now := day
	return receipt.NewBook(dir, func() time.Time { now = now.Add(time.Minute); return now })
}

func document() receipt.Document {
	return receipt.Document{
		Lab:   receipt.Lab{Name: "model-registry", Title: "Model registry & more", Seed: 7},
		Score: receipt.Score{Earned: 12, Max: 60},
		Tasks: []receipt.Task{{ID: "pin", Checks: []receipt.Check{{ID: "MR3a", Status: "fail", Found: "models:/m@champion", Seconds: 0.25}}}},
	}
}

func issue(t *testing.T, b *receipt.Book) *receipt.Issued {
	t.Helper()
	i, err := b.Issue(t.Context(), document())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestChain(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	b := book(t, root)
	var files []string
	for n, want := range []receipt.Chain{receipt.ChainFirst, receipt.ChainIntact, receipt.ChainIntact} {
		i := issue(t, b)
		files = append(files, i.File)
		v, err := b.Verify(i.Content)
		if err != nil {
			t.Fatal(err)
		}
		if v.Document.Number != n+1 || v.Chain != want || !v.Own || v.Key == "" {
			t.Errorf("receipt %d: number %d, chain %s, own %v", n+1, v.Document.Number, v.Chain, v.Own)
		}
		if diff := cmp.Diff(i.Document, v.Document); diff != "" {
			t.Errorf("document (-issued +verified):\n%s", diff)
		}
	}
	for _, f := range append(files, filepath.Join(root, "keys", "receipt.pem")) {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	if want := "model-registry-20260301t090100z.json"; filepath.Base(files[0]) != want {
		t.Errorf("file %s, want %s", files[0], want)
	}

	last, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	// On another machine the signature still fits.
	v, err := book(t, t.TempDir()).Verify(last)
	if err != nil || v.Own || v.Chain != receipt.ChainMissing {
		t.Errorf("elsewhere %+v, %v", v, err)
	}
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Verify(last); err != nil || v.Chain != receipt.ChainMissing {
		t.Errorf("with a gap %+v, %v", v, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	b := book(t, t.TempDir())
	good := string(issue(t, b).Content)
	second := issue(t, b)
	compact := func() string {
		var v any
		if err := json.Unmarshal([]byte(good), &v); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}()
	if _, err := b.Verify([]byte(compact)); err != nil {
		t.Errorf("another layout of the same document: %v", err)
	}
	other := issue(t, book(t, t.TempDir()))
	pick := func(content []byte, field string) string {
		var v map[string]json.RawMessage
		if err := json.Unmarshal(content, &v); err != nil {
			t.Fatal(err)
		}
		return string(v[field])
	}
	tests := map[string]string{
		"points":              strings.Replace(good, `"earned": 12`, `"earned": 60`, 1),
		"a field more":        strings.Replace(good, `"number": 1`, `"number": 1, "bonus": 1`, 1),
		"a field less":        strings.Replace(good, `"attempts": 0,`, ``, 1),
		"a number in another": strings.Replace(good, `0.25`, `0.250`, 1),
		"another key":         strings.Replace(good, pick([]byte(good), "key"), pick(other.Content, "key"), 1),
		"another signature":   strings.Replace(good, pick([]byte(good), "signature"), pick(second.Content, "signature"), 1),
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if content == good {
				t.Fatal("nothing was changed")
			}
			if _, err := b.Verify([]byte(content)); !errors.Is(err, receipt.ErrSignature) {
				t.Errorf("error %v", err)
			}
		})
	}
	for name, content := range map[string]string{
		"empty": "", "no JSON": "hello", "another document": `{"a": 1}`, "two": good + good, "no key": `{"receipt": {}, "key": "x", "signature": "x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := b.Verify([]byte(content)); err == nil || !strings.Contains(err.Error(), "no receipt") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestDamagedKeyIsNotReplaced(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	b := book(t, root)
	issue(t, b)
	file := filepath.Join(root, "keys", "receipt.pem")
	if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Issue(t.Context(), document()); err == nil {
		t.Error("a damaged key was replaced")
	}
}

func TestForeignFilesAreNoPartOfTheChain(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	b := book(t, root)
	issue(t, b)
	foreign := issue(t, book(t, t.TempDir()))
	for name, content := range map[string][]byte{"foreign.json": foreign.Content, "notes.json": []byte("hello")} {
		if err := os.WriteFile(filepath.Join(root, "receipts", name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := issue(t, b).Document.Number; n != 2 {
		t.Errorf("number %d, want 2", n)
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	const key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----" //nolint:gosec // no key
	tests := map[string]struct{ in, want string }{
		"a plain value":    {"models:/flight-delay@champion", "models:/flight-delay@champion"},
		"a known secret":   {"got s3cr3t-value and s3cr3t", "got [redacted] and s3cr3t"},
		"a short one":      {"lab", "lab"},
		"a URL":            {"postgresql://mlflow:hunter2@postgres:5432/mlflow", "postgresql://[redacted]@postgres:5432/mlflow"},
		"a password":       {`{"password": "hunter2", "n": 1}`, `{"password": [redacted], "n": 1}`},
		"an env variable":  {"AWS_SECRET_ACCESS_KEY=abc/def PORT=8080", "AWS_SECRET_ACCESS_KEY=[redacted] PORT=8080"},
		"an access key":    {"id AKIAABCDEFGHIJKLMNOP", "id [redacted]"},
		"a bearer":         {"Authorization: Bearer abcdef123456", "Authorization: Bearer [redacted]"},
		"a token":          {"eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "[redacted]"},
		"a private key":    {"x " + key + " y", "x [redacted] y"},
		"words about one":  {"promoter can get secrets; expected no", "promoter can get secrets; expected no"},
		"half a key":       {"-----BEGIN PRIVATE KEY-----\nMIIB", "[redacted]"},
		"too long":         {strings.Repeat("é", 2000), strings.Repeat("é", 1024) + "… (1952 bytes cut)"},
		"a service's port": {"predictor:8080", "predictor:8080"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := receipt.Document{Tasks: []receipt.Task{{Checks: []receipt.Check{{Found: tt.in}}}}}
			d.Redact([]string{"s3cr3t-value", "lab", "s3cr3t-value"})
			if got := d.Tasks[0].Checks[0].Found; got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}
