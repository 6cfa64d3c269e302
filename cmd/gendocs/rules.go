package main

import (
	"net/http"

	"labctl.dev/labctl/pkg/lab"
)

// rule is what the schema says about a field apart from its type. Validation in
// pkg/lab says more; TestSchemaAgreesWithValidation holds the two together.
type rule struct {
	required bool
	more     object
}

const (
	namePattern = `^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`
	wordPattern = `^[a-z][A-Za-z0-9_]*$`
	// pathPattern is for files of the lab's directory.
	pathPattern = `^[^/\\:]`
)

// rules gives the rules by type and field. It is a function because nothing
// shall change them.
func rules() map[string]rule {
	must := func(more object) rule { return rule{required: true, more: more} }
	may := func(more object) rule { return rule{more: more} }
	text := object{"minLength": 1}
	name := object{"pattern": namePattern, "maxLength": 40}
	some := object{"minItems": 1}
	upTo := func(high int) object { return object{"minimum": 1, "maximum": high} }
	one := func(values ...string) object { return object{"enum": values} }
	keys := object{"propertyNames": object{"pattern": wordPattern}}
	return map[string]rule{
		"Lab.apiVersion": must(object{"const": lab.APIVersion}),
		"Lab.kind":       must(object{"const": lab.Kind}),
		"Lab.metadata":   must(nil),
		"Lab.layer":      must(nil),
		"Lab.analogies":  must(some),
		"Lab.components": must(some),
		"Lab.requires":   must(nil),
		"Lab.next":       must(text),

		"Metadata.name":    must(name),
		"Metadata.title":   must(text),
		"Metadata.promise": must(text),
		"Metadata.level":   must(upTo(4)),
		"Metadata.minutes": must(upTo(600)),

		"Layer.mlops":  must(some),
		"Layer.topics": must(some),
		"Analogy.know": must(text),
		"Analogy.new":  must(text),

		"Requires.memoryMi":        must(upTo(1 << 20)),
		"Requires.cpu":             must(upTo(256)),
		"Requires.cluster":         may(object{"items": one("argo-crds", "metrics-server", "model-admission")}),
		"Requires.clusterOptional": may(object{"items": one("argo-crds", "metrics-server", "model-admission")}),
		"Seed.clock":               may(object{"pattern": `^([0-9]{4}-[0-9]{2}-[0-9]{2})?$`}),

		"Endpoint.name":    must(name),
		"Endpoint.service": must(name),
		"Endpoint.port":    must(upTo(65535)),
		"Endpoint.path":    may(object{"pattern": "^(/|$)"}),

		"Task.id":     must(name),
		"Task.title":  must(text),
		"Task.why":    must(text),
		"Task.brief":  must(object{"pattern": pathPattern + `.*\.md$`}),
		"Task.checks": must(some),
		"Task.names":  may(object{"items": object{"type": "string", "pattern": `^[A-Za-z]+/[^\s/]\S*$`}}),

		"Check.id":     must(object{"pattern": `^[A-Z]{2}[1-9][0-9]?[a-z]$`}),
		"Check.points": must(upTo(100)),
		"Check.with":   may(keys),
		"Check.expect": must(text),
		"Check.values": must(object{"required": []string{"expected", "found"}, "propertyNames": keys["propertyNames"]}),
		"Check.fail":   must(nil),

		"FailCase.text": must(text),
		"Hint.level":    must(upTo(3)),
		"Hint.text":     must(text),

		"NearMiss.id":       must(name),
		"NearMiss.base":     may(one(lab.BaseBefore, lab.BaseSolved)),
		"NearMiss.steps":    must(some),
		"NearMiss.mustFail": must(some),

		"Alternative.id":    must(name),
		"Alternative.steps": must(some),

		"Fault.id":       must(name),
		"Fault.story":    must(text),
		"Fault.symptoms": must(some),
		"Fault.inject":   must(some),
		"Fault.fails":    must(some),
		"Fault.fix":      must(some),

		"Question.topic":    must(text),
		"Question.question": must(text),
		"Question.points":   must(some),

		"KubeProbe.apiVersion": must(object{"pattern": `^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$`}),
		"KubeProbe.kind":       must(object{"pattern": `^[A-Z][A-Za-z0-9]*$`}),

		"HTTPProbe.service": must(object{"pattern": `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`}),
		"HTTPProbe.port":    must(upTo(65535)),
		"HTTPProbe.path":    may(object{"pattern": "^(/|$)"}),
		"HTTPProbe.method": may(one(http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
			http.MethodDelete, http.MethodOptions)),
		"HTTPProbe.bodyFile": may(object{"pattern": pathPattern}),

		"PromQLProbe.query": must(text),

		"MLflowAlias.model":     must(text),
		"MLflowAlias.name":      must(text),
		"MLflowVersion.model":   must(text),
		"MLflowVersion.version": must(text),
		"MLflowVersions.model":  must(text),
		"MLflowRun.experiment":  must(text),
		"MLflowRun.name":        must(text),
		"MLflowRuns.experiment": must(text),
		"MLflowRuns.status":     may(one("FINISHED", "RUNNING", "SCHEDULED", "FAILED", "KILLED")),
		"MLflowArtifact.path":   must(object{"pattern": pathPattern}),
		"ExecProbe.argv":        must(some),
		"Step.apply":            may(object{"pattern": pathPattern + `.*\.(yaml|yml|json)$`}),
		"Wait.expect":           must(text),
	}
}
