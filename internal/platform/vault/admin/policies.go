package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/policy"
)

// expects names the text that a person saw before saying yes. A change that would replace
// another text is refused.
var expects = keyturn.Input{Name: keyturn.InputExpects, Kind: keyturn.InputText, Short: "SHA-256 of the text that is replaced, or none; where another one is there it fails"}

// checkExpected returns Conflict where the text to be replaced is not the expected one.
func checkExpected(a platform.Act, name, before string) error {
	if want := a.Args.Text(keyturn.InputExpects); want == "" || strings.EqualFold(want, keyturn.TextChange{Before: before}.Replaces()) {
		return nil
	}
	return keyturn.E(keyturn.Conflict, "the policy "+quoted(name)+" is not the one that was looked at: somebody else has changed it", "look at it, and repeat the command: keyturn vault policy read "+keyturn.Quote(name))
}

func policyActions() []action {
	name := keyturn.Input{Name: "name", Kind: keyturn.InputText, Short: "the policy", Place: true, Required: true}
	file := keyturn.Input{Name: "file", Kind: keyturn.InputFile, Short: "its text", Place: true, Required: true}
	written := []keyturn.Input{name, file, expects}
	granted := []keyturn.Input{
		{Name: "ref", Kind: keyturn.InputOn, Short: "the secret", Place: true, Required: true},
		{Name: "can", Kind: keyturn.InputList, Short: "what it lets a token do", Required: true, Choices: policy.Words},
		{Name: "name", Kind: keyturn.InputText, Short: "of the policy"},
		{Name: "replace", Kind: keyturn.InputYes, Short: "replace a policy of that name"},
		expects,
	}
	return []action{
		{Action: keyturn.Action{
			Name: "policy list", Operation: "list-policies", Short: "List the policies", Reads: true, Columns: []string{"name"},
			Long:    "List the names of the policies.",
			Example: "  keyturn vault policy list",
		}, Do: listPolicies},
		{Action: keyturn.Action{
			Name: "policy check", Operation: "check-policy", Short: "Judge a policy, and show what it would change", Reads: true,
			Long: `Judge the text of a policy without writing it: capabilities that do not exist, paths
that lead to no engine, data/ forgotten under an engine of version 2, wildcards that
reach further than they seem to, and denials that do nothing. Then show how it differs
from the policy of that name. FILE - is standard input.`,
			Example: "  keyturn vault policy check myapp myapp.hcl",
			Inputs:  written,
		}, Do: checkPolicy},
		{Action: keyturn.Action{
			Name: "policy write", Operation: "apply-policy", Short: "Write a policy", Preview: "policy check", Document: "policy",
			Long: `Write a policy from a file in HCL or JSON; - is standard input. It is judged first, as
'keyturn vault policy check' does. On a terminal the difference is shown, and you are
asked; where somebody else changes it meanwhile it fails with conflict. The audit log
keeps its text before and after.

--expects names the text that is replaced, for who looked at it before: also an approval
is then for that one alone.`,
			Example: "  keyturn vault policy write myapp myapp.hcl --yes\n  keyturn vault policy write myapp - --yes < myapp.hcl",
			Inputs:  written,
		}, Do: writePolicy},
		{Action: keyturn.Action{
			Name: "policy read", Operation: "read-policy", Short: "Print the text of a policy", Reads: true, Document: "policy",
			Long:    "Print the text of a policy.",
			Example: "  keyturn vault policy read myapp\n  keyturn vault policy read myapp --policy-out copy.hcl",
			Inputs:  []keyturn.Input{name},
		}, Do: readPolicy},
		{Action: keyturn.Action{
			Name: "policy least", Operation: "show-least-policy", Short: "Show the least policy for a secret", Reads: true, Document: "policy",
			Long: `Show the policy that 'keyturn vault policy for' would write, and write nothing: to read
it, or to hand it to whoever may write policies.`,
			Example: "  keyturn vault policy least vault/secret/myapp/config --can read,list",
			Inputs:  granted,
		}, Do: showLeastPolicy},
		{Action: keyturn.Action{
			Name: "policy for", Operation: "grant-policy", Short: "Write the least policy for a secret", Preview: "policy least", Document: "policy",
			Long: `Write the policy that gives the least that is needed on one secret, under --name, or
a name made of the secret's. --can takes words that each let a token do what keyturn's
command needs, and no more:

  read      get --reveal, run, render
  list      list: the names in the folder of the secret
  describe  get, history: versions, labels, the names of fields
  write     put, of a new secret or with --replace. With read, too, --merge, and a put
            that looks whether fields would vanish
  delete    delete
  restore   restore
  rollback  rollback, which reads the earlier version, and writes
  destroy   destroy

Before anything is written, it is checked that you may write policies. After it, the
policy is tested with a token of its own that lives for a minute: what it is allowed on
each path is told. A policy of that name that says something else is not replaced but
with --replace; on a terminal the difference is shown, and you are asked.`,
			Example: "  keyturn vault policy for vault/secret/myapp/config --can read\n  keyturn vault policy for vault/secret/myapp/config --can read,list --name myapp-reader --policy-out policy.hcl",
			Columns: []string{"path", "capabilities", "tested"},
			Inputs:  granted,
		}, Do: writeLeastPolicy},
		{Action: keyturn.Action{
			Name: "policy delete", Operation: "delete-policy", Short: "Delete a policy",
			Long: `Delete a policy. Tokens that have it lose what it granted, at once. It asks on a
terminal, and needs --yes elsewhere. The audit log keeps its text, where your token may
read it.`,
			Example: "  keyturn vault policy delete myapp-reader --yes",
			Asks:    "Delete the policy {name}? Its tokens lose what it grants",
			Inputs:  []keyturn.Input{name},
		}, Do: deletePolicy},
	}
}

func listPolicies(ctx context.Context, s *server, _ platform.Act) (platform.Acted, error) {
	names, err := s.names(ctx, policyPath)
	var out platform.Acted
	for _, n := range names {
		out.Items = append(out.Items, map[string]any{"name": n})
	}
	return out, err
}

// policyName returns the name as the server stores it: in small letters.
func policyName(a platform.Act) (string, error) {
	name := strings.ToLower(a.Args.Text("name"))
	return name, checkSegment("policy", name)
}

// policyText reads a policy's text; "" where there is no such policy.
func policyText(ctx context.Context, s *server, name string) (string, error) {
	var answer struct {
		Policy string `json:"policy"`
	}
	err := s.call(ctx, http.MethodGet, policyPath+"/"+name, nil, &answer)
	if errors.Is(err, keyturn.NotFound) {
		return "", nil
	}
	return answer.Policy, err
}

func readPolicy(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	name, err := policyName(a)
	if err != nil {
		return platform.Acted{}, err
	}
	if name == "root" {
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "the policy root has no text: it allows everything", "")
	}
	text, err := policyText(ctx, s, name)
	if err != nil {
		return platform.Acted{}, err
	}
	if text == "" {
		have, _ := s.names(ctx, policyPath)
		return platform.Acted{}, notFound("policy", name, have)
	}
	return platform.Acted{Told: keyturn.Told{Text: text, Policy: &keyturn.PolicyTold{Name: name, Text: text, Applied: true}}}, nil
}

// judgePolicy judges the policy that an action gives, and compares it with the one that
// is there. It returns the findings as notices, the change, and the policy's name.
func judgePolicy(ctx context.Context, s *server, a platform.Act) (platform.Acted, string, error) {
	name, err := policyName(a)
	if err != nil {
		return platform.Acted{}, "", err
	}
	if name == "root" {
		return platform.Acted{}, "", keyturn.E(keyturn.Invalid, "the policy root cannot be changed", "choose another name")
	}
	text := a.Args.Text("file")
	if strings.TrimSpace(text) == "" {
		return platform.Acted{}, "", keyturn.E(keyturn.Invalid, "the policy is empty, which the server does not take", "to take a policy away: keyturn vault policy delete "+keyturn.Quote(name))
	}
	var out platform.Acted
	if name != a.Args.Text("name") {
		out.Notices = append(out.Notices, "the server keeps names of policies in small letters: "+name)
	}
	rules, err := policy.Parse(text)
	if err != nil {
		out.Notices = append(out.Notices, "keyturn cannot read this policy, and has not judged it: "+err.Error())
	} else {
		engines, known := mountedEngines(ctx, s)
		if !known {
			out.Notices = append(out.Notices, "your token may not see which engines there are: whether paths lead anywhere was not judged")
		}
		findings, err := policy.Lint(rules, engines)
		if err != nil {
			return platform.Acted{}, "", err
		}
		out.Notices = append(out.Notices, findings...)
	}
	before, err := policyText(ctx, s, name)
	if err != nil {
		return platform.Acted{}, "", err
	}
	if err := checkExpected(a, name, before); err != nil {
		return platform.Acted{}, "", err
	}
	out.Change = &keyturn.TextChange{Name: name, Before: before, After: text}
	out.Policy = &keyturn.PolicyTold{Name: name, Text: text}
	return out, name, nil
}

func checkPolicy(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	out, name, err := judgePolicy(ctx, s, a)
	if err != nil {
		return out, err
	}
	out.Says = "the policy " + name
	switch ch := out.Change; {
	case ch.Before == "":
		out.Says += " would be new"
	case ch.Before == ch.After:
		out.Says += " would stay as it is"
	default:
		out.Says += " would change"
	}
	return out, nil
}

func writePolicy(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	out, name, err := judgePolicy(ctx, s, a)
	if err != nil {
		return out, err
	}
	if out.Change.Before == out.Change.After {
		out.Says, out.Policy.Applied = "the policy "+name+" is so already", true
		return out, nil
	}
	if err := putPolicy(ctx, s, name, out.Change.After); err != nil {
		if _, unread := policy.Parse(out.Change.After); unread != nil && errors.Is(err, keyturn.Invalid) {
			err = keyturn.E(keyturn.Invalid, "the server does not take this policy; "+unread.Error(), keyturn.AsError(unread).Hint).Because(err)
		}
		return platform.Acted{}, err
	}
	out.Says, out.Policy.Applied = "created the policy "+name, true
	if out.Change.Before != "" {
		out.Says = "changed the policy " + name
	}
	return out, nil
}

func putPolicy(ctx context.Context, s *server, name, text string) error {
	err := s.call(ctx, http.MethodPut, policyPath+"/"+name, map[string]string{"policy": text}, nil)
	if errors.Is(err, keyturn.Invalid) {
		return keyturn.E(keyturn.Invalid, "the server does not take this policy", "'keyturn vault policy check' tells what keyturn makes of it").Because(err)
	}
	return err
}

func deletePolicy(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	name, err := policyName(a)
	if err != nil {
		return platform.Acted{}, err
	}
	have, err := s.names(ctx, policyPath) // the server deletes any name, and says that it went well
	if err != nil {
		return platform.Acted{}, err
	}
	if !slices.Contains(have, name) {
		return platform.Acted{}, notFound("policy", name, have)
	}
	if name == "root" || name == "default" {
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "the policy "+name+" is the server's own, and cannot be deleted", "write an almost empty one in the place of default")
	}
	before, err := policyText(ctx, s, name)
	if err != nil && !errors.Is(err, keyturn.Denied) { // to delete is not to read
		return platform.Acted{}, err
	}
	if err := s.call(ctx, http.MethodDelete, policyPath+"/"+name, nil, nil); err != nil {
		return platform.Acted{}, err
	}
	out := platform.Acted{Told: keyturn.Told{Says: "deleted the policy " + name}}
	if before != "" {
		out.Change = &keyturn.TextChange{Name: name, Before: before}
	}
	return out, nil
}

// mountedEngines returns all engines and login methods; false where this token may not
// list them.
func mountedEngines(ctx context.Context, s *server) ([]policy.Engine, bool) {
	var out []policy.Engine
	for _, k := range []mountKind{engineMounts, loginMounts} {
		all, err := k.all(ctx, s)
		if err != nil {
			return nil, false
		}
		for p, m := range all {
			e := policy.Engine{Path: p, KV: m.kvVersion()}
			if k == loginMounts {
				e.Path = "auth/" + p
			}
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b policy.Engine) int { return strings.Compare(a.Path, b.Path) })
	return out, true
}
