// Package imports reads what other tools for secrets leave behind: files
// encrypted by sops, JSON exports of Doppler and Infisical, and references of
// 1Password and of vals. It only reads, and makes fields or references of
// keyturn of what it read.
//
// It is made of functions over bytes. No error quotes a value.
package imports

import "github.com/keyturn/keyturn"

// Field is a value that was read, and the name of the field that it should be.
type Field struct {
	Name  string // keys of nested files joined with a dot: "database.password"
	Value keyturn.Value
}

// Format is a kind of file that Fields reads.
type Format string

// The formats.
const (
	SOPS      Format = "sops"
	Doppler   Format = "doppler"
	Infisical Format = "infisical"
)
