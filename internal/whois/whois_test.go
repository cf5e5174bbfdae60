package whois

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

const canary = "c4n4ry-Value"

// source is a machine with nothing on it but what a test says.
func source(env ...string) Source {
	if env == nil {
		env = []string{}
	}
	return Source{
		Environ:   env,
		Ancestors: func() ([]Process, error) { return nil, nil },
		UserName:  func() string { return "anna" },
		Exists:    func(string) bool { return false },
		Session:   "s1",
	}
}

func (s Source) under(list ...Process) Source {
	s.Ancestors = func() ([]Process, error) { return list, nil }
	return s
}

func want(t *testing.T, s Source, w keyturn.Actor) {
	t.Helper()
	w.Session = "s1"
	g := s.Actor()
	if g.Principal() != w.Principal() || g.For != w.For || g.Proof != w.Proof || g.Detail != w.Detail ||
		g.Session != w.Session || !slices.Equal(g.Also, w.Also) {
		t.Errorf("Actor() = %+v\n      want %+v", g, w)
	}
}

func agent(name, proof, detail string) keyturn.Actor {
	return keyturn.Actor{Kind: keyturn.Agent, Name: name, For: "anna", Proof: proof, Detail: detail}
}

var anna = keyturn.Actor{Kind: keyturn.Person, Name: "anna", Proof: ByUser}

func TestEveryMark(t *testing.T) {
	if len(Marks()) < 40 {
		t.Fatalf("only %d marks", len(Marks()))
	}
	for _, m := range Marks() {
		if m.Source == "" || m.Variable == "" {
			t.Errorf("%+v lacks its source", m)
		}
		value, name := m.Value, m.Agent
		switch {
		case m.Part:
			value = "exec-env " + m.Value + "/1.2"
		case value == "" && name == "":
			value, name = "My_Agent", "my_agent"
		case value == "":
			value = canary
		}
		want(t, source("PATH=/bin", m.Variable+"="+value), agent(name, ByEnvironment, m.Variable))
		want(t, source(m.Variable+"="), anna)
		for _, odd := range []string{"0", "false", "NO", " off ", " ", "\t", "\u00a0", "null"} {
			w := agent(name, ByEnvironment, m.Variable)
			switch {
			case m.Value != "": // people set it, too, to other values
				w = anna
			case m.Agent == "" && odd != "null":
				w.Name = Unknown
			case m.Agent == "":
				w.Name = odd
			}
			want(t, source(m.Variable+"="+odd), w)
		}
		want(t, source("X"+m.Variable+"="+value, "x="+m.Variable, m.Variable), anna)
		// A service never hides an agent.
		want(t, source("KEYTURN_SERVICE=ci", m.Variable+"="+value), agent(name, ByEnvironment, m.Variable))
		// A second, empty one does not hide the first.
		want(t, source(m.Variable+"=", m.Variable+"="+value), agent(name, ByEnvironment, m.Variable))
		want(t, source(m.Variable+"="+value, m.Variable+"="), agent(name, ByEnvironment, m.Variable))
	}
}

// What people set, or see in the terminals of their editors, is no mark.
func TestNoMarks(t *testing.T) {
	want(t, source(
		"CURSOR_TRACE_ID=6f3", "TERM_PROGRAM=vscode", "TERM_PROGRAM=kiro", "VSCODE_PID=1", "REPL_ID=x",
		"WINDSURF_CASCADE_TERMINAL_KIND=user", "CODEIUM_EDITOR_APP_ROOT=/x", "KILO_PID=4",
		"COPILOT_MODEL=x", "COPILOT_ALLOW_ALL=1", "COPILOT_GITHUB_TOKEN=x", "GITHUB_ACTIONS=true",
		"OPENCODE_CLIENT=x", "CODEX_HOME=/x", "AIDER_MODEL=x", "GOOSE_PROVIDER=x", "ANTHROPIC_API_KEY=x",
		"CLAUDE_CONFIG_DIR=/x", "CLINE_API_KEY=x", "AWS_EXECUTION_ENV=AWS_Lambda_go1.x", "PAGER=less",
		"CURSOR_EXTENSION_HOST_ROLE=user", "USER=claude", "SSH_AUTH_SOCK=/x", "AGENT_NAME=azure", "CI=true",
	), anna)
}

func TestAgentNames(t *testing.T) {
	for in, w := range map[string]string{
		"1": Unknown, "true": Unknown, "Yes": Unknown, "@": Unknown, "---": Unknown, "0": Unknown, "False": Unknown, " ": Unknown,
		"amp": "amp", "goose": "goose", "claude": "claude-code", "claude-code_2-1-263_agent": "claude-code",
		"devin@1": "devin", "v0": "v0", "Warp": "warp", "github_copilot_vscode_agent": "copilot",
		"a b\x1b[31m\u202e": "a-b--31m", "user:root": "user-root", strings.Repeat("x", 99): strings.Repeat("x", 64),
	} {
		want(t, source("AI_AGENT="+in), agent(w, ByEnvironment, "AI_AGENT"))
		want(t, source("AGENT="+in), agent(w, ByEnvironment, "AGENT"))
	}
	// A mark of a product is more than a name that anybody can take.
	want(t, source("AI_AGENT=coder", "AGENT=coder", "GEMINI_CLI=1"), also(agent("gemini-cli", ByEnvironment, "GEMINI_CLI"), "agent:coder"))
	// Whoever adds a mark is still what the other marks say, for what is forbidden.
	want(t, source("CLAUDECODE=1", "CODEX_CI=1", "GEMINI_CLI=1"), also(agent("claude-code", ByEnvironment, "CLAUDECODE"), "agent:codex", "agent:gemini-cli"))
}

func also(a keyturn.Actor, others ...string) keyturn.Actor {
	a.Also = others
	return a
}

func TestOwnMachineOfAnAgent(t *testing.T) {
	s := source()
	s.Exists = func(p string) bool { return p == "/opt/.devin" }
	want(t, s, agent("devin", ByEnvironment, "/opt/.devin"))
}

func TestAncestors(t *testing.T) {
	sh := Process{Name: "bash", Exe: "/usr/bin/bash", Args: []string{"bash", "-c", "claude --help && keyturn get x"}}
	for _, c := range []struct {
		p      Process
		name   string
		detail string
	}{
		{Process{Name: "claude"}, "claude-code", "claude"},
		{Process{Name: "Codex"}, "codex", "codex"},
		{Process{Name: "claude.exe"}, "claude-code", "claude"},
		{Process{Name: "MainThread", Exe: "/usr/bin/node", Args: []string{"claude"}}, "claude-code", "claude"},
		{Process{Name: "node", Args: []string{"node", "/usr/local/bin/gemini"}}, "gemini-cli", "gemini"},
		{Process{Name: "node-22", Exe: "/opt/node22", Args: []string{"node22", "-r", "/x/claude.js", "--no-warnings", "/usr/bin/qwen", "x"}}, "qwen-code", "qwen"},
		{Process{Name: "node", Args: []string{"node", "--", "/x/node_modules/@openai/codex/bin/codex.js"}}, "codex", "node_modules/@openai/codex"},
		{Process{Name: "node", Args: []string{"node", "/x/node_modules/@anthropic-ai/claude-code/cli.js"}}, "claude-code", "node_modules/@anthropic-ai/claude-code"},
		{Process{Name: "2.1.0", Exe: "/home/a/.local/share/claude/versions/2.1.0"}, "claude-code", "share/claude/versions"},
		{Process{Name: "node", Exe: "/home/a/.local/share/cursor-agent/versions/9/node", Args: []string{"/home/a/.local/bin/agent", "index.js"}}, "cursor", "cursor-agent/versions"},
		{Process{Name: "python3", Args: []string{"/usr/bin/python3.12", "/home/a/.local/bin/aider", "--model", "x"}}, "aider", "aider"},
		{Process{Name: "python", Args: []string{"python", "-X", "dev", "-m", "aider.main"}}, "aider", "aider"},
		{Process{Name: "bun", Args: []string{"bun", "run", "/x/opencode.ts"}}, "opencode", "opencode"},
		{Process{Name: "deno", Args: []string{"deno", "run", "-A", "/x/crush.ts"}}, "crush", "crush"},
		{Process{Name: "sh", Args: []string{"/bin/sh", "-e", "/usr/local/bin/goose"}}, "goose", "goose"},
		{Process{Name: "node", Args: []string{"amp --no-color thread"}}, "amp", "amp"},
		{Process{Name: "auggie"}, "augment", "auggie"},
		{Process{Exe: `C:\Users\a\AppData\Local\AnthropicClaude\app\claude.exe`}, "claude-desktop", "anthropicclaude"},
		{Process{Name: "node.exe", Args: []string{`C:\Program Files\nodejs\node.exe`, `C:\x\node_modules\@github\copilot\index.js`}}, "copilot", "node_modules/@github/copilot"},
	} {
		want(t, source().under(sh, c.p, Process{Name: "init"}), agent(c.name, ByAncestor, c.detail))
		want(t, source("KEYTURN_SERVICE=ci").under(c.p), agent(c.name, ByAncestor, c.detail))
	}
}

// Editors, people's shells and commands that only mention an agent.
func TestAncestorsOfPeople(t *testing.T) {
	for _, p := range []Process{
		{Name: "code", Args: []string{"/usr/share/code/code", "--type=ptyHost"}}, {Name: "Cursor"}, {Name: "windsurf"},
		{Name: "zed"}, {Name: "idea"}, {Name: "kiro"}, {Name: "antigravity"}, {Name: "kiro-cli-term"},
		{Name: "-zsh", Args: []string{"-zsh"}}, {Name: "bash", Args: []string{"bash", "-lc", "claude"}},
		{Name: "sh", Args: []string{"sh", "-c", "codex"}}, {Name: "bash", Args: []string{"bash", "--init-file", "/x/shellIntegration-bash.sh"}},
		{Name: "node", Args: []string{"node", "-e", "claude"}}, {Name: "python3", Args: []string{"python3", "-c", "aider"}},
		{Name: "node", Args: []string{"node", "/home/a/src/claude/server.js", "claude"}}, {Name: "vim", Args: []string{"vim", "claude"}},
		{Name: "tmux: server"}, {Name: "claudette"}, {Name: "node"}, {Name: "node", Args: []string{"node", "-r"}},
		{Name: "python", Args: []string{"python", "-m"}}, {Name: "node", Args: []string{"node", "--"}}, {Name: "bash", Args: []string{"", "", ""}}, {},
	} {
		want(t, source().under(p), anna)
	}
}

func TestNearestAncestorNames(t *testing.T) {
	codex, claude := Process{Name: "codex"}, Process{Name: "claude"}
	want(t, source().under(codex, claude), agent("codex", ByAncestor, "codex"))
	// One that both show keeps its mark in the environment.
	want(t, source("CLAUDECODE=1").under(claude), agent("claude-code", ByEnvironment, "CLAUDECODE"))
	// An agent that another one started, and one that takes another's name.
	want(t, source("CLAUDECODE=1").under(codex, claude), also(agent("codex", ByAncestor, "codex, and CLAUDECODE"), "agent:claude-code"))
	want(t, source("AI_AGENT=coder").under(claude), also(agent("claude-code", ByAncestor, "claude, and AI_AGENT"), "agent:coder"))
	far := make([]Process, maxAncestors)
	want(t, source().under(append(far, claude)...), anna)
}

func TestUnreadableAncestors(t *testing.T) {
	fail := func(list ...Process) func() ([]Process, error) {
		return func() ([]Process, error) { return list, errors.New("no /proc: " + canary) }
	}
	s := source("GEMINI_CLI=1")
	s.Ancestors = fail()
	want(t, s, agent("gemini-cli", ByEnvironment, "GEMINI_CLI"))
	s = source()
	s.Ancestors = fail(Process{Name: "claude"})
	want(t, s, agent("claude-code", ByAncestor, "claude"))
	s.Ancestors = fail(Process{Name: "bash"})
	want(t, s, keyturn.Actor{Kind: keyturn.Person, Name: "anna", Proof: ByUser, Detail: Blind})
	s.Environ = []string{"KEYTURN_SERVICE=ci"}
	want(t, s, keyturn.Actor{Kind: keyturn.ServiceKind, Name: "ci", For: "anna", Proof: ByDeclaration, Detail: Blind})
}

func TestService(t *testing.T) {
	for in, w := range map[string]string{
		"ci": "ci", "a": "a", "0": "0", "a.b_c-9": "a.b_c-9", strings.Repeat("a", 64): strings.Repeat("a", 64),
		"": Unknown, "CI": Unknown, ".a": Unknown, "-a": Unknown, "a b": Unknown, "a/b": Unknown, "é": Unknown,
		strings.Repeat("a", 65): Unknown, "ci\n": Unknown, canary: Unknown,
	} {
		want(t, source("KEYTURN_SERVICE="+in), keyturn.Actor{Kind: keyturn.ServiceKind, Name: w, For: "anna",
			Proof: ByDeclaration, Detail: ServiceVariable})
	}
	want(t, source("KEYTURN_SERVICE=a", "KEYTURN_SERVICE=b"), keyturn.Actor{Kind: keyturn.ServiceKind, Name: Unknown,
		For: "anna", Proof: ByDeclaration, Detail: ServiceVariable})
}

// The value of a mark is nowhere in the actor, but for the name an agent gives
// itself.
func TestNoValueOfAMark(t *testing.T) {
	for _, m := range Marks() {
		if m.Agent == "" || m.Value != "" {
			continue
		}
		if g := fmt.Sprintf("%+v", source(m.Variable+"="+canary).Actor()); strings.Contains(g, canary) {
			t.Errorf("%s: %s", m.Variable, g)
		}
	}
	p := Process{Name: "node", Exe: "/usr/bin/node", Args: []string{"node", "/x/" + canary + "/claude", canary}}
	if g := fmt.Sprintf("%+v", source().under(p).Actor()); strings.Contains(g, canary) {
		t.Errorf("%s", g)
	}
}

func TestUserNames(t *testing.T) {
	s := source()
	s.UserName = func() string { return "" }
	if g := s.Actor(); g.Name != Unknown || g.Kind != keyturn.Person {
		t.Errorf("%+v", g)
	}
	s.UserName = func() string { return "an\x1bna" }
	if g := s.Actor(); g.Name != "an\uFFFDna" {
		t.Errorf("%+v", g)
	}
}

// The user is never taken from the environment.
func TestRealUser(t *testing.T) {
	before := userName()
	for _, v := range []string{"USER", "LOGNAME", "USERNAME", "HOME", "SUDO_USER"} {
		t.Setenv(v, canary)
	}
	if g := userName(); g != before || g == "" {
		t.Errorf("userName() = %q, before %q", g, before)
	}
}

func TestSession(t *testing.T) {
	s := source()
	s.Session = ""
	one, two := s.Actor().Session, s.Actor().Session
	if one != two || len(one) != len("process-")+32 {
		t.Errorf("%q, %q", one, two)
	}
}

func TestProcArgs(t *testing.T) {
	raw := "\x02\x00\x00\x00/usr/bin/node\x00\x00\x00\x00node\x00/x/claude\x00SECRET=" + canary + "\x00"
	exe, args := parseProcArgs([]byte(raw))
	if exe != "/usr/bin/node" || strings.Join(args, ",") != "node,/x/claude" {
		t.Errorf("%q %q", exe, args)
	}
	for i := range raw {
		_, args := parseProcArgs([]byte(raw[:i]))
		if len(args) > 2 {
			t.Errorf("%d: %q", i, args)
		}
	}
	if _, args := parseProcArgs([]byte("\xff\xff\xff\xff/a\x00b\x00")); args != nil {
		t.Errorf("%q", args)
	}
}

func FuzzPrograms(f *testing.F) {
	f.Add("node", "/usr/bin/node", "node\x00-r\x00x\x00/usr/bin/claude")
	f.Add("", "", "")
	f.Add("bash", "", "bash\x00-c\x00claude")
	f.Add("python3", "", "python3\x00-m\x00aider")
	known := map[string]bool{}
	for _, a := range programs {
		known[a] = true
	}
	for _, p := range packages {
		known[p.agent] = true
	}
	f.Fuzz(func(t *testing.T, name, exe, args string) {
		p := Process{Name: name, Exe: exe, Args: strings.Split(args, "\x00")}
		if a, ok := p.agent(); ok && !known[a.agent] {
			t.Errorf("%q is not of the table", a.agent)
		}
		if n := agentName(args); len(n) > 64 || n == "" || strings.Trim(n, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			t.Errorf("agentName: %q", n)
		}
	})
}
