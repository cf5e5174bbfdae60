package cli

import (
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
)

// reference is the argument of every command with one reference, with the two
// flags that spare a shell's quoting rules.
type reference struct {
	version, field string
}

// flags adds --version and --field, or only those that make sense.
func (r *reference) flags(cmd *cobra.Command, version, field bool) {
	if version {
		cmd.Flags().StringVar(&r.version, "version", "", "the `VERSION`, in the platform's own word (like REF?version=V)")
	}
	if field {
		cmd.Flags().StringVar(&r.field, "field", "", "the `FIELD` (like REF#FIELD)")
	}
}

// refused adds both flags to a command that takes neither, so that it explains
// itself as it does for REF?version=V and REF#FIELD.
func (r *reference) refused(cmd *cobra.Command) *cobra.Command {
	r.flags(cmd, true, true)
	_ = cmd.Flags().MarkHidden("version")
	_ = cmd.Flags().MarkHidden("field")
	return cmd
}

// parse joins the argument with the flags.
func (r *reference) parse(arg string) (keyturn.Ref, error) {
	ref, err := keyturn.ParseRef(arg)
	if err != nil {
		return ref, err
	}
	if r.version != "" {
		if ref.Version() != "" && ref.Version() != r.version {
			return ref, keyturn.E(keyturn.Invalid, "the reference and --version name two versions", "give one of them")
		}
		if ref, err = ref.WithVersion(r.version); err != nil {
			return ref, err
		}
	}
	if r.field != "" {
		if ref.Field() != "" && ref.Field() != r.field {
			return ref, keyturn.E(keyturn.Invalid, "the reference and --field name two fields", "give one of them")
		}
		if ref, err = ref.WithField(r.field); err != nil {
			return ref, err
		}
	}
	return ref, nil
}
