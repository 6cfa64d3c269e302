package markdown_test

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/markdown"
)

const source = `# Pin the *deployment*

Deployment ` + "`predictor`" + ` serves the model. Its variable says **latest**,
so each pod asks at its start which version is the newest, and loads that one.
A name that is long stays whole: ` + "`models:/flight-delay/a-very-long-name-that-no-line-may-break-anywhere-in-the-middle`" + `.

## What to do

1. Load the version by its number, see [the docs](https://example.com/a) or <https://example.com>.
2. Put it on the pods:
   - as a label, in the pod template of the Deployment and nowhere else at all;
   - in the variable.

<!-- for authors -->

- loose item

- another, with code:

      kubectl get pods

> A note that is quoted and so long that it has to be wrapped somewhere, with its mark on each line.

    kubectl describe deployment predictor   # is not wrapped, however long the line is, since it is copied

| field | meaning |
| --- | --- |
| ` + "`a`" + ` | first |
| longer | **second** |

---

The end.
`

func TestRender(t *testing.T) {
	t.Parallel()
	golden.Equal(t, []byte(markdown.Render([]byte(source), 60, false)), "plain.txt")
	golden.Equal(t, []byte(markdown.Render([]byte(source), 60, true)), "color.txt")
	golden.Equal(t, []byte(markdown.Render([]byte(source), 500, false)), "wide.txt")
}

// TestColorChangesNoText: what is copied from a terminal is what was written.
func TestColorChangesNoText(t *testing.T) {
	t.Parallel()
	plain := strings.NewReplacer("`", "", "## ", "", "# ", "").Replace(markdown.Render([]byte(source), 60, false))
	color := strings.ReplaceAll(ansi.Strip(markdown.Render([]byte(source), 60, true)), "# ", "") // of a shell's comment
	if strings.Join(strings.Fields(plain), " ") != strings.Join(strings.Fields(color), " ") {
		t.Errorf("plain:\n%s\ncolour:\n%s", plain, color)
	}
}

// TestControlCharacters: a brief can't do anything to the terminal.
func TestControlCharacters(t *testing.T) {
	t.Parallel()
	got := markdown.Render([]byte("a \x1b[2J\x1b]0;title\x07 b\r\n\tc \u009b31m d\n"), 80, false)
	if strings.ContainsAny(got, "\x1b\x07\r\u009b") || !strings.Contains(got, "a [2J]0;title b") {
		t.Errorf("got %q", got)
	}
}
