package lease

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// Held is a lease that the server holds, whoever took it.
type Held struct {
	ID        string    `json:"id"`
	Issued    time.Time `json:"issue_time"`
	Expires   time.Time `json:"expire_time"` // zero: it has no end
	Renewable bool      `json:"renewable"`
}

const (
	lookup = "sys/leases/lookup"
	// mostHeld is of how many leases is told at most, and together how many are looked
	// up at a time.
	mostHeld, together = 1000, 16
)

// List looks up the leases below a path, "database/creds/app" or "database", sorted by
// their ids (https://developer.hashicorp.com/vault/api-docs/system/leases). It may be
// cut, then cut is true. A lease that ended meanwhile is left out.
func List(ctx context.Context, c *api.Client, under string) (out []Held, cut bool, err error) {
	ids, cut, err := below(ctx, c, strings.Trim(under, "/")+"/")
	if err != nil {
		return nil, false, err
	}
	slices.Sort(ids)
	all, errs := make([]Held, len(ids)), make([]error, len(ids))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(together, len(ids)) {
		wg.Go(func() {
			for i := range next {
				all[i], errs[i] = Look(ctx, c, ids[i])
			}
		})
	}
	for i := range ids {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, h := range all {
		switch {
		case errs[i] == nil:
			out = append(out, h)
		case !errors.Is(errs[i], keyturn.NotFound):
			return nil, false, errs[i]
		}
	}
	return out, cut, nil
}

// below lists ids of leases, level by level. It looks into as many folders as ids are
// told at most: a server chooses how many it answers.
func below(ctx context.Context, c *api.Client, folder string) (ids []string, cut bool, err error) {
	folders := []string{folder}
	for asked := 0; len(folders) > 0 && !cut; asked++ {
		if asked == mostHeld {
			return ids, true, nil
		}
		var answer struct {
			Keys []string `json:"keys"`
		}
		at := folders[0]
		folders = folders[1:]
		err := c.Do(ctx, keyturn.Ref{}, "LIST", lookup+"/"+at, "", nil, &answer)
		if err != nil && !errors.Is(err, keyturn.NotFound) {
			return nil, false, err
		}
		for _, k := range answer.Keys {
			if strings.HasSuffix(k, "/") {
				folders = append(folders, at+k)
			} else {
				ids = append(ids, at+k)
			}
		}
		if len(ids) > mostHeld {
			ids, cut = ids[:mostHeld], true
		}
	}
	return ids, cut, nil
}

// Look looks up one lease by its id; NotFound where the server holds none of it.
func Look(ctx context.Context, c *api.Client, id string) (Held, error) {
	var h Held
	err := c.Do(ctx, keyturn.Ref{}, http.MethodPut, lookup, "", map[string]string{"lease_id": id}, &h)
	if e := keyturn.AsError(err); e != nil && (e.Code == keyturn.Invalid || e.Code == keyturn.NotFound) {
		return h, keyturn.E(keyturn.NotFound, "the server holds no lease '"+keyturn.Clean(id)+"'", "").Because(err)
	} else if e != nil {
		told := *e
		told.Unknown = false // it only reads
		return h, &told
	}
	h.ID = id
	return h, nil
}

// RevokeAll ends all leases below a path.
func RevokeAll(ctx context.Context, c *api.Client, under string) error {
	return c.Do(ctx, keyturn.Ref{}, http.MethodPut, "sys/leases/revoke-prefix/"+strings.Trim(under, "/"), "", map[string]any{"sync": true}, nil)
}
