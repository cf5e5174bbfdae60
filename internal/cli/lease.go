package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// leaseCommand returns the command 'keyturn lease'.
func leaseCommand(c *command) *cobra.Command {
	group := &cobra.Command{
		Use:   "lease",
		Short: "Take, renew and revoke credentials that a platform makes anew",
		Long: `Take, renew and revoke credentials that a platform makes anew for each asking and
takes back: a database's user, for instance, by an engine of Vault. What it gives is
good for a time, its lease.

A program is given one by 'keyturn run', which renews it while the program runs and
revokes it after. What keyturn took and could not revoke, because it was killed or
the platform said no, is in 'keyturn lease list', and tried again.`,
		Example: `  keyturn run --env-from vault/database/creds/myapp,prefix=DB_ -- ./server
  keyturn lease list`,
	}
	group.AddCommand(leaseCreate(c), leaseRenew(c), leaseRevoke(c), leaseList(c))
	return group
}

func leaseCreate(c *command) *cobra.Command {
	reveal := false
	cmd := &cobra.Command{
		Use:   "create REF",
		Short: "Have a credential made, and tell how long it is good for",
		Long: `Have a credential made, and tell its lease and the names of its fields. It stays
until it is revoked or its time is over.

Its values go nowhere, which shows that the role works and leaves nothing but a
lease to revoke. With --reveal they are printed, this once: keyturn keeps none. A
program that needs one is better started with 'keyturn run'.`,
		Example: `  keyturn lease create vault/database/creds/myapp
  keyturn lease create vault/database/creds/myapp --reveal -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := keyturn.ParseRef(args[0])
			if err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				op := keyturn.TakeLease{Ref: ref, Show: reveal}
				res, err := session.Ask[*keyturn.Leased](ctx, s, op)
				if err != nil {
					return err
				}
				return tellTaken(c, op, res)
			})
		},
	}
	cmd.Flags().BoolVarP(&reveal, "reveal", "r", false, "print the values")
	allowPipe(cmd)
	return cmd
}

func tellTaken(c *command, op keyturn.TakeLease, res *keyturn.Leased) error {
	if c.JSON() {
		if res.Values != nil {
			return c.AnswerRevealed(op, res, res.Values)
		}
		return c.Answer(op, res)
	}
	if err := tellLease(c, res.Lease, res.Target); err != nil {
		return err
	}
	if res.Values == nil {
		return c.Line("\nend it: keyturn lease revoke %s", res.Lease.ID)
	}
	for _, f := range sortedKeys(res.Values) {
		if err := c.Write(append([]byte(keyturn.Clean(f)+": "), append(res.Values[f].Reveal(), '\n')...)); err != nil {
			return err
		}
	}
	return nil
}

// tellLease prints what is known of a lease, for people.
func tellLease(c *command, l keyturn.LeaseInfo, target string) error {
	rows := [][]string{{"lease", l.ID}, {"named", keyturn.Clean(l.Native)}, {"ends", ends(l)}}
	if target != "" {
		rows = append(rows, []string{"at", keyturn.Clean(target)})
	}
	if len(l.Fields) > 0 {
		var fields []string
		for _, f := range l.Fields {
			fields = append(fields, keyturn.Clean(f))
		}
		rows = append(rows, []string{"fields", strings.Join(fields, ", ")})
	}
	if err := c.Line("%s", c.Bold(keyturn.Clean(l.Ref.Short()))); err != nil {
		return err
	}
	return c.Table(nil, rows)
}

// ends is when a lease is over, for people.
func ends(l keyturn.LeaseInfo) string {
	switch {
	case l.State == keyturn.LeaseUnknown || l.State == keyturn.LeaseAsked:
		return "not known"
	case l.Seconds == 0:
		return "never by itself"
	case l.Renewable:
		return fmt.Sprintf("%s, in %s; it can be renewed", describe.When(l.Expires), l.Term())
	}
	return fmt.Sprintf("%s, in %s", describe.When(l.Expires), l.Term())
}

func leaseRenew(c *command) *cobra.Command {
	var term time.Duration
	cmd := &cobra.Command{
		Use:   "renew ID|REF",
		Short: "Ask for a longer time of a lease",
		Long: `Ask the platform for a longer time of a lease that keyturn took, from now on: as
long as before, or what --for says. The platform may give less. REF will do where
there is only one lease of it.`,
		Example: `  keyturn lease renew vault/database/creds/myapp
  keyturn lease renew 06axk4x1ycx3v3snr8g7yr1ch4 --for 2h`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if term != 0 && term < time.Second {
				return keyturn.E(keyturn.Invalid, "--for takes a time of at least a second", "say --for 1h")
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				l, err := find(ctx, c, s, args[0])
				if err != nil {
					return err
				}
				op := keyturn.RenewLease{Ref: l.Ref, ID: l.ID, Seconds: int64(term / time.Second)}
				res, err := session.Ask[*keyturn.Leased](ctx, s, op)
				if err != nil {
					return err
				}
				if c.JSON() {
					return c.Answer(op, res)
				}
				return tellLease(c, res.Lease, res.Target)
			})
		},
	}
	cmd.Flags().DurationVar(&term, "for", 0, "how long it should go on (`DUR`)")
	return cmd
}

func leaseRevoke(c *command) *cobra.Command {
	forget := false
	cmd := &cobra.Command{
		Use:   "revoke ID|REF",
		Short: "End a lease: what it gave works no more",
		Long: `End a lease that keyturn took: the platform takes the credential away. REF will do
where there is only one lease of it.

What the platform refuses stays in 'keyturn lease list', and is tried again. With
--forget it is dropped from the list, whatever became of it at the platform.`,
		Example: `  keyturn lease revoke vault/database/creds/myapp
  keyturn lease revoke 06axk4x1ycx3v3snr8g7yr1ch4 --forget`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				l, err := find(ctx, c, s, args[0])
				if err != nil {
					return foreign(c, s, args[0], err)
				}
				op := keyturn.RevokeLease{Ref: l.Ref, ID: l.ID, Forget: forget}
				res, err := session.Ask[*keyturn.Leased](ctx, s, op)
				if err != nil {
					return err
				}
				if c.JSON() {
					return c.Answer(op, res)
				}
				if forget {
					return c.Line("the lease %s of %s is forgotten here; it was not revoked", l.ID, keyturn.Clean(l.Ref.Short()))
				}
				return c.Line("revoked the lease %s of %s (%s)", l.ID, keyturn.Clean(l.Ref.Short()), keyturn.Clean(res.Target))
			})
		},
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "drop it from the list without the platform's word (people only)")
	return cmd
}

// find is the lease that a person means: by its id, by the platform's name of it, or
// by what it is of.
func find(ctx context.Context, c *command, s *session.Session, word string) (keyturn.LeaseInfo, error) {
	res, err := session.Ask[*keyturn.Leases](ctx, s, keyturn.ListLeases{})
	if err != nil {
		return keyturn.LeaseInfo{}, err
	}
	ref, refErr := keyturn.ParseRef(word)
	var of []keyturn.LeaseInfo
	for _, l := range res.Leases {
		if l.ID == word || l.Native != "" && (l.Native == word || l.Ref.Mount()+"/"+l.Native == word) {
			return l, nil
		}
		if refErr == nil && l.Ref == ref {
			of = append(of, l)
		}
	}
	switch {
	case len(of) == 1:
		return of[0], nil
	case len(of) > 1:
		var hint []string
		for _, l := range of {
			hint = append(hint, fmt.Sprintf("%s   (%s, of %s, since %s)", l.ID, l.State, keyturn.Clean(l.By), describe.When(l.Began)))
		}
		return keyturn.LeaseInfo{}, keyturn.E(keyturn.Conflict, fmt.Sprintf("there are %d leases of %s", len(of), keyturn.Clean(ref.Short())), "name one:\n"+strings.Join(hint, "\n")).About(ref)
	case refErr == nil && ref != ref.Secret():
		return keyturn.LeaseInfo{}, keyturn.E(keyturn.Invalid, "a lease is of a whole secret", "write "+keyturn.Quote(ref.Secret().Short())).About(ref)
	case refErr != nil && strings.Contains(word, "/"):
		var e *keyturn.Error
		if errors.As(refErr, &e) {
			return keyturn.LeaseInfo{}, e
		}
	}
	return keyturn.LeaseInfo{}, keyturn.E(keyturn.NotFound, "no lease '"+keyturn.Clean(word)+"'", "'keyturn lease list' shows those that keyturn took and that have not ended")
}

// foreign is err; where the word looks like a platform's name of a lease that keyturn
// did not take, it says how an administrator ends that one.
func foreign(c *command, s *session.Session, word string, err error) error {
	const revoke = "lease revoke"
	i := slices.IndexFunc(c.Actions, func(list keyturn.Administration) bool {
		return slices.ContainsFunc(list.Actions, func(a keyturn.Action) bool { return a.Name == revoke })
	})
	if i < 0 {
		return err
	}
	platform := c.Actions[i].Platform
	mount, id, of := strings.Cut(word, "/")
	if !of || !slices.Contains(s.Mounts, mount) {
		mount, id = platform, word
	}
	if !errors.Is(err, keyturn.NotFound) || strings.Count(id, "/") < 2 {
		return err
	}
	e := *keyturn.AsError(err)
	e.Hint += "\none that keyturn did not take is ended by: keyturn " + platform + " " + revoke + " " + keyturn.Quote(keyturn.Clean(id))
	if mount != platform {
		e.Hint += " --mount " + mount
	}
	return &e
}

func leaseList(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "list [MOUNT]",
		Short: "List the leases that keyturn took and that have not ended",
		Long: `List the leases that keyturn took, here, and that have not ended as far as it knows:
yours, and those of secrets that you may list. The states:

  active     it is good
  asked      the platform is being asked for it
  revoking   it is to end, and the platform has not done it yet: it is tried again
  unknown    it may have been given to a keyturn that was killed, which had no time to
             write down its name: nobody can revoke it, and it ends by itself`,
		Example: `  keyturn lease list
  keyturn lease list vault/ -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			op := keyturn.ListLeases{}
			if len(args) > 0 {
				var err error
				if op.Under, err = keyturn.ParsePrefix(args[0]); err != nil {
					return err
				}
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				res, err := session.Ask[*keyturn.Leases](ctx, s, op)
				if err != nil {
					return err
				}
				return tellLeases(c, op, res)
			})
		},
	}
}

func tellLeases(c *command, op keyturn.ListLeases, res *keyturn.Leases) error {
	if c.JSON() {
		return c.Answer(op, res)
	}
	if len(res.Leases) == 0 {
		c.Say("no leases")
		return nil
	}
	var rows [][]string
	for _, l := range res.Leases {
		state, end := l.State, describe.When(l.Expires)
		if l.Problem != "" {
			state += " (" + string(l.Problem) + ")"
		}
		if l.State == keyturn.LeaseUnknown || l.State == keyturn.LeaseAsked {
			end = "not known"
		}
		by := keyturn.Clean(l.By)
		if l.Run {
			by += ", in a run"
		}
		rows = append(rows, []string{l.ID, keyturn.Clean(l.Ref.Short()), state, end, by})
	}
	return c.Table([]string{"ID", "REF", "STATE", "ENDS", "BY"}, rows)
}
