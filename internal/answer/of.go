package answer

import (
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// About is what a document needs beside the operation and its result.
type About struct {
	Verbose bool               // include the causes of errors
	Store   session.StoreFacts // the local store, for an operation on it
	Action  keyturn.Action     // the action of a PlatformAction
}

// Of returns the document of an operation that was done. It ranges over the secrets or
// records of a listing, and keeps them all; an error that ends the listing is returned.
// Values that the result holds are left out.
//
// The door adds what it did itself, such as the files that it wrote.
func Of(op keyturn.Op, res keyturn.Result, about About) (Document, error) {
	doc := Document{Operation: op.Kind(), Status: "success", AuditID: res.Audit()}
	switch res := res.(type) {
	case *keyturn.Mounts:
		doc = Success(op.Kind(), res.Receipt)
		doc.Mounts = MountsOf(res.Mounts, about.Verbose)
	case *keyturn.Listing:
		return listing(op, res, about)
	case *keyturn.Described:
		doc = Success(op.Kind(), res.Receipt)
		doc.Secret = secretOf(res.Secret)
	case *keyturn.Revealed:
		// The value is shown by 'get --reveal', whose operation is get-secret.
		doc = Success(keyturn.GetSecret{}.Kind(), res.Receipt)
		doc.Secret = secretOf(res.Secret.Info)
	case *keyturn.Versions:
		doc = Success(op.Kind(), res.Receipt)
		list := []Secret{}
		for _, v := range res.Versions {
			d := SecretOf(v)
			d.Current = v.Current
			list = append(list, d)
		}
		doc.Secrets = &list
	case *keyturn.Changed:
		doc = changed(op, res, about)
	case *keyturn.Copied:
		doc = copied(op, res)
	case *keyturn.Differences:
		doc = compared(op, res)
	case *keyturn.Delivery:
		doc = Success(op.Kind(), res.Receipt)
		doc.Command = &Command{Missing: res.Missing}
		if refs := op.Refs(); len(refs) > 0 {
			doc.Secrets = Named(refs)
		}
		if len(res.Leases) > 0 {
			doc.Leases = LeasesOf(res.Leases)
		}
	case *keyturn.Ended:
		doc = Success(op.Kind(), res.Receipt)
	case *keyturn.Filling:
		doc = Success(op.Kind(), res.Receipt)
		doc.Secrets = Named(op.Refs())
	case *keyturn.Trusted:
		doc = Success(op.Kind(), res.Receipt)
		doc.Project = projectOf(op, res)
	case *keyturn.Requests:
		doc = Success(op.Kind(), res.Receipt)
		list := []Request{}
		for _, r := range res.Requests {
			list = append(list, requestOf(r))
		}
		doc.Requests = &list
	case *keyturn.Approved:
		doc = Success(op.Kind(), res.Receipt)
		request := requestOf(res.Request)
		doc.Request, doc.Rule = &request, res.Rule
	case *keyturn.Records:
		return records(op, res)
	case *keyturn.Verified:
		doc = Success(op.Kind(), res.Receipt)
		doc.Log = logOf(res)
	case *keyturn.Exported:
		doc = Success(op.Kind(), res.Receipt)
	case *keyturn.Checkpointed:
		doc = Success(op.Kind(), res.Receipt)
		doc.Made = checkpointOf(res.Checkpoint)
		doc.Made.Signed, doc.Made.Key = res.Signed, res.Key
	case *keyturn.Pruned:
		doc = Success(op.Kind(), res.Receipt)
		doc.Count = &res.Records
	case *keyturn.Performed:
		doc = performed(op, res, about.Action)
	case *keyturn.Leased:
		doc = leased(op, res)
	case *keyturn.Leases:
		doc = Success(op.Kind(), res.Receipt)
		doc.Leases = LeasesOf(res.Leases)
	case *keyturn.LoggedIn:
		doc = loggedIn(op, res)
	case *keyturn.LoggedOut:
		doc = loggedOut(op, res, about)
	case *keyturn.Migrated:
		doc = migrated(op, res)
	case *keyturn.MigrationFiles:
		doc = Success(op.Kind(), res.Receipt)
		doc.Migration = migrationOf(res.Migration)
	case *keyturn.Migrations:
		doc = Success(op.Kind(), res.Receipt)
		list := []Migration{}
		for _, m := range res.Migrations {
			list = append(list, MigrationOf(m))
		}
		doc.Migrations = &list
	case *keyturn.Rekeyed:
		doc = rekeyed(op, res, about.Store)
	case *keyturn.BackedUp:
		doc = backedUp(op, res, about.Store)
	case *keyturn.Adopted:
		doc = OfStore(op.Kind(), res.AuditID)
		doc.Store, doc.Target = StoreOf(about.Store), "local "+res.Path
	case *keyturn.Unlocked:
		doc = unlocked(op, res, about.Store)
	}
	return doc, nil
}

// Success begins the document of an operation that was done.
func Success(operation string, r keyturn.Receipt) Document {
	return Document{Operation: operation, Platform: r.Platform, Mount: r.Mount, Status: "success", AuditID: r.AuditID}
}

// Target says where a change was made: the platform, and its own word for the place.
func Target(r keyturn.Receipt, place string) string {
	if place == "" {
		return r.Platform
	}
	return r.Platform + " " + keyturn.Clean(place)
}

// MountsOf returns mounts; an empty list for none.
func MountsOf(mounts []keyturn.MountInfo, verbose bool) *[]Mount {
	list := []Mount{}
	for _, m := range mounts {
		list = append(list, MountOf(m, verbose))
	}
	return &list
}

// MountOf returns a mount and, where the mount was probed, its health.
func MountOf(m keyturn.MountInfo, verbose bool) Mount {
	d := Mount{Mount: m.Mount, Platform: m.Platform, Target: m.Target}
	if h := m.Health; h != nil {
		d.Reachable, d.Sealed, d.Identity, d.Detail = &h.Reachable, &h.Sealed, h.Identity, h.Detail
		d.Source = h.Source
		d.Server, d.Policies, d.Expires = h.Server, h.Policies, Stamp(h.Expires)
		if h.Identity != "" && m.Platform != "local" {
			d.Renewable = &h.Renewable
		}
		if !h.Expires.IsZero() {
			d.TTL = int64(time.Until(h.Expires) / time.Second)
		}
		if h.Ahead != nil {
			ahead := int64(*h.Ahead / time.Second)
			d.Ahead = &ahead
		}
		if h.TLS != nil {
			d.TLS = &TLS{Version: h.TLS.Version, Ends: Stamp(h.TLS.Ends)}
		}
		if h.Err != nil {
			e := ErrorOf(h.Err, verbose)
			d.Error = &e
		}
	}
	return d
}

// projectOf returns what a project's file asks for; nil where op is about no project.
func projectOf(op keyturn.Op, res *keyturn.Trusted) *Project {
	switch op := op.(type) {
	case keyturn.TrustProject:
		p := &Project{File: op.Path, Asks: bindingsOf(op.Pinned)}
		p.Asked = !res.Known && len(op.Pinned) > 0 || len(config.Diff(res.Before, op.Pinned)) > 0 || !slices.Equal(res.Steers, op.Steers) || !slices.Equal(res.Kept, op.Kept)
		if res.Known && p.Asked {
			p.Before = bindingsOf(res.Before)
		}
		return p
	case keyturn.ShowTrust:
		return &Project{File: op.Path, Asks: []Binding{}, Before: bindingsOf(res.Before)}
	}
	return nil
}

func bindingsOf(list []keyturn.Binding) []Binding {
	out := []Binding{}
	for _, b := range list {
		out = append(out, Binding{Name: b.Name, Ref: b.Ref.String(), Optional: b.Optional})
	}
	return out
}

// requestOf returns a request in full. Texts of the requester are cleaned.
func requestOf(r keyturn.Request) Request {
	d := Request{Approval: *ApprovalOf(&r.Approval), Caller: r.Actor, Operation: r.Op.Kind(), Summary: describe.Operation(r.Op), Refs: []string{},
		Created: Stamp(r.Created), Reason: keyturn.Clean(r.Reason), Opens: keyturn.Clean(r.Opens), Ends: keyturn.Clean(r.Ends), Needs: r.Needs, Given: r.Given}
	for _, ref := range r.Op.Refs() {
		d.Refs = append(d.Refs, ref.String())
	}
	if run, ok := r.Op.(keyturn.RunCommand); ok {
		d.Command = run.Command
	}
	return d
}

// loggedIn is the document of a login. Notices say where the token of the login before still
// works, and where another token is used in place of the new one.
func loggedIn(op keyturn.Op, res *keyturn.LoggedIn) Document {
	doc := Success(op.Kind(), res.Receipt)
	doc.Target = res.Target
	doc.Login = &Login{Identity: res.Identity, Policies: res.Policies, Expires: Stamp(res.Expires), Renewable: &res.Renewable}
	if login, ok := op.(keyturn.Login); ok {
		doc.Login.Method = login.Method
	}
	if res.Instead != "" {
		doc.Notices = append(doc.Notices, res.Instead+" is set and is used instead of this login: unset it")
	}
	if res.Left != nil {
		doc.Notices = append(doc.Notices, "the token of the login before this one was not revoked: "+keyturn.Clean(res.Left.Message))
	}
	return doc
}

// loggedOut is the document of a login that has ended. A token that the platform would not revoke
// makes the answer partial.
func loggedOut(op keyturn.Op, res *keyturn.LoggedOut, about About) Document {
	doc := Success(op.Kind(), res.Receipt)
	doc.Target = res.Target
	doc.Login = &Login{Identity: res.Identity, Revoked: &res.Revoked}
	if !res.Revoked {
		doc.Login.Expires = Stamp(res.Expires)
		if res.Err != nil {
			doc.Partly(about.Verbose, res.Err)
		}
	}
	if res.Instead != "" {
		doc.Notices = []string{"the mount now uses the token of " + res.Instead}
	}
	return doc
}
