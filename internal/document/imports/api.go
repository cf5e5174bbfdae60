package imports

import "github.com/keyturn/keyturn"

// Detect says which tool a file is of, by its content; "" for none of them. A
// flat JSON object of strings is Doppler's only where it has DOPPLER_PROJECT:
// anything else could be any JSON file, for which migrate is there.
func Detect(name string, data []byte) Format { return detect(name, data) }

// Fields reads a file of a format; name is for messages, and tells YAML, JSON and
// dotenv apart where sops wrote it. identities is the text of age identities
// ("AGE-SECRET-KEY-1…", one on a line, comments with #), as SOPS_AGE_KEY_FILE
// names and SOPS_AGE_KEY holds it; only sops needs it.
//
// Fields come in the order of the file, each name once. What a tool adds about
// itself (DOPPLER_PROJECT, DOPPLER_CONFIG, DOPPLER_ENVIRONMENT) is left out.
//
// It is Corrupt where sops' authentication of a value or of the file does not
// hold, Denied where none of the identities opens the file, Unsupported where it
// was encrypted to no age key at all (KMS, PGP, Vault: 'sops -d' reads those),
// and Invalid for everything else that cannot be read.
func Fields(format Format, name string, data, identities []byte) ([]Field, error) {
	return fields(format, name, data, identities)
}

// Reference turns a reference of another tool into one of keyturn's.
//
//	op://VAULT/ITEM/FIELD                       key "op:VAULT"
//	op://VAULT/ITEM/SECTION/FIELD               key "op:VAULT"
//	ref+vault://ENGINE/PATH#/KEY                key "vault", or "vault:ADDRESS" with ?address=
//	ref+awssecrets://NAME#/KEY                  key "awssecrets", or "awssecrets:REGION" with ?region=
//	ref+gcpsecrets://PROJECT/NAME#/KEY          key "gcpsecrets:PROJECT"
//	ref+azurekeyvault://VAULT/NAME/VERSION      key "azurekeyvault:VAULT"
//	ref+k8s://v1/Secret/NAMESPACE/NAME/KEY      key "k8s"
//
// mounts gives the mount for a key. known is false where text is no reference of
// such a tool at all; err is then nil. Where it is one and has no exact
// counterpart, or mounts has no mount for it, err is Unsupported and says which
// key is missing or what cannot be said. secretref+ is read as ref+.
func Reference(text string, mounts map[string]string) (ref keyturn.Ref, known bool, err error) {
	return reference(text, mounts)
}
