package smoke

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// WriteJUnit writes a report with one suite per lab and one case per state and
// check. A failure carries what the check saw.
func WriteJUnit(w io.Writer, r *Report) error {
	all := junit.Testsuites{Name: "labctl smoke", Time: seconds(r.Seconds)}
	for i, p := range r.Labs {
		all.AddSuite(suite(i, p))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	if err := all.WriteXML(w); err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	return nil
}

func suite(id int, p *Proof) junit.Testsuite {
	s := junit.Testsuite{Name: p.Lab, ID: id, Time: seconds(p.Seconds)}
	if p.Error != "" {
		s.AddTestcase(junit.Testcase{Classname: p.Lab, Name: "proof", Error: &junit.Result{Message: line(p.Error), Data: p.Error}})
	}
	for _, st := range p.States {
		class := p.Lab + "." + st.Name
		if st.Problem != "" {
			s.AddTestcase(junit.Testcase{Classname: class, Name: "steps", Time: seconds(st.Seconds), Failure: &junit.Result{Message: line(st.Problem), Data: st.Problem}})
		}
		for _, c := range st.Cases {
			k := junit.Testcase{Classname: class, Name: c.Check, Time: seconds(c.Result.Seconds)}
			if !c.OK {
				k.Failure = &junit.Result{Message: line(c.Problem), Data: evidence(c)}
			}
			s.AddTestcase(k)
		}
	}
	return s
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

// maxEvidence bounds what one failure adds to a report.
const maxEvidence = 16 << 10

// evidence is what a check saw, for the one who looks into a failure.
func evidence(c Case) string {
	data, err := json.MarshalIndent(map[string]any{
		"want": c.Want, "status": c.Status, "message": c.Result.Message, "found": c.Result.Found,
		"expected": c.Result.Expected, "where": c.Result.Where, "evidence": c.Result.Evidence,
	}, "", "  ")
	if err != nil {
		return err.Error()
	}
	if len(data) > maxEvidence {
		return string(data[:maxEvidence]) + "\n… (cut)"
	}
	return string(data)
}

// line shortens a text for an attribute.
func line(s string) string {
	const most = 400
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
