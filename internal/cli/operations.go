package cli

import (
	"github.com/keyturn/keyturn"
)

// runKind is the operation of run, whose failures have a status of their own.
const runKind = "run-command"

// unnamed is the operation of a command line that names no command.
const unnamed = "parse-command"

// operations names each command's operation in the JSON of an error. A command
// that is missing here reports the operation that failed.
var operations = map[string]string{
	"approve":          keyturn.ApproveRequest{}.Kind(),
	"approve list":     keyturn.ListRequests{}.Kind(),
	"audit checkpoint": keyturn.MakeCheckpoint{}.Kind(),
	"audit export":     keyturn.ExportLog{}.Kind(),
	"audit list":       keyturn.ListRecords{}.Kind(),
	"audit prune":      keyturn.PruneLog{}.Kind(),
	"audit verify":     keyturn.VerifyLog{}.Kind(),
	"completion":       "show-completion",
	"config check":     "check-config",
	"config trust":     keyturn.UseConfig{}.Kind(),
	"copy":             keyturn.CopySecret{}.Kind(),
	"delete":           keyturn.DeleteSecret{}.Kind(),
	"destroy":          keyturn.DestroySecret{}.Kind(),
	"diff":             keyturn.DiffSecrets{}.Kind(),
	"doctor":           "check-health",
	"get":              keyturn.GetSecret{}.Kind(),
	"help":             "show-help",
	"history":          keyturn.ListVersions{}.Kind(),
	"init":             keyturn.CreateStore{}.Kind(),
	"lease create":     keyturn.TakeLease{}.Kind(),
	"lease list":       keyturn.ListLeases{}.Kind(),
	"lease renew":      keyturn.RenewLease{}.Kind(),
	"lease revoke":     keyturn.RevokeLease{}.Kind(),
	"list":             keyturn.ListSecrets{}.Kind(),
	"login":            keyturn.Login{}.Kind(),
	"logout":           keyturn.Logout{}.Kind(),
	"migrate":          keyturn.MigrateSecrets{}.Kind(),
	"put":              keyturn.PutSecret{}.Kind(),
	"quickstart":       "quickstart",
	"render":           keyturn.RenderTemplate{}.Kind(),
	"restore":          keyturn.RestoreSecret{}.Kind(),
	"rollback":         keyturn.RollbackSecret{}.Kind(),
	"rules explain":    "explain-rules",
	"run":              runKind,
	"status":           "check-status",
	"store adopt":      keyturn.AdoptStore{}.Kind(),
	"store backup":     keyturn.BackupStore{}.Kind(),
	"store lock":       keyturn.LockStore{}.Kind(),
	"store rekey":      keyturn.RekeyStore{}.Kind(),
	"store restore":    keyturn.RestoreStore{}.Kind(),
	"store unlock":     keyturn.UnlockStore{}.Kind(),
	"trust":            keyturn.TrustProject{}.Kind(),
	"version":          "show-version",
}

// NamesOperation reports whether errors of a command, "audit list", name its operation.
func NamesOperation(path string) bool { return operations[path] != "" }
