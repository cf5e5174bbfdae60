package describe

// Protects says, in a few lines, what the kind of a root key protects from and what it does
// not. kind is "keychain", "file" or "passphrase".
func Protects(kind string) []string {
	switch kind {
	case "keychain":
		return []string{
			"protects: a stolen disk or a copied store file, as long as your login password is not known",
			"does not protect: against programs that you run yourself, an agent's among them: your keychain is open to them",
		}
	case "passphrase":
		return []string{
			"protects: a stolen disk or a copied folder, as well as the passphrase is hard to guess",
			"does not protect: against programs that you run yourself, an agent's among them, while the store is unlocked",
		}
	}
	return []string{
		"protects: a copy of the store file without the key file; other users of this machine",
		"does not protect: against whoever gets both files (a stolen disk that is not encrypted, a backup of the folder), or against programs that you run yourself, an agent's among them",
	}
}
