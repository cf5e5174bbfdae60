package answer

import (
	"strings"

	"github.com/keyturn/keyturn"
)

// performed is the document of a platform's own action, without the token that its secret is
// wrapped in.
func performed(op keyturn.Op, res *keyturn.Performed, act keyturn.Action) Document {
	doc := Success(act.Operation, res.Receipt)
	doc.Notices, doc.Text = res.Notices, res.Text
	if !act.Reads {
		doc.Target = res.Platform + " " + res.Target
	}
	switch {
	case res.Single && len(res.Items) == 1:
		doc.Item = res.Items[0]
	case res.Items != nil || act.Columns != nil && !res.Single && res.Says == "":
		items := res.Items
		if items == nil {
			items = []map[string]any{}
		}
		doc.Items = &items
	}
	if res.Policy != nil {
		doc.Policy = &Policy{Name: res.Policy.Name, Applied: res.Policy.Applied}
	}
	if res.Change != nil {
		doc.Change = ChangedLines(res.Change.Before, res.Change.After)
	}
	if w := res.Wrapped; w != nil {
		doc.Wrapped = &Wrapped{Accessor: w.Accessor, Seconds: w.Seconds}
	}
	if o, ok := op.(keyturn.PlatformAction); ok && !o.To.IsZero() {
		doc.Secret = secretOf(res.Stored)
	}
	return doc
}

// ChangedLines returns what changes between two texts: each line with "  ", "- " or "+ "
// before it. Of the lines that stay, two are kept on each side of a change.
func ChangedLines(before, after string) []string {
	a, b := split(before), split(after)
	// Longest common subsequence; policies are short. Longer texts are told whole.
	if len(a)*len(b) > 4<<20 {
		return append(prefixed("- ", a), prefixed("+ ", b)...)
	}
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var all []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, "  "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			all = append(all, "- "+a[i])
			i++
		default:
			all = append(all, "+ "+b[j])
			j++
		}
	}
	return around(all)
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

func prefixed(p string, lines []string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, p+l)
	}
	return out
}

// around keeps changed lines, and two of the others on each side.
func around(lines []string) []string {
	const near = 2
	keep := make([]bool, len(lines))
	for i, l := range lines {
		if strings.HasPrefix(l, "  ") {
			continue
		}
		for k := max(0, i-near); k <= min(len(lines)-1, i+near); k++ {
			keep[k] = true
		}
	}
	var out []string
	for i, l := range lines {
		switch {
		case keep[i]:
			out = append(out, l)
		case i > 0 && keep[i-1]:
			out = append(out, "  …")
		}
	}
	return out
}
