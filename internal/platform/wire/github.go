package wire

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/keyturn/keyturn"
)

const (
	maxSigned   = 64 << 10 // bytes of an answer with a signed token
	signedLimit = 15 * time.Second
)

// GitHubToken gets the signed token of the job that runs on GitHub Actions, for an
// audience, "" for GitHub's default. Address and token are those of
// ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN
// (https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token).
// Its errors repeat neither address nor token.
func GitHubToken(ctx context.Context, address string, token keyturn.Value, audience string) (keyturn.Value, error) {
	failed := func(cause error) (keyturn.Value, error) {
		return keyturn.Value{}, keyturn.E(keyturn.Unavailable, "GitHub Actions gave no signed token for this job",
			"the job needs permissions: id-token: write").Because(cause)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && Loopback(u.Hostname())) {
		return keyturn.Value{}, keyturn.E(keyturn.Invalid, "ACTIONS_ID_TOKEN_REQUEST_URL is not an address of GitHub Actions", "")
	}
	if audience != "" {
		q := u.Query()
		q.Set("audience", audience)
		u.RawQuery = q.Encode()
	}
	ctx, cancel := context.WithTimeout(ctx, signedLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return failed(nil)
	}
	req.Header.Set("Authorization", "bearer "+string(token.Reveal()))
	client := &http.Client{Transport: Transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return failed(Cause(err))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxSigned))
	var answer struct {
		Value string `json:"value"`
	}
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(raw, &answer) != nil || answer.Value == "" {
		return failed(nil)
	}
	return keyturn.NewValue([]byte(answer.Value)), nil
}
