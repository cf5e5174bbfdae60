package whois

import (
	"slices"
	"strings"
)

// Mark is one variable that a coding agent sets for the commands it runs.
//
// A mark counts when the variable has any value but the empty one: 0, false and a
// blank count too, or an agent could make itself a person by them. Where people set
// the same variable to other values, one value counts. Variables that people set to
// configure an agent (API keys, model names, config folders), and those that an editor
// also sets in the terminals of people, are no marks: [Marks] lists them.
type Mark struct {
	Agent    string // the agent's name in rules; "" where the value names it
	Variable string
	Value    string // the only value that counts; "" for any but the empty one
	Part     bool   // Value may be a part of the variable's value
	Source   string // where the fact is from
}

// Marks lists the marks in the order in which they are tried: a more specific
// product before the one it was made from, and variables that name any agent
// last. Each names its source; agents change, so the list is checked against
// these when it is touched.
//
// Left out on purpose: CURSOR_TRACE_ID, TERM_PROGRAM=kiro, REPL_ID,
// WINDSURF_CASCADE_TERMINAL_KIND, KILO_PID and CODEIUM_EDITOR_APP_ROOT (also in
// terminals of people); COPILOT_MODEL, COPILOT_ALLOW_ALL, COPILOT_GITHUB_TOKEN,
// OPENCODE_CLIENT, CODEX_HOME, AIDER_* and GOOSE_PROVIDER (settings of people).
// Aider sets no variable of its own and is found among the ancestors.
func Marks() []Mark { return slices.Clone(marks) }

var marks = []Mark{
	{Agent: "claude-cowork", Variable: "CLAUDE_CODE_IS_COWORK",
		Source: "huggingface.co/api/agent-harnesses; vercel/vercel packages/detect-agent"},
	{Agent: "claude-code", Variable: "CLAUDECODE",
		Source: "code.claude.com/docs/en/env-vars; anthropics/claude-code#531"},
	{Agent: "claude-code", Variable: "CLAUDE_CODE_CHILD_SESSION",
		Source: "code.claude.com/docs/en/env-vars (tool, hook and status line commands)"},
	{Agent: "claude-code", Variable: "CLAUDE_CODE_ENTRYPOINT",
		Source: "anthropics/claude-code#24838 (beside CLAUDECODE)"},
	{Agent: "claude-code", Variable: "CLAUDE_CODE",
		Source: "vercel/vercel packages/detect-agent; microsoft/vscode#316267"},
	{Agent: "codex", Variable: "CODEX_THREAD_ID",
		Source: "openai/codex codex-rs/protocol/src/shell_environment.rs; openai/codex#36883"},
	{Agent: "codex", Variable: "CODEX_SANDBOX",
		Source: "openai/codex codex-rs/core/src/spawn.rs"},
	{Agent: "codex", Variable: "CODEX_SANDBOX_NETWORK_DISABLED",
		Source: "openai/codex codex-rs/core/src/spawn.rs"},
	{Agent: "codex", Variable: "CODEX_CI",
		Source: "aws/aws-cdk-cli#1855; expo/agent-cli-detector src/agents.ts"},
	{Agent: "codex", Variable: "CODEX_SHELL",
		Source: "gitbutlerapp/gitbutler#13743; expo/agent-cli-detector src/agents.ts"},
	{Agent: "gemini-cli", Variable: "GEMINI_CLI",
		Source: "google-gemini/gemini-cli shellExecutionService.ts and docs/tools/shell"},
	{Agent: "qwen-code", Variable: "QWEN_CODE",
		Source: "QwenLM/qwen-code shellExecutionService.ts"},
	{Agent: "cursor", Variable: "CURSOR_AGENT",
		Source: "cursor.com/docs/agent/tools/terminal"},
	{Agent: "cursor", Variable: "CURSOR_EXTENSION_HOST_ROLE", Value: "agent-exec",
		Source: "vercel/vercel#15879"},
	{Agent: "cursor", Variable: "PAGER", Value: "head -n 10000 | cat",
		Source: "ascorbic/am-i-vibing providers.ts (older Cursor)"},
	{Agent: "copilot", Variable: "COPILOT_CLI",
		Source: "github/copilot-cli changelog.md"},
	{Agent: "copilot", Variable: "COPILOT_AGENT",
		Source: "microsoft/vscode#316267 (terminals of the agent only)"},
	{Agent: "copilot", Variable: "COPILOT_AGENT_SESSION_ID",
		Source: "aws/aws-sam-cli#9127; expo/agent-cli-detector src/agents.ts"},
	{Agent: "copilot", Variable: "COPILOT_AGENT_JOB_ID",
		Source: "JFrog CLI, table agentEnvDetectors (cloud agent)"},
	{Agent: "copilot", Variable: "GITHUB_COPILOT_CLI_MODE",
		Source: "aws/aws-sam-cli#9127"},
	{Agent: "kilo-code", Variable: "KILO",
		Source: "expo/agent-cli-detector src/agents.ts; it also sets OPENCODE"},
	{Agent: "kilo-code", Variable: "KILO_RUN_ID",
		Source: "expo/agent-cli-detector src/agents.ts"},
	{Agent: "kilo-code", Variable: "KILOCODE_FEATURE", Value: "cli",
		Source: "JFrog CLI, table agentEnvDetectors"},
	{Agent: "opencode", Variable: "OPENCODE",
		Source: "anomalyco/opencode packages/opencode/src/index.ts"},
	{Agent: "opencode", Variable: "OPENCODE_SESSION_ID",
		Source: "JFrog CLI, table agentEnvDetectors (tool commands)"},
	{Agent: "goose", Variable: "GOOSE_TERMINAL",
		Source: "block/goose crates/goose-mcp developer/shell.rs; block/goose#7017"},
	{Agent: "amp", Variable: "AMP_CURRENT_THREAD_ID",
		Source: "JFrog CLI, table agentEnvDetectors"},
	{Agent: "cline", Variable: "CLINE_ACTIVE",
		Source: "cline/cline docs and discussions/5366"},
	{Agent: "roo-code", Variable: "ROO_ACTIVE",
		Source: "RooCodeInc/Roo-Code#11862, Terminal.getEnv"},
	{Agent: "roo-code", Variable: "ROO_CLI_RUNTIME",
		Source: "JFrog CLI, table agentEnvDetectors"},
	{Agent: "augment", Variable: "AUGMENT_AGENT",
		Source: "docs.augmentcode.com/cli/reference#shell-environment"},
	{Agent: "crush", Variable: "CRUSH",
		Source: "charmbracelet/crush internal/shell/shell.go (by way of aws/aws-cdk-cli#1855)"},
	{Agent: "antigravity", Variable: "ANTIGRAVITY_AGENT",
		Source: "vercel/vercel packages/detect-agent; expo/agent-cli-detector"},
	{Agent: "windsurf", Variable: "WINDSURF_CASCADE_TERMINAL",
		Source: "JFrog CLI, table agentEnvDetectors; seen in users' shell profiles"},
	{Agent: "trae", Variable: "TRAE_AI_SHELL_ID",
		Source: "agentsmd/agents.md#136; huggingface.co/api/agent-harnesses"},
	{Agent: "kiro", Variable: "KIRO_SESSION_ID",
		Source: "expo/agent-cli-detector src/agents.ts"},
	{Agent: "kiro", Variable: "KIRO_AGENT_PATH",
		Source: "vercel/vercel#16092 (commands of kiro-cli)"},
	{Agent: "amazon-q", Variable: "AWS_EXECUTION_ENV", Value: "AmazonQ-For-CLI", Part: true,
		Source: "aws/aws-cdk-cli detect-agent.ts; aws/aws-sam-cli#9127"},
	{Agent: "replit", Variable: "REPLIT_MODE", Value: "assistant",
		Source: "ascorbic/am-i-vibing providers.ts"},
	{Agent: "pi", Variable: "PI_CODING_AGENT",
		Source: "expo/agent-cli-detector src/agents.ts; huggingface.co/api/agent-harnesses"},
	{Agent: "openclaw", Variable: "OPENCLAW_SHELL",
		Source: "huggingface.co/api/agent-harnesses"},
	{Agent: "hermes", Variable: "HERMES_SESSION_ID",
		Source: "huggingface.co/api/agent-harnesses"},
	{Agent: "grok", Variable: "GROK_AGENT", Value: "1",
		Source: "expo/agent-cli-detector src/agents.ts (a path in people's settings)"},
	{Agent: "iflow", Variable: "IFLOW_CLI",
		Source: "JFrog CLI, table agentEnvDetectors"},
	{Variable: "AI_AGENT",
		Source: "vercel/vercel packages/detect-agent README; set by Claude Code since 2.1.120"},
	{Variable: "AGENT",
		Source: "agentsmd/agents.md#136; set by goose, amp, crush, opencode"},
}

// files tell an agent's own machine.
var files = []struct{ agent, path string }{
	{"devin", "/opt/.devin"}, // vercel/vercel packages/detect-agent
}

// marks returns all marks that the environment and the machine show, the one that
// is believed first.
func (s Source) marks(env []string) []found {
	var all []found
	for _, m := range marks {
		for _, v := range valuesOf(env, m.Variable) {
			if !m.counts(v) {
				continue
			}
			name := m.Agent
			if name == "" {
				name = agentName(v)
			}
			all = append(all, found{name, m.Variable})
		}
	}
	for _, f := range files {
		if s.exists(f.path) {
			all = append(all, found{f.agent, f.path})
		}
	}
	return all
}

// others names the agents of all marks that are not the one called name, as
// principals, sorted.
func others(all []found, name string) []string {
	var out []string
	for _, f := range all {
		if f.agent != name {
			out = append(out, "agent:"+f.agent)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (m Mark) counts(v string) bool {
	switch {
	case m.Part:
		return strings.Contains(v, m.Value)
	case m.Value != "":
		return v == m.Value
	}
	return v != ""
}

// aliases map what agents call themselves to the names of the table.
var aliases = map[string]string{
	"claude": "claude-code", "claude_code": "claude-code", "gemini": "gemini-cli",
	"qwen": "qwen-code", "cursor-cli": "cursor", "cursor-agent": "cursor",
	"github-copilot": "copilot", "copilot-cli": "copilot", "github_copilot_vscode_agent": "copilot",
	"roo": "roo-code", "kilo": "kilo-code", "kilocode": "kilo-code",
	"auggie": "augment", "augment-cli": "augment", "codex-cli": "codex",
}

// agentName makes a name of what AI_AGENT or AGENT hold: lower case, at most 64
// bytes of a-z, 0-9 and ._-, without the version that some append
// ("claude-code_2-1-263_agent", "devin@1"). A bare yes or no is Unknown.
func agentName(v string) string {
	v = strings.ToLower(strings.TrimSpace(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '@' || v[i] == '/' || v[i] == '_' && i+1 < len(v) && v[i+1] >= '0' && v[i+1] <= '9' {
			v = v[:i]
			break
		}
	}
	if len(v) > 64 {
		v = v[:64]
	}
	b := []byte(v)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			b[i] = '-'
		}
	}
	name := strings.Trim(string(b), "-._")
	if known, ok := aliases[name]; ok {
		return known
	}
	switch name {
	case "", "1", "true", "yes", "on", "0", "false", "no", "off":
		return Unknown
	}
	return name
}
