package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// loginCommand returns the command 'keyturn login'.
func loginCommand(c *command) *cobra.Command {
	var op keyturn.Login
	var from session.Login
	cmd := &cobra.Command{
		Use:   "login MOUNT [-]",
		Short: "Log in to a mount's platform",
		Long: `Log in to the platform of a mount. The token that comes of it is kept, encrypted,
in keyturn's own store, is sent to that server and namespace and nowhere else,
and is renewed while it is used. 'keyturn logout MOUNT' revokes it.

What is secret is never on the command line. It is asked for without echo, or
read from a pipe where - stands behind the mount, or taken from where it usually
is. The methods of Vault and OpenBao:

  token       a token that you have            VAULT_TOKEN
  oidc        your organisation's login page, in a browser on this machine
  userpass    --username and a password
  approle     --role-id and a secret id        VAULT_ROLE_ID, VAULT_SECRET_ID
  kubernetes  --role; the token of this pod's service account
  jwt         --role; the signed token of a job: that of GitHub Actions is
              fetched, that of GitLab CI is in the variable VAULT_ID_TOKEN

--wrapped takes a secret id in the token that it is wrapped in, as 'keyturn vault
approle secret-id ROLE --wrap 60s' makes it. It is opened here, once; one that was
opened before is a conflict, since somebody else then has the secret id.

Where the server asks for a second factor, its passcode is asked for at a terminal.

VAULT_TOKEN, where it is set, is used before a login that is kept, and
~/.vault-token where none was; both only for the server of VAULT_ADDR, and neither
for agents. The login before this one is revoked, unless somebody had brought its
token or leases were taken by it.`,
		Example: `  keyturn login vault --method oidc
  keyturn login vault --method userpass --username anna
  keyturn login vault --method approle --role-id "$ROLE_ID" - < secret-id
  keyturn login vault --method approle --role-id "$ROLE_ID" --wrapped - < token
  keyturn login vault --method jwt --role deploy`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if op.Mount, err = mountOf(args[0], "login"); err != nil {
				return err
			}
			c.Mount = op.Mount
			if len(args) == 2 {
				if args[1] != "-" { // it may be a secret by mistake, and is not repeated
					return keyturn.E(keyturn.Invalid, "what is secret has no place on the command line", "write - and pipe it in, or leave it out to be asked")
				}
				if op.Method == "oidc" {
					return keyturn.E(keyturn.Invalid, "the method oidc takes nothing from a pipe", "leave the - out")
				}
				from.Given = c.Piped
			}
			if op.Method == "approle" && op.RoleID == "" {
				op.RoleID = c.Env("VAULT_ROLE_ID")
			}
			c.With = func(h *session.How) { h.Login = from }
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return login(ctx, c, s, op) })
		},
	}
	f := cmd.Flags()
	f.StringVarP(&op.Method, "method", "m", "token", "how to log in: `METHOD`")
	f.StringVar(&op.Path, "path", "", "where the method is enabled, if not at its usual `PATH`")
	f.StringVar(&op.Role, "role", "", "log in as this `ROLE`")
	f.StringVar(&op.Username, "username", "", "log in as this user (`NAME`)")
	f.StringVar(&op.RoleID, "role-id", "", "the `ID` of an AppRole (VAULT_ROLE_ID)")
	f.BoolVar(&op.Wrapped, "wrapped", false, "the secret id is given as the token that it is wrapped in")
	f.StringVar(&from.Variable, "jwt-env", "", "the variable `NAME` that holds the signed token, if not VAULT_ID_TOKEN")
	f.StringVar(&from.Audience, "audience", "", "the `AUDIENCE` of a token that GitHub Actions signs")
	f.BoolVar(&from.NoBrowser, "no-browser", false, "show the login page's address and open nothing")
	_ = cmd.RegisterFlagCompletionFunc("method", cobra.FixedCompletions([]string{"token", "oidc", "userpass", "approle", "kubernetes", "jwt"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// mountOf reads a mount's name, "vault" or "vault/".
func mountOf(word, does string) (string, error) {
	p, err := keyturn.ParsePrefix(word)
	if err != nil {
		return "", err
	}
	if strings.TrimSuffix(strings.TrimPrefix(p.String(), keyturn.Scheme), "/") != p.Mount() {
		return "", keyturn.E(keyturn.Invalid, "a "+does+" is for a whole mount", "keyturn "+does+" "+p.Mount())
	}
	return p.Mount(), nil
}

func login(ctx context.Context, c *command, s *session.Session, op keyturn.Login) error {
	res, err := session.Ask[*keyturn.LoggedIn](ctx, s, op)
	if err != nil {
		return err
	}
	doc, err := answer.Of(op, res, answer.About{Verbose: c.Verbose()})
	if err != nil {
		return err
	}
	if c.JSON() {
		return c.PrintAnswer(doc)
	}
	until := "it does not end"
	if !res.Expires.IsZero() {
		until = "until " + describe.When(res.Expires)
		if res.Renewable {
			until += ", renewed while it is used"
		}
	}
	who := res.Identity
	if who == "" {
		who = "somebody whom the server does not name"
	}
	err = c.Line("logged in to %s as %s\npolicies: %s\n%s", keyturn.Clean(res.Target), who, strings.Join(res.Policies, ", "), until)
	for _, n := range doc.Notices {
		c.Say("note: %s", n)
	}
	return err
}
