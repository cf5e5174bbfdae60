package command

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn"
)

// WrongArgs makes an error of a command's arguments one of usage.
func (c *Command) WrongArgs(cmd *cobra.Command, args []string, err error) error {
	c.Name = PathOf(cmd)
	if len(args) > 0 && !strings.Contains(cmd.Use, " ") {
		return Usage("'" + cmd.CommandPath() + "' takes no arguments")
	}
	return usageError{err}
}

// flagName is what a flag's name looks like. What does not may be a value.
var flagName = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// WrongFlag makes an error of a flag one of usage. No message repeats what may be
// a value.
func (c *Command) WrongFlag(cmd *cobra.Command, err error) error {
	c.Name = PathOf(cmd)
	var unknown *pflag.NotExistError
	var syntax *pflag.InvalidSyntaxError
	var needs *pflag.ValueRequiredError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		if name := unknown.GetSpecifiedName(); unknown.GetSpecifiedShortnames() == "" && len(name) <= 24 && flagName.MatchString(name) {
			return Usage("unknown flag: --" + name)
		}
		if s := unknown.GetSpecifiedShortnames(); s != "" {
			return Usage("unknown flag" + c.position("-"+s))
		}
		return Usage("unknown flag" + c.position("--"+unknown.GetSpecifiedName()))
	case errors.As(err, &syntax):
		return Usage("not a flag" + c.position(syntax.GetSpecifiedFlag()))
	case errors.As(err, &needs):
		return Usage("--" + needs.GetFlag().Name + " needs a value")
	case errors.As(err, &value):
		return Usage("--" + value.GetFlag().Name + takes(value.GetFlag().Value.Type()))
	}
	return Usage("the flags cannot be read")
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
func (c *Command) position(word string) string {
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
