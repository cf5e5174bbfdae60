package whois

import (
	"strings"
)

// maxAncestors bounds the walk towards the first process.
const maxAncestors = 64

// programs are the agents' programs by the base name of their file, without
// extension and in lower case. Editors (code, cursor, windsurf, zed, idea,
// kiro, antigravity) are not in it: their terminals are a person's. Neither are
// names that are too common (agent, q, pi), nor kiro-cli-term and qterm, which
// wrap the shells of people.
var programs = map[string]string{
	"claude": "claude-code", "claude-code": "claude-code",
	"codex": "codex", "codex-cli": "codex", "codex-exec": "codex",
	"gemini": "gemini-cli", "gemini-cli": "gemini-cli",
	"qwen": "qwen-code", "qwen-code": "qwen-code",
	"cursor-agent": "cursor",
	"aider":        "aider", "aider-chat": "aider",
	"opencode": "opencode",
	"goose":    "goose", "goosed": "goose",
	"amp":     "amp",
	"copilot": "copilot", "github-copilot-cli": "copilot",
	"crush":  "crush",
	"auggie": "augment",
	"cline":  "cline",
	"kilo":   "kilo-code", "kilocode": "kilo-code",
	"kiro-cli": "kiro", "kiro-cli-chat": "kiro",
	"qchat":     "amazon-q",
	"droid":     "droid",
	"iflow":     "iflow",
	"openhands": "openhands",
	"openclaw":  "openclaw",
	"plandex":   "plandex",
	"trae-cli":  "trae",
	"devin":     "devin",
}

// packages are agents by a part of the path of their program or script, in
// whole segments and lower case.
var packages = []struct{ path, agent string }{
	{"/claude.app/", "claude-desktop"},
	{"/anthropicclaude/", "claude-desktop"},
	{"/node_modules/@anthropic-ai/claude-code/", "claude-code"},
	{"/share/claude/versions/", "claude-code"},
	{"/node_modules/@openai/codex/", "codex"},
	{"/node_modules/@google/gemini-cli/", "gemini-cli"},
	{"/node_modules/@qwen-code/qwen-code/", "qwen-code"},
	{"/node_modules/@github/copilot/", "copilot"},
	{"/node_modules/@sourcegraph/amp/", "amp"},
	{"/node_modules/@augmentcode/auggie/", "augment"},
	{"/node_modules/@charmland/crush/", "crush"},
	{"/node_modules/@kilocode/cli/", "kilo-code"},
	{"/node_modules/@iflow-ai/iflow-cli/", "iflow"},
	{"/node_modules/@mariozechner/pi-coding-agent/", "pi"},
	{"/node_modules/opencode-ai/", "opencode"},
	{"/node_modules/cline/", "cline"},
	{"/cursor-agent/versions/", "cursor"},
	{"/site-packages/aider/", "aider"},
}

// interpreters run scripts; for each, options that take the next argument as
// their value.
var interpreters = map[string]string{
	"node":   " -r --require --import --loader --experimental-loader -C --conditions --env-file --title ",
	"bun":    " -r --preload --cwd -c --config --env-file ",
	"deno":   " -c --config --import-map --lock --cert --env-file ",
	"python": " -W -X --check-hash-based-pycs ",
	"ruby":   " -r -I ",
	"sh":     " -o +o ",
}

// sameAs names the interpreter whose command line another one shares.
var sameAs = map[string]string{
	"nodejs": "node", "pypy": "python", "bash": "sh", "dash": "sh", "zsh": "sh", "ash": "sh", "ksh": "sh",
}

// agentAmong returns the nearest ancestor that is an agent's program.
func agentAmong(list []Process) (found, bool) {
	if len(list) > maxAncestors {
		list = list[:maxAncestors]
	}
	for _, p := range list {
		if f, ok := p.agent(); ok {
			return f, true
		}
	}
	return found{}, false
}

// agent reports which agent's program p is. The mark is a name of the tables
// above, never a part of the command line.
func (p Process) agent() (found, bool) {
	names := []string{p.Exe, p.Name}
	if len(p.Args) > 0 {
		// Some programs write all of their command line into the first argument.
		first, _, _ := strings.Cut(p.Args[0], " ")
		names = append(names, p.Args[0], first)
	}
	for _, n := range names {
		if f, ok := agentAt(n); ok {
			return f, true
		}
	}
	for _, n := range names {
		if kind := interpreter(base(n)); kind != "" {
			if script := script(kind, p.Args); script != "" {
				return agentAt(script)
			}
		}
	}
	return found{}, false
}

// agentAt tells the agent whose program or script is at path.
func agentAt(path string) (found, bool) {
	if path == "" {
		return found{}, false
	}
	low := strings.ToLower(strings.ReplaceAll(path, `\`, "/"))
	for _, k := range packages {
		if strings.Contains(low, k.path) {
			return found{k.agent, strings.Trim(k.path, "/")}, true
		}
	}
	b := base(path)
	if a, ok := programs[b]; ok {
		return found{a, b}, true
	}
	return found{}, false
}

// base returns the last segment of a path in lower case, without the extension
// of a program or script and without the dash of a login shell.
func base(path string) string {
	path = strings.TrimSuffix(path, " (deleted)")
	if i := strings.LastIndexAny(path, `/\`); i >= 0 {
		path = path[i+1:]
	}
	path = strings.ToLower(strings.TrimPrefix(path, "-"))
	for _, ext := range []string{".exe", ".cmd", ".js", ".mjs", ".cjs", ".ts", ".py", ".pyz", ".sh"} {
		if s, ok := strings.CutSuffix(path, ext); ok && s != "" {
			return s
		}
	}
	return path
}

// interpreter returns the key of interpreters for a program's base name; ""
// where it is none. Versions are ignored: python3.12, node22.
func interpreter(name string) string {
	name = strings.TrimRight(name, "0123456789.")
	if same, ok := sameAs[name]; ok {
		name = same
	}
	if _, ok := interpreters[name]; ok {
		return name
	}
	return ""
}

// script returns what an interpreter runs: the path of a script, or the name of
// a module for python -m; "" for a command given as text, and for none.
func script(kind string, args []string) string {
	if len(args) < 2 {
		return ""
	}
	withValue := interpreters[kind]
	for i := 1; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "":
			continue
		case a == "--":
			if i+1 < len(args) {
				return args[i+1]
			}
			return ""
		case kind == "python" && a == "-m":
			if i+1 < len(args) {
				module, _, _ := strings.Cut(args[i+1], ".")
				return module
			}
			return ""
		case strings.Contains(withValue, " "+a+" "):
			i++
		case isCode(kind, a):
			return ""
		case a[0] == '-' || kind == "sh" && a[0] == '+':
		case (kind == "bun" || kind == "deno") && (a == "run" || a == "x"):
		default:
			return a
		}
	}
	return ""
}

// isCode reports whether an option says that the program is given as text.
func isCode(kind, opt string) bool {
	switch kind {
	case "node", "bun", "deno", "ruby":
		return opt == "-e" || opt == "--eval" || opt == "-p" || opt == "--print" || opt == "-pe" || opt == "eval"
	case "python":
		return opt == "-c"
	}
	// Shells join their letters: bash -lc TEXT.
	return len(opt) > 1 && opt[0] == '-' && opt[1] != '-' && strings.Contains(opt, "c")
}
