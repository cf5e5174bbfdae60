// Package rules says who may do what. It is pure: no file, clock or environment
// is read here, and a Set does not change once it is made.
//
// Read it in this order:
//
//	principal.go  who: "agents", "user:anna", "oidc:group:sre"
//	pattern.go    on which secrets: "local/myapp/**"
//	template.go   use by which commands: "npm run *"
//	http.go       use by which requests: "POST api.github.com/repos/** header:Authorization"
//	address.go    the parts of such a request
//	needs.go      after which approvals: "2 approvals from sre by passkey"
//	rule.go       Source, as a file says it; Rule, checked; Set, all of them
//	decide.go     Set.Decide: allow, deny, or so many approvals
//	launder.go    Set.Launders: whether a copy would open what is closed
//	explain.go    Set.Explain: the same answer with its reasons
//	lint.go       Set.Lint: rules that cannot mean what they say
//	verdict.go    Verdict: what is decided of a whole operation, from its parts
//	people.go     OnlyPeople: what no rule can allow an agent or a service
//
// How it decides: an unknown caller may do nothing, and only people approve. Then a
// matching never wins; then, of the rules that allow, the one that needs the most
// approvals; then the default: a person may do everything on their own machine, agents
// and services nothing, and over a server nobody may do anything.
package rules
