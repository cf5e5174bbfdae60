// Package config reads keyturn.yaml in its two trust levels. The operator's file
// decides: mounts, groups, rules. A project's file, which comes with a cloned
// repository, only names references and narrows.
//
// The package decodes and checks spelling; what a rule means is for package
// rules. It never asks the environment: whoever calls says which folders to look
// in. No message holds text that could be a value: of a scalar that should be a
// reference but is none, only its place is told.
//
// Read it in this order:
//
//	yaml.go      the strict subset of YAML: no anchors, tags, doubles or unknown keys
//	operator.go  Operator, and ParseOperator
//	rule.go      Rule and Group, as the file says them
//	project.go   Project, ParseProject, its Digest, and Diff
//	find.go      where the files are: LoadOperator, FindProject
//	read.go      reading one, with owner and mode checked
//	remember.go  Remember: adding a rule without touching the rest
//	entries.go   what each file adds, for 'keyturn config check'
package config
