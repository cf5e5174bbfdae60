package admin

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/lease"
)

func leaseActions() []action {
	at := keyturn.Input{Name: "path", Kind: keyturn.InputText, Short: "of an engine or a role's credentials", Place: true, Required: true}
	return []action{
		{Action: keyturn.Action{
			Name: "lease list", Operation: "list-server-leases", Short: "List the leases of an engine, whoever took them", Reads: true,
			Columns: []string{"id", "issued", "expires", "renewable"},
			Long: `List the leases that the server holds of an engine, or of one role of it, whoever took
them; those of a login method are its tokens' ('auth/userpass'). Those that keyturn
took are in 'keyturn lease list'.`,
			Example: "  keyturn vault lease list database\n  keyturn vault lease list database/creds/myapp",
			Inputs:  []keyturn.Input{at},
		}, Do: listLeases},
		{Action: keyturn.Action{
			Name: "lease revoke", Operation: "revoke-server-lease", Short: "End a lease, whoever took it",
			Long:    "End a lease: what it gave works no more when the command is done. One that keyturn took\nis ended by 'keyturn lease revoke'.",
			Example: "  keyturn vault lease revoke database/creds/myapp/2f6a614c-4aa2-7b19-24b9-ad944a8d4de6",
			Inputs:  []keyturn.Input{{Name: "id", Kind: keyturn.InputText, Short: "of the lease", Place: true, Required: true}},
		}, Do: revokeLease},
		{Action: keyturn.Action{
			Name: "lease revoke-all", Operation: "revoke-server-leases", Short: "End all leases of an engine or a role",
			Long: `End all leases of an engine, or of one role of it: whatever it gave works no more. It
asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault lease revoke-all database/creds/myapp --yes",
			Asks:    "End all leases of {path}? Whatever runs with them fails",
			Inputs:  []keyturn.Input{at},
		}, Do: revokeLeases},
	}
}

func leasePath(a platform.Act) (string, error) {
	at := trimSlashes(a.Args.Text("path"))
	return at, checkPath("leases", at)
}

func listLeases(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, err := leasePath(a)
	if err != nil {
		return platform.Acted{}, err
	}
	held, cut, err := lease.List(ctx, s.client, at)
	if err != nil {
		return platform.Acted{}, needsSudo(err, "sys/leases/lookup/"+at+"/", `"list"`)
	}
	var out platform.Acted
	for _, h := range held {
		item := map[string]any{"id": h.ID, "issued": h.Issued.UTC().Format(time.RFC3339), "renewable": h.Renewable, "expires": "never"}
		if !h.Expires.IsZero() {
			item["expires"] = h.Expires.UTC().Format(time.RFC3339)
		}
		out.Items = append(out.Items, item)
	}
	if cut {
		out.Notices = append(out.Notices, "there are more: name one role's path, as in "+keyturn.Clean(at)+"/creds/ROLE; these are "+strconv.Itoa(len(held)))
	}
	return out, nil
}

func revokeLease(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	id := a.Args.Text("id")
	if err := checkPath("a lease", id); err != nil || !strings.Contains(id, "/") {
		return platform.Acted{}, keyturn.E(keyturn.Invalid, quoted(id)+" is no id of a lease", "'keyturn vault lease list PATH' tells them")
	}
	h, err := lease.Look(ctx, s.client, id) // the server ends any, and says that it went well
	if err != nil {
		return platform.Acted{}, err
	}
	if err := lease.Revoke(ctx, s.client, keyturn.Ref{}, h.ID); err != nil {
		return platform.Acted{}, err
	}
	return platform.Acted{Told: keyturn.Told{Says: "ended the lease " + keyturn.Clean(id)}}, nil
}

func revokeLeases(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	at, err := leasePath(a)
	if err != nil {
		return platform.Acted{}, err
	}
	held, cut, err := lease.List(ctx, s.client, at)
	if err == nil && len(held) == 0 {
		return platform.Acted{}, keyturn.E(keyturn.NotFound, "the server holds no leases of "+keyturn.Clean(at), "name an engine or a role's path: keyturn vault engines")
	}
	if err != nil {
		return platform.Acted{}, needsSudo(err, "sys/leases/lookup/"+at+"/", `"list"`)
	}
	if err := lease.RevokeAll(ctx, s.client, at); err != nil {
		return platform.Acted{}, needsSudo(err, "sys/leases/revoke-prefix/"+at, `"update"`)
	}
	n := strconv.Itoa(len(held))
	if cut {
		n = "more than " + n
	}
	return platform.Acted{Told: keyturn.Told{Says: "ended all leases of " + keyturn.Clean(at) + " (" + n + ")"}}, nil
}
