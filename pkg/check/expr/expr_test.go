package expr

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func data(t *testing.T, text string) map[string]any {
	t.Helper()
	var vars map[string]any
	if err := json.Unmarshal([]byte(text), &vars); err != nil {
		t.Fatal(err)
	}
	return vars
}

const sample = `{
	"object": {"spec": {"replicas": 2, "template": {"metadata": {"labels": {"mlops/model-version": "2"}},
		"spec": {"containers": [{"name": "server", "resources": {"limits": {"memory": "320Mi"}}, "env": [{"name": "MODEL_URI", "value": "models:/flight-delay/2"}]}]}}},
		"status": null},
	"champion": {"result": {"version": "2", "metrics": {"auc": 0.627}, "tags": {}}, "status": 200, "errorCode": ""},
	"metrics": {"series": [{"labels": {"app": "predictor"}, "value": 3, "timestamp": 1.5}], "value": 3, "n": 1},
	"lab": {"namespace": "lab-x", "seed": 7}
}`

func sampleScope() Scope {
	return Scope{Kind: "kube", With: map[string]string{"champion": "mlflow", "metrics": "promql"}}
}

func TestBool(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		src  string
		want bool
	}{
		"number of the other type":  {`object.spec.replicas == 2 && object.spec.replicas < 2.5`, true},
		"number from JSON":          {`metrics.value >= 3 && metrics.n == 1`, true},
		"text is no number":         {`object.spec.replicas == "2"`, false},
		"path with a slash":         {`object.spec.template.metadata.labels["mlops/model-version"] == champion.result.version`, true},
		"quantity":                  {`quantity(object.spec.template.spec.containers[0].resources.limits.memory) >= quantity("320Mi")`, true},
		"quantity, other unit":      {`quantity("1Gi") == quantity("1024Mi") && quantity("250m") < quantity(1)`, true},
		"quantity, sum":             {`quantity("1Gi") + quantity("1Gi") - quantity("512Mi") == quantity("1536Mi")`, true},
		"quantity, number":          {`double(quantity("1500m")) == 1.5 && string(quantity("1024Mi")) == "1Gi"`, true},
		"has":                       {`has(object.spec.paused) || !has(object.status.x)`, true},
		"null":                      {`object.status == null`, true},
		"exists":                    {`object.spec.template.spec.containers.exists(c, c.env.exists(e, e.name == "MODEL_URI" && e.value.endsWith("/2")))`, true},
		"matches":                   {`object.spec.template.spec.containers[0].env[0].value.matches("^models:/[a-z-]+/[0-9]+$")`, true},
		"optional":                  {`object.?spec.?strategy.?type.orValue("none") == "none"`, true},
		"series":                    {`metrics.series.all(s, s.labels.app == "predictor" && s.value > 2)`, true},
		"lab":                       {`lab.namespace == "lab-x" && lab.seed == 7`, true},
		"sets":                      {`sets.contains([1, 2, 3], [3, 1]) && !sets.intersects([1], [2]) && sets.equivalent([1, 1], [1])`, true},
		"sum of lists":              {`(["a"] + object.spec.template.spec.containers.map(c, c.name) + [])[1] == "server" && size([1] + [2]) == 2`, true},
		"lists":                     {`[3, 1, 2, 1].distinct().sort() == [1, 2, 3] && lists.range(3).size() == 3`, true},
		"texts":                     {`"a-b".split("-").join("+") == "a+b" && "aXa".replace("X", "b") == "aba" && "aXX".replace("X", "b", 1) == "abX"`, true},
		"math":                      {`math.abs(metrics.value - 3.0) <= 0.001 && math.greatest([1, 5]) == 5`, true},
		"regex":                     {`regex.extract("v12", "v([0-9]+)").orValue("") == "12"`, true},
		"base64":                    {`base64.decode("aGk=") == b"hi"`, true},
		"bind":                      {`cel.bind(c, object.spec.template.spec.containers[0], c.name == "server")`, true},
		"map of two variables":      {`{"a": 1, "b": 2}.all(k, v, v > 0)`, true},
		"false":                     {`object.spec.replicas == 3`, false},
		"missing key behind an and": {`false && object.a.b.c == 1`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := Compile(tt.src, sampleScope(), Bool)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Bool(t.Context(), data(t, sample))
			if err != nil || got != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		src  string
		want any
	}{
		"null":      {`object.status`, nil},
		"text":      {`champion.result.version`, "2"},
		"number":    {`object.spec.replicas`, 2.0},
		"int":       {`size(metrics.series)`, int64(1)},
		"list":      {`object.spec.template.spec.containers.map(c, c.name)`, []any{"server"}},
		"map":       {`{"a": champion.result.metrics, "b": [1, "x", null]}`, map[string]any{"a": map[string]any{"auc": 0.627}, "b": []any{int64(1), "x", nil}}},
		"no value":  {`object.?a`, nil},
		"a value":   {`object.?spec.?replicas`, 2.0},
		"not a num": {`0.0 / 0.0`, "NaN"},
		"infinite":  {`1.0 / 0.0`, "+Inf"},
		"bytes":     {`b"\xff\xfe"`, "//4="},
		"duration":  {`duration("90s")`, "1m30s"},
		"timestamp": {`timestamp("2013-04-01T00:00:00Z")`, "2013-04-01T00:00:00Z"},
		"quantity":  {`quantity("1024Mi")`, "1Gi"},
		"type":      {`type(1)`, "int"},
		"format":    {`"%d of %d".format([1, 2])`, "1 of 2"},
		"int key":   {`{1: 2}`, map[string]any{"1": int64(2)}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := Compile(tt.src, sampleScope(), Any)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Value(t.Context(), data(t, sample))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if _, err := json.Marshal(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		`object.spec.nothing == 1`, `object.status.replicas == 1`, `object.spec.template.spec.containers[7].name == "a"`,
		`object.status["x"] == 1`, `objects.size() == 0`, `champion.result.tags["validation"] == "approved"`, `metrics.series[1].value == 2`,
		`object.spec.template.spec.containers.all(c, c.nothing == 1)`, `object.?a.value() == 1`,
		`object.status.conditions.exists(c, true)`, `object.status.exists(c, true)`, `size(object.nothing) > 0`, `quantity(object.nothing) > quantity("1")`,
	} {
		p, err := Compile(src, sampleScope(), Bool)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if _, err := p.Bool(t.Context(), data(t, sample)); !errors.Is(err, ErrMissing) {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestWrongValues(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`object.spec.replicas > "x"`:                                    "no such overload",
		`quantity(champion.result) > quantity("1")`:                     "no such overload",
		`quantity("much") > quantity("1")`:                              `not a quantity: "much"`,
		`int("x") == 1`:                                                 "type conversion",
		`champion.result`:                                               "must be true or false",
		`size(object.spec.replicas) == 1`:                               "no such overload",
		`[1, 2].join(",") == ""`:                                        "no such overload",
		`quantity("1e` + strings.Repeat("9", 99) + `") > quantity("1")`: "not a quantity",
	} {
		p, err := Compile(src, sampleScope(), Bool)
		if err != nil {
			if !strings.Contains(src, "join") { // known before it runs
				t.Errorf("%s: %v", src, err)
			}
			continue
		}
		_, err = p.Bool(t.Context(), data(t, sample))
		if err == nil || errors.Is(err, ErrMissing) || errors.Is(err, ErrExpensive) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		src  string
		want string
	}{
		"variable":         {`objct.spec == 1`, "1:1: unknown name objct; did you mean object or objects?"},
		"with":             {`champoin.result == 1`, "1:1: unknown name champoin; did you mean champion?"},
		"field of with":    {`champion.reslt == 1`, "1:9: unknown field reslt; did you mean result?"},
		"value":            {`values.fond == 1`, "1:7: unknown field fond; did you mean found?"},
		"field of lab":     {`lab.namspace == ""`, "1:4: unknown field namspace; did you mean namespace?"},
		"field of series":  {`metrics.series[0].valu == 1`, "1:18: unknown field valu; did you mean value?"},
		"function":         {`siz(object) == 1`, "1:4: unknown name siz; did you mean size"},
		"second line":      {"true &&\n  objct == 1", "2:3: unknown name objct; did you mean object or objects?"},
		"syntax":           {`object.spec ==`, "1:15: Syntax error: mismatched input '<EOF>'"},
		"empty":            {``, "1:1: Syntax error: mismatched input '<EOF>'"},
		"type":             {`champion.status == "200"`, "1:17: == does not take (int, string)"},
		"not bool":         {`champion.status`, "1:1: must be true or false, is of type int"},
		"other kind":       {`status == 200`, "1:1: unknown name status"},
		"pattern":          {`"a".matches("[")`, "1:13: invalid matches argument"},
		"computed pattern": {`"a".matches(object.name)`, "1:19: the pattern of matches must be a text that is written out"},
		"duration":         {`duration("1 hour") > duration("1s")`, "1:10: invalid duration argument"},
		"too long":         {strings.Repeat("a", 5000), "1:1: the expression has 5000 characters; at most 4096 are allowed"},
		"too deep":         {strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200), "expression recursion limit exceeded"},
		"nested":           {`[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, [1].all(f, [1].all(g, true)))))))`, "comprehension exceeds nesting limit"},
		"clock":            {`now() > timestamp("2013-04-01T00:00:00Z")`, "1:4: unknown name now"},
		"copying macro":    {`object.?a.optMap(x, x).orValue(true)`, "optMap and optFlatMap are not available"},
	}
	scope := sampleScope()
	scope.Values = []string{"found", "expected"}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(tt.src, scope, Bool)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Error("more than a line")
			}
		})
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	for _, s := range []Scope{
		{Kind: "ftp"},
		{Kind: "kube", With: map[string]string{"object": "http"}},
		{Kind: "kube", With: map[string]string{"lab": "http"}},
		{Kind: "kube", With: map[string]string{"x": "ftp"}},
		{Kind: "http", Wait: true, Values: []string{}},
	} {
		if _, err := Compile("true", s, Bool); err == nil {
			t.Errorf("%+v", s)
		}
	}
	for kind, src := range map[string]string{
		"kube":   `object == null || objects.size() == 0`,
		"http":   `status == 200 && headers["content-type"].startsWith("application/json") && body != "" && json.a == 1`,
		"promql": `n > 0 && value > 0.5 && series[0].timestamp > 1.0 && status == 200 && errorCode == ""`,
		"mlflow": `result.version == "1" && status == 200 && errorCode == ""`,
		"exec":   `exitCode == 0 && stdout == "" && json.cases.all(c, c.found == c.expected)`,
	} {
		if _, err := Compile(src, Scope{Kind: kind, Wait: true}, Bool); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := Compile(`values.found == 1`, Scope{Kind: "kube"}, Bool); err == nil {
		t.Error("values without values")
	}
}

// nested gives bind(a, first, bind(a, step, ... end)).
func nested(first, step, end string, n int) string {
	return `cel.bind(a, ` + first + `, ` + strings.Repeat(`cel.bind(a, `+step+`, `, n) + end + strings.Repeat(`)`, n+1)
}

// bombs try to take time or memory without end.
func bombs() map[string]string {
	return map[string]string{
		"loops in loops":    `lists.range(100000).all(a, lists.range(100000).all(b, lists.range(100000).all(c, a + b + c >= 0)))`,
		"long list":         `lists.range(1000000000).size() > 0`,
		"text doubles":      nested(`"aaaaaaaaaaaaaaaa"`, `a + a`, `a.size() > 0`, 40),
		"dyn text doubles":  nested(`dyn("aaaaaaaaaaaaaaaa")`, `a + a`, `a.size() > 0`, 40),
		"JSON text doubles": nested(`object.spec.template.spec.containers[0].name`, `a + a`, `a.size() > 0`, 40),
		"list doubles":      nested(`[1]`, `a + a`, `a.size() > 0`, 40),
		"JSON list doubles": nested(`object.spec.template.spec.containers`, `a + a`, `a.size() > 0`, 40),
		"tree doubles":      nested(`dyn([1])`, `dyn([a, a])`, `a == [a]`, 40),
		"map doubles":       nested(`dyn({"a": 1})`, `dyn({"a": a, "b": a})`, `a == {"a": a}`, 40),
		"text in lists":     nested(`dyn("aaaaaaaaaaaaaaaa")`, `a + a`, `lists.range(100000).map(i, a + string(i)).size() > 0`, 18),
		"map entries":       `lists.range(100000).transformMapEntry(i, v, {string(i): lists.range(10000)}).size() > 0`,
		"map in list":       `lists.range(100000).map(i, lists.range(100000)).size() > 0`,
		"join":              `lists.range(100000).map(i, "x").join(lists.range(100000).map(i, "yyyyyyyy").join("z")).size() > 0`,
		"replace":           `cel.bind(s, lists.range(100000).map(i, "x").join("x"), s.replace("x", s)).size() > 0`,
		"distinct":          `lists.range(100000).distinct().size() > 0`,
		"sets":              `cel.bind(r, lists.range(100000), sets.equivalent(r, r.reverse()))`,
		"in":                `cel.bind(r, lists.range(100000), r.all(x, -x - 1 in r || true))`,
		"precision":         `"%.1000000000f".format([1.0]).size() > 0`,
		"format":            `cel.bind(s, lists.range(100000).map(i, "%s").join(), s.format(lists.range(100000).map(i, s))).size() > 0`,
		"big pattern":       `"a".matches("(((a{1,100}){1,100}){1,100}){1,100}")`,
		"slow pattern":      `cel.bind(s, lists.range(100000).map(i, "a").join(), lists.range(100000).all(i, !s.matches("(a|aa|aaa|aaaa)+b")))`,
		"chain":             `cel.bind(a, lists.range(100000), cel.bind(b, a + a, b + b)).map(x, [x]).flatten().sort().size() > 0`,
		"absorbed":          `lists.range(100000).exists(a, lists.range(100000).map(b, lists.range(100000)) == [] || false)`,
	}
}

func TestBombs(t *testing.T) {
	t.Parallel()
	// Refused before it runs, or by the function itself.
	refused := []string{"long list", "precision", "big pattern"}
	for name, src := range bombs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			p, err := Compile(src, sampleScope(), Bool)
			if err == nil {
				_, err = p.Bool(t.Context(), data(t, sample))
			}
			if err == nil || errors.Is(err, ErrExpensive) == slices.Contains(refused, name) {
				t.Errorf("got %v", err)
			}
			// It is a second or two; the race detector and a busy machine make more of it.
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestInput(t *testing.T) {
	t.Parallel()
	p, err := Compile(`object == null`, Scope{Kind: "kube"}, Bool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Bool(t.Context(), map[string]any{"object": strings.Repeat("x", 64<<20)}); !errors.Is(err, ErrExpensive) {
		t.Error(err)
	}
	deep := any(nil)
	for range 2000 {
		deep = []any{deep}
	}
	if _, err := p.Bool(t.Context(), map[string]any{"object": deep}); !errors.Is(err, ErrExpensive) {
		t.Error(err)
	}
	if _, err := p.Bool(t.Context(), map[string]any{"object": struct{}{}}); err == nil {
		t.Error("took a struct")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := p.Bool(ctx, nil); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	p, err := Compile(`lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, a + b + c >= 0)))`, Scope{Kind: "kube"}, Bool)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, context.DeadlineExceeded)
	defer cancel()
	if _, err := p.Bool(ctx, nil); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrExpensive) {
		t.Error(err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, src := range bombs() {
		f.Add(src)
	}
	f.Add(`object.spec.replicas == 2 && champion.result.version.matches("^[0-9]+$")`)
	f.Add("true &&\n objct.x[0]?")
	f.Fuzz(func(t *testing.T, src string) {
		_, err := Compile(src, sampleScope(), Any)
		var syntax *SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Line < 1 || syntax.Column < 1 || strings.Contains(syntax.Message, "\n")) {
			t.Errorf("%#v", err)
		}
	})
}

func FuzzEval(f *testing.F) {
	f.Add(`object.spec.template.spec.containers.map(c, c.name).join(", ")`, sample)
	f.Add(`quantity(object.a) + quantity("1")`, `{"object": {"a": "3Gi"}}`)
	f.Add(`champion`, `{"champion": null}`)
	f.Fuzz(func(t *testing.T, src, input string) {
		p, err := Compile(src, sampleScope(), Any)
		if err != nil {
			return
		}
		var vars map[string]any
		if json.Unmarshal([]byte(input), &vars) != nil {
			return
		}
		start := time.Now()
		v, err := p.Value(t.Context(), vars)
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %s", took)
		}
		if err != nil {
			if strings.Contains(err.Error(), "internal error") {
				t.Error(err)
			}
			return
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	})
}
