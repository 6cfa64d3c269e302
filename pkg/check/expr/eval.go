package expr

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

func (p *Program) eval(ctx context.Context, vars map[string]any) (ref.Val, error) {
	if err := accept(vars); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	all := make(map[string]any, len(vars)+1)
	maps.Copy(all, vars)
	all[budgetName] = &budget{maxTotal}
	v, _, err := p.program.ContextEval(bounded, all)
	if err != nil {
		if bounded.Err() != nil && ctx.Err() == nil {
			return nil, ErrExpensive // whatever the library made of it
		}
		return nil, translate(ctx, err)
	}
	return v, nil
}

// plain turns a CEL value into what JSON can hold.
func plain(v ref.Val) (any, error) {
	if weight(v, maxWeight+1) > maxWeight {
		return nil, ErrExpensive
	}
	return convert(v, 0)
}

func convert(v ref.Val, depth int) (any, error) {
	if depth > maxDepth {
		return nil, ErrExpensive
	}
	switch v := v.(type) {
	case types.Null:
		return nil, nil //nolint:nilnil // JSON's null
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return strconv.FormatFloat(float64(v), 'g', -1, 64), nil
	case types.String:
		return string(v), nil
	case types.Bytes:
		if utf8.Valid(v) {
			return string(v), nil
		}
		return base64.StdEncoding.EncodeToString(v), nil
	case types.Duration:
		return v.String(), nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), nil
	case quantity:
		return v.q.String(), nil
	case *types.Type:
		return v.TypeName(), nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil //nolint:nilnil // JSON's null
		}
		return convert(v.GetValue(), depth+1)
	case traits.Lister:
		list := make([]any, 0, length(v))
		for it := v.Iterator(); it.HasNext() == types.True; {
			item, err := convert(it.Next(), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, nil
	case traits.Mapper:
		object := make(map[string]any, length(v))
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			item, err := convert(v.Get(key), depth+1)
			if err != nil {
				return nil, err
			}
			object[fmt.Sprint(key.Value())] = item
		}
		return object, nil
	default:
		return nil, fmt.Errorf("a value of type %s has no JSON form", v.Type().TypeName())
	}
}
