package expr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"labctl.dev/labctl/pkg/lab"
)

// typePrefix keeps the names of our types apart from others.
const typePrefix = "labctl."

type fields = map[string]*cel.Type

func object(name string) *cel.Type { return cel.ObjectType(typePrefix + name) }

// shapes are the variables of each kind of probe; see the comments in
// pkg/lab/probe.go. What an API decides is dyn.
func shapes() map[string]fields {
	return map[string]fields{
		lab.ProbeKube:   {"object": cel.DynType, "objects": cel.ListType(cel.DynType)},
		lab.ProbeHTTP:   {"status": cel.IntType, "headers": cel.MapType(cel.StringType, cel.StringType), "body": cel.StringType, "json": cel.DynType},
		lab.ProbePromQL: {"series": cel.ListType(object("series")), "value": cel.DynType, "n": cel.IntType, "status": cel.IntType, "errorCode": cel.StringType},
		lab.ProbeMLflow: {"result": cel.DynType, "status": cel.IntType, "errorCode": cel.StringType},
		lab.ProbeExec:   {"exitCode": cel.IntType, "stdout": cel.StringType, "json": cel.DynType},
	}
}

// types are the object types of a scope, by the name without prefix.
func (s Scope) types() map[string]fields {
	all := shapes()
	all["series"] = fields{"labels": cel.MapType(cel.StringType, cel.StringType), "value": cel.DynType, "timestamp": cel.DoubleType}
	all["lab"] = fields{"namespace": cel.StringType, "seed": cel.IntType}
	values := fields{}
	for _, name := range s.Values {
		values[name] = cel.DynType
	}
	all["values"] = values
	return all
}

// variables are the names at top level.
func (s Scope) variables() fields {
	vars := fields{"lab": object("lab")}
	maps.Copy(vars, shapes()[s.Kind])
	for name, kind := range s.With {
		vars[name] = object(kind)
	}
	if s.Values != nil {
		vars["values"] = object("values")
	}
	return vars
}

func (s Scope) check() error {
	kinds := lab.ProbeKinds()
	if !slices.Contains(kinds, s.Kind) {
		return fmt.Errorf("there is no kind of probe %q", s.Kind)
	}
	if s.Wait && (len(s.With) > 0 || s.Values != nil) {
		return errors.New("a wait has no further probes and no values")
	}
	for name, kind := range s.With {
		if _, taken := shapes()[s.Kind][name]; taken || name == "lab" || name == "values" {
			return fmt.Errorf("a probe can't be called %s: the name is taken", name)
		}
		if !slices.Contains(kinds, kind) {
			return fmt.Errorf("there is no kind of probe %q", kind)
		}
	}
	return nil
}

// environment has the variables and types of a scope.
func environment(s Scope) (*cel.Env, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	env, err := base()
	if err != nil {
		return nil, err
	}
	opts := []cel.EnvOption{cel.CustomTypeProvider(provider{env.CELTypeProvider(), s.types()})}
	for name, t := range s.variables() {
		opts = append(opts, cel.Variable(name, t))
	}
	return env.Extend(opts...)
}

// provider knows the fields of our types. Their values are plain maps, so the
// fields need no getters.
type provider struct {
	types.Provider
	known map[string]fields
}

func (p provider) find(name string) (fields, bool) {
	short, ours := strings.CutPrefix(name, typePrefix)
	if !ours {
		return nil, false
	}
	f, ok := p.known[short]
	return f, ok
}

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.find(name); ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if f, ok := p.find(name); ok {
		return slices.Sorted(maps.Keys(f)), true
	}
	return p.Provider.FindStructFieldNames(name)
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	f, ok := p.find(name)
	if !ok {
		return p.Provider.FindStructFieldType(name, field)
	}
	t, ok := f[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: t}, true
}
