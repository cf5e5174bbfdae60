package keyturn

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Administration is what only one platform can do beside keeping secrets, as the
// platform lists it: the commands 'keyturn PLATFORM …', their help and their docs
// are made of it.
type Administration struct {
	Platform string // also the word of the command
	Short    string // one line, without a full stop
	Long     string
	Groups   []ActionGroup // words that several actions begin with
	Actions  []Action
	// Variable names the server of the mount that is there without configuration; "" for
	// none.
	Variable string
}

// ActionGroup says what actions with the same first word have in common.
type ActionGroup struct {
	Name, Short, Long string
}

// Action is one thing that a platform can do.
type Action struct {
	Name      string // words: "policy write"; [a-z-] each
	Operation string // verb-noun, in JSON: "apply-policy"
	Short     string // one line, without a full stop
	Long      string
	Example   string   // lines for a shell
	Inputs    []Input  // those with a place first, in their order
	Reads     bool     // it changes nothing, so it may be tried again
	Asks      string   // the question before what cannot be undone; {name} is an input's text
	Preview   string   // an action that reads, takes the same inputs, and is shown to a person before this one
	Secret    string   // what the secret is that it answers with, "a secret id"; "" where it answers with none
	Document  string   // the text that it makes, "policy", which can be kept in a file; "" for none
	Columns   []string // members of its items, in the order in which people read them
}

// Names that actions have on every platform that can let a principal do something
// with a secret: they take "principal", a reference, and "can", a list. The second
// only tells whether the first could be carried out, and what it would change.
const (
	ActionGrant      = "policy grant"
	ActionCheckGrant = "policy check-grant"
)

// InputKind says what an input takes.
type InputKind string

// The kinds of an input.
const (
	InputText     InputKind = "text"
	InputNumber   InputKind = "number"   // a whole number that is not negative
	InputDuration InputKind = "duration" // as of time.ParseDuration, or days: 30d
	InputYes      InputKind = "yes"      // a flag: "true", or left out
	InputList     InputKind = "list"     // texts, with commas between them or given again
	InputFile     InputKind = "file"     // the text of a file
	InputSecret   InputKind = "secret"   // a reference whose value is used, or typed without echo where it is left out
	InputAddress  InputKind = "address"  // of a server; a password in it is refused, {{password}} stands for one
	// InputStatements are statements of a database: a password in them is refused, as in
	// an address.
	InputStatements InputKind = "statements"
	InputOn         InputKind = "on" // a reference on the mount: what the action is about
)

// Input is one thing that an action takes.
type Input struct {
	Name     string // of its flag, or of its place
	Kind     InputKind
	Short    string // one line
	Place    bool   // it has a place on the command line, and no flag
	Required bool
	Choices  []string // of a text or a list; nil for anything
}

// PlatformAction carries out one action of a mount's platform. It is composite: one
// UseSecret of each secret whose value it takes, and one WriteSecret of To, beside
// the action itself, about which rules say "administer" on MOUNT/WORDS/OF/ACTION.
// It answers with Performed.
//
// What is typed (InputSecret without a reference) is no part of it: it is asked for
// once the operation was let through and is on record. A secret that the action
// answers with goes to one of To, Out and Wrap, and nowhere else.
type PlatformAction struct {
	Mount  string              `json:"mount"`
	Action string              `json:"action"`         // its name
	Args   map[string][]string `json:"args,omitempty"` // by input; one text but for lists
	On     Ref                 `json:"on,omitzero"`
	Uses   []Binding           `json:"uses,omitempty"` // secrets whose value is used, by input; sorted
	To     Ref                 `json:"to,omitzero"`    // its secret is stored there
	Out    string              `json:"out,omitempty"`  // absolute; its secret goes into that file beside the caller
	Wrap   int64               `json:"wrap,omitempty"` // seconds; the caller gets a token that opens its secret once
}

func (PlatformAction) Kind() string { return "platform-action" }
func (PlatformAction) Verb() Verb   { return Administer }

// Refs lists the distinct references that it is about, uses and writes.
func (o PlatformAction) Refs() []Ref {
	var refs []Ref
	if !o.On.IsZero() {
		refs = append(refs, o.On)
	}
	for _, u := range o.Uses {
		refs = append(refs, u.Ref)
	}
	if !o.To.IsZero() {
		refs = append(refs, o.To)
	}
	return distinct(refs)
}

// Plan implements Composite.
func (o PlatformAction) Plan() []Op {
	var plan []Op
	var used []Ref
	for _, u := range o.Uses {
		used = append(used, u.Ref)
	}
	for _, r := range distinct(used) {
		plan = append(plan, UseSecret{Ref: r})
	}
	if !o.To.IsZero() {
		plan = append(plan, WriteSecret{Ref: o.To})
	}
	return plan
}

// Path is what rules decide about: "vault/policy/write".
func (o PlatformAction) Path() string {
	return o.Mount + "/" + strings.ReplaceAll(o.Action, " ", "/")
}

// Told is what a platform tells of an action that it carried out. Nothing in it is
// secret.
type Told struct {
	Says     string           // what was done, in one line
	Items    []map[string]any // what there is: texts, numbers, yes and no, lists of texts
	Single   bool             // it is about one thing: Items has one
	Text     string           // a document: a policy
	Change   *TextChange      // a document that changed, or would
	Notices  []string
	Policy   *PolicyTold
	TakeBack *TakeBack // nil where the action's secret cannot be taken back
	More     bool      // it takes more of the same: the next key share
}

// TakeBack takes back what an action's secret lets in, for whoever could not keep it.
type TakeBack struct {
	Op      PlatformAction
	Command string // the same for a person
}

// TextChange is a document before and after; Before is "" where there was none.
type TextChange struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// InputExpects is the input of actions that replace a document: what Replaces was when
// it was looked at. Where another one is there, they are Conflict.
const InputExpects = "expects"

// Replaces names the text that is replaced: its SHA-256 in hexadecimal, "none" for none.
func (t TextChange) Replaces() string {
	if t.Before == "" {
		return "none"
	}
	sum := sha256.Sum256([]byte(t.Before))
	return hex.EncodeToString(sum[:])
}

// PolicyTold tells of a platform's own policy that an operation made.
type PolicyTold struct {
	Name    string
	Text    string
	Applied bool
}

// Performed answers PlatformAction.
type Performed struct {
	Receipt
	Told
	Target  string           // where it happened
	Secret  map[string]Value // for Out: by field
	Main    string           // the field of Secret that is meant where one is
	Wrapped *Wrapped         // for Wrap
	Stored  Info             // of To: the version that was made
}

// Wrapped is a token that opens a secret once.
type Wrapped struct {
	Token    Value
	Accessor string
	Seconds  int64 // it lives
}
