// Package remember makes rules of requests that a person said yes to for ever. It is
// pure.
package remember

import (
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/approval"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/rules/template"
)

// Rule is the narrowest rule that lets a request through from now on. It is
// Invalid for what no narrow rule could say.
func Rule(r approval.Request, req keyturn.Request) (rules.Rule, error) {
	cannot := func(why string) (rules.Rule, error) {
		return rules.Rule{}, keyturn.E(keyturn.Invalid, "this cannot be remembered: "+why, "approve it once, without --remember")
	}
	if len(req.Op.Refs()) == 0 {
		return cannot("it is about no secret, so the rule would be about all")
	}
	if r.Ruled {
		return cannot("a rule of yours asks for approvals each time")
	}
	switch op := req.Op.(type) {
	case keyturn.DestroySecret:
		if len(op.Versions) > 0 {
			return cannot("a rule would be about the whole secret, not about these versions")
		}
	case keyturn.RenderTemplate:
		return cannot("a rule would be about revealing, not about this template")
	case keyturn.PutSecret, keyturn.MigrateSecrets:
		return cannot("a rule would be about any value, not about this one")
	case keyturn.RevertMigration, keyturn.ForgetMigration:
		return cannot("a rule would be about the whole secret, not about this migration")
	case keyturn.CopySecret:
		return cannot("it takes two rules, one to use the source and one to write the target")
	case keyturn.PlatformAction:
		return cannot("it takes a rule for the action, and one for each secret")
	case keyturn.DiffSecrets:
		return cannot("a rule would be about using them, not about comparing")
	case keyturn.RunCommand:
		if len(op.Files) > 0 {
			return cannot("whoever asks can read the file")
		}
	default:
		if slices.ContainsFunc(op.Refs(), func(ref keyturn.Ref) bool { return ref != ref.Secret() }) {
			return cannot("a rule would be about the whole secret, not about this field or version")
		}
	}
	rule := narrow(req)
	if _, err := rules.Parse(rule.Source()); err != nil {
		return cannot(err.Error())
	}
	return rule, nil
}

func narrow(req keyturn.Request) rules.Rule {
	r := rules.Rule{Who: []string{req.Actor.Principal()}, May: []keyturn.Verb{req.Op.Verb()}}
	for _, ref := range req.Op.Refs() {
		r.On = append(r.On, rules.Literal(ref.Path()))
	}
	if run, ok := req.Op.(keyturn.RunCommand); ok {
		r.Run = []string{template.Of(run.Command)}
	}
	return r
}
