// Package platform defines what keyturn needs from a place that keeps secrets, and has
// Mount, the only caller of platforms.
//
//	platform.go   Platform: two required methods, and one-method interfaces for
//	              what only some platforms can do
//	spec.go       Spec: limits and habits of a platform, proven by platformtest
//	driver.go     Driver: how a mount is made of its settings, for package app
//	mount.go      Mount: a configured platform; the only place that finds out which
//	              interfaces a platform has
//	read.go       Mount's Get, GetMany, Describe, Versions, List, Status
//	put.go        Mount's Put and Rollback
//	remove.go     Mount's Delete, Restore, Destroy
//	login.go      logging in and out
//	lease.go      credentials that are made for one request
//	action.go     actions that only one platform has; input.go checks their inputs
//	label.go      labels
//	lifecycle.go  which versions can be deleted and restored
//	retry.go      which calls are retried
//
// A platform stays thin: it speaks its server's protocol and maps its errors. Mount
// does what all platforms share. Nothing wraps a Platform in another Platform.
package platform

import (
	"context"
	"iter"
	"time"

	"github.com/keyturn/keyturn"
)

// Platform keeps secrets. It is safe for concurrent use. Mount is its only
// caller: it has checked that names, fields and sizes are within Spec, and that
// a reference is of this platform's mount.
//
// Of all methods, of the optional interfaces too:
//
//   - An error is a *keyturn.Error, or the context's own error. Its code is
//     NotFound for what does not exist, Invalid for a version that this platform
//     can never have, Denied, Unavailable and so on as in keyturn.Code. No text
//     in it holds a value, a request's body or a URL with credentials. NotFound of
//     a secret has no hint: the nearest names that the caller may see go there.
//   - A cancelled context ends the call with an error. Where a change was sent
//     and its outcome is not known, the error's Unknown is set.
//   - Info.Ref is the secret's reference with the mount's name, without version
//     and field; Info.State is never empty.
//   - Maps and slices belong to whoever receives them.
type Platform interface {
	// Get reads one version whole: the one that ref pins, or the current one. The
	// field of ref is ignored. NotFound where there is no such secret or version,
	// and where it is deleted or destroyed; without a version, where the newest
	// one is not live, though older ones are.
	Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error)

	// List yields each secret whose name is prefix or lies below it by whole
	// segments (keyturn.Under), once, in any order, as it stands newest. It never
	// reads a value. A secret whose newest version is deleted is listed, with that
	// state, as long as it can be restored. A folder below prefix that may not be
	// listed is an Info with a zero Ref and for a Path the prefix that lists it, as
	// people type it ("vault/secret/team/"), beside the error, and the rest is yielded
	// still; any other error ends the sequence. A secret whose name no reference can
	// hold is yielded with a zero Ref and its Path.
	List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error]
}

// Look is how much of a listing is wanted.
type Look struct {
	// Shallow stops at the next segment below the prefix. What lies deeper is yielded
	// once for each folder, as an Info with a zero Ref and for a Path the prefix that
	// lists it, as people type it. A part of the platform that can keep secrets, and
	// keeps none, is a folder too.
	Shallow bool
	// Names leaves out of each Info what takes a further request, the State too.
	Names bool
}

// Lister lists less than List, with fewer requests.
type Lister interface {
	// ListSome is List of what look asks for, and no more.
	ListSome(ctx context.Context, prefix string, look Look) iter.Seq2[keyturn.Info, error]
}

// Describer tells what is known of a secret without its values.
type Describer interface {
	// Describe returns the version that ref pins, else the newest one whatever
	// its state: a deleted one is an Info with that state and no error. NotFound
	// where there is nothing of that name, or no such version.
	Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error)
}

// New is a whole new version of a secret.
type New struct {
	Values map[string]keyturn.Value // by field; at least one
	// IfVersion is what must be newest for the put to happen, deleted or not:
	// keyturn.None for no such secret, "" for anything. Never set where Spec has
	// no CompareAndSet.
	IfVersion string
	// Demanded tells that the caller named IfVersion, and that it does not only
	// guard what Mount has read: a part of the platform that cannot hold it refuses
	// with Unsupported.
	Demanded bool
	// Labels are all labels of the version. Where labels belong to the secret
	// (LabelLimits.OfSecret) these are set, those of Unlabel are removed, and others
	// stay as they are.
	Labels  map[string]string
	Unlabel []string
	Public  []string // fields that are not secret; sorted, all of them in Values
	// Given is Info.Given of the version, for a platform that keeps it.
	Given   map[string]bool
	Typed   []string // fields that are JSON texts and not strings; sorted, all of them in Values
	Expires time.Time
}

// Putter makes new versions.
type Putter interface {
	// Put makes n the newest version, and replaces what was there whole: fields
	// that n does not have are gone, and labels as New says. It is durable when Put
	// returns.
	// Conflict where IfVersion does not hold, and then nothing has changed: of
	// several racing puts with the same IfVersion exactly one succeeds.
	Put(ctx context.Context, ref keyturn.Ref, n New) (keyturn.Info, error)
}

// Labeler changes labels that belong to the secret (LabelLimits.OfSecret).
type Labeler interface {
	// Label sets some labels and removes others, as New says, without a new version.
	// What it is to remove and is not there is no error. NotFound where there is no
	// such secret.
	Label(ctx context.Context, ref keyturn.Ref, set map[string]string, remove []string) error
}

// Adviser knows names that are most likely not meant.
type Adviser interface {
	// Advise says of a secret that is not there what may be wrong with its name, for
	// whoever makes it all the same; "" for nothing.
	Advise(ctx context.Context, ref keyturn.Ref) string
}

// Deleter deletes so that it can be undone.
type Deleter interface {
	// Delete deletes the newest version, or the secret, as is usual on the
	// platform. The Info has no version where the caller may delete and not see which
	// one, if any, that was. The time is until when it can be undone; zero is for ever.
	// Conflict where it is deleted already.
	Delete(ctx context.Context, ref keyturn.Ref) (keyturn.Info, time.Time, error)
}

// Restorer undoes a delete.
type Restorer interface {
	// Restore makes what was deleted readable again: the newest version, or the
	// one that ref pins where Spec has RestoreVersion. Conflict where it is live,
	// NotFound where it is destroyed.
	Restore(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error)
}

// Destroyer deletes for ever.
type Destroyer interface {
	// Destroy destroys the named versions, live or deleted, or with none named the
	// secret with all that is known of it. NotFound where one of them does not
	// exist or is destroyed already; then none is destroyed.
	Destroy(ctx context.Context, ref keyturn.Ref, versions []string) error
}

// Pather tells the platform's own path or id of a secret, whether it is there or not.
type Pather interface {
	Path(ctx context.Context, ref keyturn.Ref) (string, error)
}

// Historian knows older versions.
type Historian interface {
	// Versions returns all versions that are known, newest first, deleted and
	// destroyed ones too. NotFound where there is nothing of that name.
	Versions(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error)
}

// Statuser answers a probe.
type Statuser interface {
	// Status tells how the platform is. It does not fail: what is wrong is in the
	// answer.
	Status(ctx context.Context) keyturn.Health
}
