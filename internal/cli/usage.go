package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn"
)

// WrongArgs makes an error of a command's arguments one of usage.
func (c *command) WrongArgs(cmd *cobra.Command, args []string, err error) error {
	c.Name = pathOf(cmd)
	if len(args) > 0 && !strings.Contains(cmd.Use, " ") {
		return usage("'" + cmd.CommandPath() + "' takes no arguments")
	}
	return usageError{err}
}

// isFlagName reports whether s looks like the name of a flag: words of small letters with
// hyphens between them. What does not may be a value.
func isFlagName(s string) bool {
	for word := range strings.SplitSeq(s, "-") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
	}
	return true
}

// WrongFlag makes an error of a flag one of usage. No message repeats what may be
// a value.
func (c *command) WrongFlag(cmd *cobra.Command, err error) error {
	c.Name = pathOf(cmd)
	var unknown *pflag.NotExistError
	var syntax *pflag.InvalidSyntaxError
	var needs *pflag.ValueRequiredError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		if name := unknown.GetSpecifiedName(); unknown.GetSpecifiedShortnames() == "" && len(name) <= 24 && isFlagName(name) {
			return usage("unknown flag: --" + name)
		}
		if s := unknown.GetSpecifiedShortnames(); s != "" {
			return usage("unknown flag" + c.position("-"+s))
		}
		return usage("unknown flag" + c.position("--"+unknown.GetSpecifiedName()))
	case errors.As(err, &syntax):
		return usage("not a flag" + c.position(syntax.GetSpecifiedFlag()))
	case errors.As(err, &needs):
		return usage("--" + needs.GetFlag().Name + " needs a value")
	case errors.As(err, &value):
		return usage("--" + value.GetFlag().Name + takes(value.GetFlag().Value.Type()))
	}
	return usage("the flags cannot be read")
}

// takes says what a flag of a type takes.
func takes(kind string) string {
	switch kind {
	case "int", "int64", "uint":
		return " takes a number"
	case "duration":
		return " takes a duration such as 30s"
	case "bool":
		return " takes no value"
	}
	return " cannot take that"
}

// position tells the place of a word among the arguments.
func (c *command) position(word string) string {
	for i, a := range c.args {
		if a == word || strings.HasPrefix(a, word+"=") {
			return fmt.Sprintf(", as argument %d", i+1)
		}
	}
	return ""
}

// noneEmpty refuses flags that are given with an empty value: a variable of a
// script that is not set, which must not count as a flag left out.
func noneEmpty(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		empty := f.Value.Type() == "string" && f.Value.String() == ""
		if list, ok := f.Value.(pflag.SliceValue); ok {
			empty = len(list.GetSlice()) == 0 || slices.Contains(list.GetSlice(), "")
		}
		if empty && err == nil {
			err = keyturn.E(keyturn.Invalid, "--"+f.Name+" is given with an empty value", "give it one, or leave the flag out")
		}
	})
	return err
}
