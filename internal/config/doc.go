// Package config reads keyturn.yaml in its two trust levels. The operator's file
// decides: mounts, groups, rules. A project's file, which comes with a cloned
// repository, only names references and narrows.
//
// The package decodes and checks spelling; package rules knows what a rule means. It
// never reads the environment: callers say which folders to look in. No message holds
// text that could be a value: of a scalar that should be a reference and is none, a
// message tells only the place.
//
// Read it in this order:
//
//	yaml.go      the strict subset of YAML: no anchors, tags, doubles or unknown keys
//	operator.go  Operator, and ParseOperator
//	rule.go      Rule and Group, as the file says them
//	project.go   Project, ParseProject, its Digest, and Diff
//	find.go      where the files are: LoadOperator, FindProject
//	read.go      reading one, with owner and mode checked
//	pin.go       what of an operator's file the store pins: its Digest, and how texts differ
//	remember.go  Remember: adding a rule without touching the rest
//	entries.go   what each file adds, for 'keyturn config check'
package config
