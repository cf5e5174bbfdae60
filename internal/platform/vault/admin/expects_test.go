package admin

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestExpects: an action that takes what its document was when somebody looked writes
// nothing over another one, and tells so before.
func TestExpects(t *testing.T) {
	t.Parallel()
	there := keyturn.TextChange{Before: "path \"secret/data/other\" { capabilities = [\"read\"] }"}.Replaces()
	var tried []string
	for _, act := range List().Actions {
		if !slices.ContainsFunc(act.Inputs, func(in keyturn.Input) bool { return in.Name == keyturn.InputExpects }) {
			if act.Preview != "" {
				t.Errorf("%s is looked at before, and takes no expects", act.Name)
			}
			continue
		}
		tried = append(tried, act.Name)
		x := rows[slices.IndexFunc(rows, func(x row) bool { return x.action == act.Name })]
		for expects, ok := range map[string]bool{there: true, strings.ToUpper(there): true, "none": false, strings.Repeat("0", 64): false} {
			x.args = maps.Clone(x.args)
			x.args[keyturn.InputExpects] = []string{expects}
			w := &wire{}
			_, err := x.run(t, w)
			wrote := slices.ContainsFunc(w.asked, func(a string) bool { return strings.HasPrefix(a, "PUT ") })
			if ok && err != nil || !ok && (!errors.Is(err, keyturn.Conflict) || wrote) {
				t.Errorf("%s --expects %s: %v, asked %v", act.Name, expects, err, w.asked)
			}
		}
	}
	if len(tried) < 6 {
		t.Errorf("tried %v", tried)
	}
}
