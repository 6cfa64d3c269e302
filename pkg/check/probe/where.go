package probe

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"labctl.dev/labctl/pkg/lab"
)

// Where names what a probe looks at, for people: "Deployment/predictor", "POST
// predictor:8080/v2/models", "alias champion of model flight-delay".
func Where(spec lab.Probe) string {
	switch {
	case spec.Kube != nil:
		k := spec.Kube
		switch {
		case k.Name != "":
			return k.Kind + "/" + k.Name
		case k.Selector != "":
			return k.Kind + " objects with " + k.Selector
		default:
			return k.Kind + " objects"
		}
	case spec.HTTP != nil:
		h := spec.HTTP
		return short(fmt.Sprintf("%s %s:%d%s", cmp.Or(h.Method, http.MethodGet), h.Service, h.Port, cmp.Or(h.Path, "/")))
	case spec.PromQL != nil:
		return "metric " + short(spec.PromQL.Query)
	case spec.MLflow != nil:
		return short(whereMLflow(spec.MLflow))
	case spec.Exec != nil:
		return "command " + short(strings.Join(spec.Exec.Argv, " "))
	default:
		return ""
	}
}

func whereMLflow(m *lab.MLflowProbe) string {
	switch {
	case m.Alias != nil:
		return fmt.Sprintf("alias %s of model %s", m.Alias.Name, m.Alias.Model)
	case m.Version != nil:
		return fmt.Sprintf("version %s of model %s", m.Version.Version, m.Version.Model)
	case m.Versions != nil:
		return "versions of model " + m.Versions.Model
	case m.Run != nil:
		return fmt.Sprintf("run %s of experiment %s", m.Run.Name, m.Run.Experiment)
	case m.Runs != nil:
		return "runs of experiment " + m.Runs.Experiment
	case m.Artifact != nil && m.Artifact.Model != "":
		return fmt.Sprintf("file %s of version %s of model %s", m.Artifact.Path, m.Artifact.Version, m.Artifact.Model)
	case m.Artifact != nil:
		return fmt.Sprintf("file %s of run %s of experiment %s", m.Artifact.Path, m.Artifact.Run, m.Artifact.Experiment)
	default:
		return "MLflow"
	}
}

// short gives the begin of a text on one line.
func short(s string) string {
	const most = 80
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
