package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// sealStatus is what sys/seal-status and sys/unseal answer.
type sealStatus struct {
	Initialized bool   `json:"initialized"`
	Sealed      bool   `json:"sealed"`
	T           int    `json:"t"`
	N           int    `json:"n"`
	Progress    int    `json:"progress"`
	Type        string `json:"type"`
	Version     string `json:"version"`
	Storage     string `json:"storage_type"`
	Cluster     string `json:"cluster_name"`
}

func sealActions() []action {
	return []action{
		{keyturn.Action{
			Name: "status", Operation: "get-seal-status", Short: "Show whether the server is sealed, and how far unsealing is", Reads: true,
			Columns: []string{"sealed", "shares_given", "threshold", "shares", "initialized", "version", "storage", "seal", "cluster"},
			Long:    "Show whether the server is sealed, how many key shares unseal it, of how many there\nare, and how many were given. It needs no token.",
			Example: "  keyturn vault status",
		}, statusOf},
		{keyturn.Action{
			Name: "unseal", Operation: "unseal-server", Short: "Unseal the server with key shares",
			Long: `Unseal the server. Key shares are asked for without echo, one after the other, until
the server is unsealed or you end it with Ctrl-C: shares that were given stay, and
another person can give the next one. It needs no token.

--share takes a share from a secret of keyturn's. --reset throws away the shares that
were given.`,
			Example: "  keyturn vault unseal\n  keyturn vault unseal --share local/unseal#one\n  keyturn vault unseal --reset",
			Inputs: []keyturn.Input{
				{Name: "share", Kind: keyturn.InputSecret, Short: "a key share"},
				{Name: "reset", Kind: keyturn.InputYes, Short: "throw away the shares that were given"},
			},
			Columns: []string{"sealed", "shares_given", "threshold", "shares"},
		}, unseal},
		{keyturn.Action{
			Name: "seal", Operation: "seal-server", Short: "Seal the server: nothing can be read until it is unsealed",
			Long: `Seal the server: it forgets its key, and nobody can read or write anything until enough
key shares unseal it. It asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault seal --yes",
			Asks:    "Seal the server? Nobody can use it until enough key shares are given",
		}, seal},
	}
}

func (s *server) sealStatus(ctx context.Context) (sealStatus, error) {
	var st sealStatus
	err := s.client.Ask(ctx, api.Request{Method: http.MethodGet, Path: "sys/seal-status", Anonymous: true}, &st)
	return st, err
}

func (st sealStatus) item() map[string]any {
	return map[string]any{"sealed": st.Sealed, "shares_given": st.Progress, "threshold": st.T, "shares": st.N}
}

func (st sealStatus) says() string {
	switch {
	case !st.Initialized:
		return "the server is not initialized"
	case st.Sealed:
		return "the server is sealed: " + progress(st)
	}
	return "the server is unsealed"
}

func progress(st sealStatus) string {
	return strconv.Itoa(st.Progress) + " of " + strconv.Itoa(st.T) + " key shares were given (of " + strconv.Itoa(st.N) + ")"
}

func statusOf(ctx context.Context, s *server, _ platform.Act) (platform.Acted, error) {
	st, err := s.sealStatus(ctx)
	if err != nil {
		return platform.Acted{}, err
	}
	item := st.item()
	item["initialized"], item["version"], item["storage"], item["seal"] = st.Initialized, st.Version, st.Storage, st.Type
	if st.Cluster != "" {
		item["cluster"] = st.Cluster
	}
	return platform.Acted{Told: keyturn.Told{Says: st.says(), Items: []map[string]any{item}, Single: true}}, nil
}

func unseal(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	st, err := s.sealStatus(ctx)
	if err != nil {
		return platform.Acted{}, err
	}
	body := map[string]any{}
	switch {
	case !st.Initialized:
		return platform.Acted{}, keyturn.E(keyturn.Sealed, "this server is not initialized: there are no key shares yet", "an operator does it once: vault operator init")
	case !st.Sealed:
		return platform.Acted{Told: keyturn.Told{Says: "the server is unsealed already", Items: []map[string]any{st.item()}, Single: true}}, nil
	case a.Args.Has("reset"):
		body["reset"] = true
	default:
		share, err := a.Secret(ctx, "share", "Key share "+strconv.Itoa(st.Progress+1)+" of "+strconv.Itoa(st.T))
		if err != nil {
			return platform.Acted{}, err
		}
		body["key"] = strings.TrimSpace(string(share.Reveal()))
	}
	var now sealStatus
	err = s.client.Ask(ctx, api.Request{Method: http.MethodPut, Path: "sys/unseal", Body: body, Anonymous: true}, &now)
	switch {
	case is(err, keyturn.Invalid) && st.Progress+1 >= st.T:
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "these key shares do not unseal the server, and the server has thrown them all away",
			"one of them was wrong, or was given twice: begin anew with 'keyturn vault unseal'").Because(err)
	case is(err, keyturn.Invalid):
		return platform.Acted{}, keyturn.E(keyturn.Invalid, "this is no key share of a server", "a share is text in base64 or hexadecimal, as 'vault operator init' printed it; "+progress(st)).Because(err)
	case err != nil:
		return platform.Acted{}, err
	}
	out := platform.Acted{Told: keyturn.Told{Says: now.says(), Items: []map[string]any{now.item()}, Single: true, More: now.Sealed && !a.Args.Has("reset")}}
	if now.Sealed && now.Progress == st.Progress && out.More {
		out.Notices = []string{"this share was given before: it does not count twice"}
	}
	return out, nil
}

func seal(ctx context.Context, s *server, _ platform.Act) (platform.Acted, error) {
	if err := s.call(ctx, http.MethodPut, "sys/seal", nil, nil); err != nil {
		return platform.Acted{}, sudo(err, "sys/seal", `"update"`)
	}
	st, err := s.sealStatus(ctx)
	if err != nil {
		return platform.Acted{Told: keyturn.Told{Says: "sealed the server"}}, nil
	}
	return platform.Acted{Told: keyturn.Told{Says: "sealed the server; " + strconv.Itoa(st.T) + " of " + strconv.Itoa(st.N) + " key shares unseal it"}}, nil
}
