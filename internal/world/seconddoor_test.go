package world_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/internal/health"
	"github.com/keyturn/keyturn/internal/migrate"
	"github.com/keyturn/keyturn/internal/runner"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/whois"
	"github.com/keyturn/keyturn/internal/world"
)

// A second door: a server of tools, which takes JSON calls and answers with the documents
// of package answer. It shows that a door beside the command line is thin: what it needs
// stands in the rooms that doors share.

// tools are what the server can do. There is no tool that reveals a value, and no answer
// would have a place for one.
var tools = map[string]tool{
	"get":       typed(do[keyturn.GetSecret]),
	"list":      typed(do[keyturn.ListSecrets]),
	"put":       typed(put),
	"run":       typed(run),
	"migrate":   typed(move),
	"take_back": typed(takeBack),
	"requests":  typed(do[keyturn.ListRequests]),
	"approve":   typed(approve),
	"records":   typed(do[keyturn.ListRecords]),
	"status":    typed(status),
}

// server is the door for one caller.
type server struct {
	session.Program
	how  session.How
	desk *desk
}

// call is one call of a tool.
type call struct {
	*server
	s      *session.Session
	output strings.Builder // what the command of a run wrote
}

// tool does a call, whose arguments are JSON.
type tool func(ctx context.Context, c *call, arguments []byte) (answer.Document, error)

// typed is a tool whose arguments are an A.
func typed[A any](f func(context.Context, *call, A) (answer.Document, error)) tool {
	return func(ctx context.Context, c *call, arguments []byte) (answer.Document, error) {
		var a A
		dec := json.NewDecoder(bytes.NewReader(arguments))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&a); err != nil {
			return answer.Document{}, keyturn.E(keyturn.Invalid, "the arguments of this tool are others", "").Because(err)
		}
		return f(ctx, c, a)
	}
}

// reply is what a call is answered with.
type reply struct {
	answer.Document
	Output string `json:"output,omitempty"`
}

// answer answers one call: {"tool": …, "arguments": …, "reason": …}.
func (d *server) answer(ctx context.Context, request string) ([]byte, error) {
	var in struct {
		Tool, Reason string
		Arguments    json.RawMessage
	}
	if err := json.Unmarshal([]byte(request), &in); err != nil {
		return nil, err
	}
	c, doc := &call{server: d}, answer.Document{}
	err := error(keyturn.E(keyturn.Invalid, "there is no tool '"+keyturn.Clean(in.Tool)+"'", ""))
	if f := tools[in.Tool]; f != nil {
		ctx = keyturn.WithCall(ctx, keyturn.Call{Door: "second", Reason: in.Reason})
		_, err = d.Do(ctx, d.how, func(ctx context.Context, s *session.Session) (_ bool, err error) {
			c.s = s
			doc, err = f(ctx, c, in.Arguments)
			return false, err
		})
	}
	if err != nil {
		doc = answer.OfError(in.Tool, err, false)
	}
	return answer.Encode(reply{doc, c.output.String()})
}

// do is the tool of an operation that needs nothing else.
func do[O keyturn.Op](ctx context.Context, c *call, op O) (answer.Document, error) {
	res, err := session.Ask[keyturn.Result](ctx, c.s, op)
	return of(op, res, err)
}

func of(op keyturn.Op, res keyturn.Result, err error) (answer.Document, error) {
	if err != nil {
		return answer.Document{}, err
	}
	return answer.Of(op, res, answer.About{})
}

type putArguments struct {
	keyturn.PutSecret
	Values map[string]string `json:"values"`
}

func put(ctx context.Context, c *call, a putArguments) (answer.Document, error) {
	values := map[string]keyturn.Value{}
	for field, text := range a.Values {
		values[field] = keyturn.NewValue([]byte(text))
	}
	res, err := session.Put(ctx, c.s, a.PutSecret, values)
	return of(a.PutSecret, res, err)
}

type runArguments struct {
	Command []string         `json:"command"`
	Env     []runner.Binding `json:"env"`
}

func run(ctx context.Context, c *call, a runArguments) (answer.Document, error) {
	r := &runner.Runner{Facts: c.s.Facts, Desk: c.desk, Environ: c.Environ, Dir: c.Dir, Read: func(name string) ([]byte, error) { return session.ReadFile(context.Background(), c.Dir, name) }}
	p, err := r.Plan(runner.Options{Command: a.Command, Env: a.Env})
	if err == nil {
		err = p.Fetch(ctx, c.s)
	}
	if err == nil {
		err = p.Capture(ctx, c.s, &c.output, time.Now().Add(time.Minute))
	}
	return p.Report(keyturn.AsError(err), false), nil
}

func (c *call) migrator() *migrate.Migrator {
	return &migrate.Migrator{Session: c.s, Dir: c.Dir, Env: c.Env}
}

func move(ctx context.Context, c *call, o migrate.Options) (answer.Document, error) {
	p, err := c.migrator().Plan(ctx, o)
	if err != nil {
		return answer.Document{}, err
	}
	defer p.Close()
	if o.DryRun || p.Empty() {
		return p.Document(), p.CheckMount()
	}
	if err := p.Confirm(ctx); err != nil {
		return answer.Document{}, err
	}
	out, err := p.Apply(ctx)
	if err != nil {
		return answer.Document{}, err
	}
	return out.Document(p), nil
}

func takeBack(ctx context.Context, c *call, migration string) (answer.Document, error) {
	out, err := c.migrator().TakeBack(ctx, migration)
	if err != nil {
		return answer.Document{}, err
	}
	return answer.Of(keyturn.RevertMigration{}, &out.Migrated, answer.About{})
}

func approve(ctx context.Context, c *call, op keyturn.ApproveRequest) (answer.Document, error) {
	res, err := session.Approve(ctx, c.s, op)
	return of(op, res, err)
}

func status(ctx context.Context, c *call, _ struct{}) (answer.Document, error) {
	t, err := health.StatusOf(ctx, c.s)
	if err != nil {
		return answer.Document{}, err
	}
	return t.Document(false), nil
}

// desk is one whose person, if any, agrees to everything and knows one passphrase. It keeps
// what was said and asked.
type desk struct {
	person bool
	told   []string
}

const passphrase = "a long and good one"

func (d *desk) Possible() bool { return d.person }

func (d *desk) Say(format string, args ...any) { d.told = append(d.told, fmt.Sprintf(format, args...)) }

func (d *desk) Confirm(_ context.Context, question string) (bool, error) {
	d.told = append(d.told, question)
	return true, nil
}

func (d *desk) Secret(_ context.Context, question string) (keyturn.Value, error) {
	d.told = append(d.told, question)
	return keyturn.NewValue([]byte(passphrase)), nil
}

// said returns the place of the first that was told with text in it; -1 for none.
func (d *desk) said(text string) int {
	return slices.IndexFunc(d.told, func(s string) bool { return strings.Contains(s, text) })
}

// doors are a person's and an agent's server, with one store.
type doors struct {
	*testing.T
	work          string
	person, agent *server
	answers       [][]byte
}

const agentRules = `rules:
  - {who: agents, may: [use], on: ["local/app"], run: ["sh **"]}
  - {who: agents, may: [write], on: ["local/new"], needs: {approvals: 1}}
`

// newDoors makes a store. At the end nobody has been told any of the values.
func newDoors(t *testing.T, values ...string) *doors {
	t.Helper()
	m := world.New(t)
	config := filepath.Join(m.Root, "rules.yaml")
	if err := os.WriteFile(config, []byte(agentRules), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(m *world.Machine, person bool) *server {
		who := whois.Source{Ancestors: func() ([]whois.Process, error) { return nil, nil },
			Exists: func(string) bool { return false }, UserName: func() string { return "anna" }}
		at := &desk{person: person}
		return &server{app.Options{Environ: m.Env, Dir: m.Work, Who: who}.Program(), session.How{Config: config, Desk: at}, at}
	}
	d := &doors{T: t, work: m.Work, person: open(m, true), agent: open(m.As("AI_AGENT=demo"), false)}
	if _, err := d.person.Create(t.Context(), d.person.how, "file"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		all := string(bytes.Join(d.answers, nil)) + strings.Join(slices.Concat(d.person.desk.told, d.agent.desk.told), "\n")
		for _, v := range append(values, passphrase) {
			if strings.Contains(all, v) {
				t.Errorf("%q is told:\n%s", v, all)
			}
		}
	})
	return d
}

// as has a server answer a call, and checks the status of the answer.
func (d *doors) as(s *server, want, request string) (r reply) {
	d.Helper()
	b, err := s.answer(d.Context(), request)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil || r.Status != want {
		d.Fatalf("%s\nis not answered with %s (%v):\n%s", request, want, err, b)
	}
	d.answers = append(d.answers, b)
	return r
}

// check fails the test where something about the last answer is not ok.
func (d *doors) check(ok bool) {
	d.Helper()
	if !ok {
		d.Errorf("%s\nand told was %q and %q", d.answers[len(d.answers)-1], d.person.desk.told, d.agent.desk.told)
	}
}

// TestSecondDoor has a person and an agent use a door that is not the command line.
func TestSecondDoor(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command that is run is a shell of Unix")
	}
	const token, pin = "made-up-and-long-enough", "777" // the pin is too short to be redacted
	d := newDoors(t, token, `"`+pin, pin+`\n`)

	// A person puts given values and generated ones, and is told of them.
	d.as(d.person, "success", `{"tool": "put", "arguments": {"ref": "kt://local/app", "values": {"token": "`+token+`", "pin": "`+pin+`", "user": "shop"},
		"public": ["user"], "generate": [{"field": "z", "length": 30}, {"field": "password", "charset": "hex", "length": 40}]}}`)
	r := d.as(d.person, "success", `{"tool": "get", "arguments": {"ref": "kt://local/app"}}`)
	d.check(slices.Equal(r.Secret.Fields, []string{"password", "pin", "token", "user", "z"}))
	r = d.as(d.person, "success", `{"tool": "list", "arguments": {"under": "kt://local/"}}`)
	d.check(len(*r.Secrets) == 1)
	r = d.as(d.person, "error", `{"tool": "reveal", "arguments": {"ref": "kt://local/app"}}`)
	d.check(r.Error.Code == keyturn.Invalid)

	// A rule lets the agent run a shell, in the folder of its door. It sees no value, and
	// nothing at all where one cannot be redacted.
	const show = `{"tool": "run", "arguments": {"command": ["sh", "-c", "pwd -P; echo $A >&2; exit 3"], "env": [{"name": "A", "ref": "local/app#`
	r = d.as(d.agent, "success", show+`password"}]}}`)
	d.check(*r.Command.Exit == 3 && r.Command.Output == "redacted" && r.Output == d.work+"\n[redacted]\n")
	r = d.as(d.agent, "success", show+`pin"}]}}`)
	d.check(*r.Command.Exit == 1 && r.Command.Output == "withheld" && r.Output == "" && d.agent.desk.said("local/app#pin") >= 0)
	r = d.as(d.person, "success", show+`token"}]}}`)
	d.check(r.Output == d.work+"\n[redacted:local/app#token]\n")
	r = d.as(d.agent, "error", `{"tool": "run", "arguments": {"command": ["cat"], "env": [{"name": "A", "ref": "local/app#token"}]}}`)
	d.check(r.Error.Code == keyturn.Denied && !r.Command.Started && r.Approval != nil)
}

// TestSecondDoorApproves has an agent ask for something, and a person say yes at the desk.
func TestSecondDoorApproves(t *testing.T) {
	const value = "what-the-agent-stores"
	d := newDoors(t, value)
	r := d.as(d.person, "success", `{"tool": "status", "arguments": {}}`)
	d.check(r.Caller.Name == "anna" && r.Store != nil)
	ask := `{"tool": "put", "reason": "for the demonstration", "arguments": {"ref": "kt://local/new", "values": {"token": "` + value + `"}, "generate": [{"field": "key"}]}}`
	wait := d.as(d.agent, "pending", ask)
	d.check(wait.Error.Code == keyturn.Pending)
	open := *d.as(d.person, "success", `{"tool": "requests", "arguments": {}}`).Requests
	d.check(len(open) == 1 && open[0].ID == wait.Approval.ID && open[0].Caller.Principal() == "agent:demo" && open[0].Operation == "put-secret")
	yes := `{"tool": "approve", "arguments": {"id": "` + wait.Approval.ID + `"}}`
	r = d.as(d.agent, "error", yes)
	d.check(r.Error.Code == keyturn.Denied)
	r = d.as(d.person, "success", yes)
	d.check(r.Request.Given == 1)
	asked := d.person.desk.said("A new passphrase, to approve " + wait.Approval.ID)
	for _, text := range []string{wait.Approval.Fingerprint, `"ref":"kt://local/new"}`, "agent:demo", "| for the demonstration"} {
		at := d.person.desk.said(text)
		d.check(at >= 0 && at < asked) // the passphrase is asked for once all is shown
	}
	r = d.as(d.agent, "success", ask)
	d.check(r.Operation == "create-secret")
	d.as(d.agent, "pending", ask) // the yes was for once

	// The log says by which door all of it came.
	ended := map[string]int{}
	for _, rec := range *d.as(d.person, "success", `{"tool": "records", "arguments": {"who": "agent:demo"}}`).Records {
		ended[string(rec.Phase)+rec.Status]++
		d.check(rec.Door == "second" || rec.Phase == keyturn.Outcome)
	}
	d.check(ended["refusalpending"] == 2 && ended["refusaldenied"] == 1 && ended["intent"] > 0 && ended["outcomesuccess"] == ended["intent"])
}

// TestSecondDoorMigrates has a person's .env planned, moved and taken back.
func TestSecondDoorMigrates(t *testing.T) {
	const value = "made-up-db-password"
	const before, after = "DB_PASSWORD=" + value + " # kept\nMODE=on\n", "DB_PASSWORD=kt://local/shop#DB_PASSWORD # kept\nMODE=on\n"
	d := newDoors(t, value)
	file := filepath.Join(d.work, ".env")
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	holds := func(want string) bool {
		got, err := os.ReadFile(file)
		return err == nil && string(got) == want
	}
	r := d.as(d.person, "success", `{"tool": "migrate", "arguments": {"files": [".env"], "to": "kt://local/shop", "dryrun": true}}`)
	d.check(r.Migration.Phase == "planned" && len(*r.Migration.Moved) == 1 && len(*r.Migration.Kept) == 1 && holds(before))
	r = d.as(d.person, "success", `{"tool": "migrate", "arguments": {"files": [".env"], "to": "kt://local/shop"}}`)
	d.check(r.Migration.Phase == keyturn.MigrationEnded && d.person.desk.said("Store 1 value in local/shop and write 1 file?") >= 0 && holds(after))
	d.as(d.person, "success", `{"tool": "take_back", "arguments": "`+r.Migration.ID+`"}`)
	d.check(holds(before))
}

// TestSecondDoorIsThin: the door above needs nothing of the command line, and few lines.
func TestSecondDoorIsThin(t *testing.T) {
	const file, ours = "seconddoor_test.go", "github.com/keyturn/keyturn/internal/"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n >= 400 {
		t.Errorf("%s has %d lines: what a door would write again belongs below the doors", file, n)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	may := []string{"answer", "app", "health", "migrate", "runner", "session", "whois", "world"}
	for _, i := range parsed.Imports {
		if name, found := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), ours); found && !slices.Contains(may, name) {
			t.Errorf("%s imports %s: a door needs what doors share, and never another door", file, name)
		}
	}
}
