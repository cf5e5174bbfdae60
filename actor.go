package keyturn

// ActorKind is one of person, agent and service.
type ActorKind string

// The kinds of actor. The zero kind is nobody, and may do nothing.
const (
	Person      ActorKind = "person"
	Agent       ActorKind = "agent"
	ServiceKind ActorKind = "service"
)

// Actor is who asks for an operation, and how that was found out.
type Actor struct {
	Kind ActorKind `json:"kind"`
	// Name within its kind: the login name of a person, the program of an agent
	// ("claude-code"), the name of a service.
	Name string `json:"name"`
	// For is the person whose agent or process this is, if known.
	For string `json:"for,omitempty"`
	// Proof says how the actor was found out: "os-user", "environment",
	// "ancestor", "declared", "token".
	Proof string `json:"proof"`
	// Detail is the mark that was seen, for instance the name of the variable.
	Detail string `json:"detail,omitempty"`
	// Session is a keyturn token or one process; never a protocol's session id.
	Session string `json:"session,omitempty"`
	// Also are further principals, as rules write them: those the actor was proven
	// to be ("oidc:group:platform-sre"), and other agents whose marks were seen
	// ("agent:codex"), which count for what is forbidden only.
	Also []string `json:"also,omitempty"`
}

// Principal returns the actor as rules name it: "user:anna", "agent:claude-code",
// "service:ci"; "" for nobody.
func (a Actor) Principal() string {
	switch a.Kind {
	case Person:
		return "user:" + a.Name
	case Agent:
		return "agent:" + a.Name
	case ServiceKind:
		return "service:" + a.Name
	}
	return ""
}

// Same reports whether two actors are the same one for the purpose of approvals:
// nobody approves what they asked for themselves. A person may approve what
// their own agent asks.
func (a Actor) Same(b Actor) bool { return a.Kind == b.Kind && a.Name == b.Name }
