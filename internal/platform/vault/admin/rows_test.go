package admin

import "github.com/keyturn/keyturn/internal/platform"

// rows are all actions, each as it is asked for in a usual way.
var rows = []row{
	{action: "engines", says: "type:kv-v2", want: []string{
		`GET sys/mounts`,
	}},
	{action: "enable", says: "enabled the engine team", args: platform.Args{"type": {"kv-v2"}, "path": {"team"}, "ttl": {"1h"}, "description": {"d"}}, want: []string{
		`POST sys/mounts/team {"config":{"default_lease_ttl":"3600s"},"description":"d","options":{"version":"2"},"type":"kv"}`,
	}},
	{action: "disable", says: "disabled the engine old", args: platform.Args{"path": {"old"}}, want: []string{
		`GET sys/mounts`,
		`DELETE sys/mounts/old`,
	}},
	{action: "auth list", says: "max_ttl_seconds:120", want: []string{
		`GET sys/auth`,
	}},
	{action: "auth enable", says: "enabled the login method people", args: platform.Args{"type": {"userpass"}, "path": {"people"}, "max-ttl": {"8h"}}, want: []string{
		`POST sys/auth/people {"config":{"max_lease_ttl":"28800s"},"type":"userpass"}`,
	}},
	{action: "auth disable", says: "disabled the login method approle", args: platform.Args{"path": {"approle"}}, want: []string{
		`GET sys/auth`,
		`DELETE sys/auth/approle`,
	}},
	{action: "settings", says: "delete_version_after_seconds:3600", survives: map[int][]int{2: {403}}, args: platform.Args{"path": {"secret"}}, want: []string{
		`GET sys/mounts`,
		`GET secret/config`,
	}},
	{action: "tune", says: "changed the engine secret", survives: map[int][]int{2: {403}, 5: nil, 6: nil}, args: platform.Args{"path": {"secret"}, "ttl": {"1h"}, "max-versions": {"3"}, "cas-required": {"no"}}, want: []string{
		`GET sys/mounts`,
		`GET secret/config`,
		`POST sys/mounts/secret/tune {"default_lease_ttl":"3600s"}`,
		`POST secret/config {"cas_required":false,"max_versions":3}`,
		`GET sys/mounts`,
		`GET secret/config`,
	}},
	{action: "auth settings", says: "path:approle", args: platform.Args{"path": {"approle"}}, want: []string{
		`GET sys/auth`,
	}},
	{action: "auth tune", says: "changed the login method approle", survives: map[int][]int{3: nil}, args: platform.Args{"path": {"approle"}, "listing-visibility": {"unauth"}}, want: []string{
		`GET sys/auth`,
		`POST sys/auth/approle/tune {"listing_visibility":"unauth"}`,
		`GET sys/auth`,
	}},
	{action: "kv settings", says: "current_version:7", on: "vault/secret/app", want: []string{
		`GET sys/internal/ui/mounts/secret/app`,
		`GET secret/metadata/app`,
	}},
	{action: "kv tune", says: "the engine deletes versions earlier, after 3600 seconds", survives: map[int][]int{4: nil, 5: nil}, on: "vault/secret/app", args: platform.Args{"max-versions": {"3"}, "delete-version-after": {"30d"}}, want: []string{
		`GET sys/internal/ui/mounts/secret/app`,
		`GET secret/metadata/app`,
		`POST secret/metadata/app {"delete_version_after":"2592000s","max_versions":3}`,
		`GET secret/metadata/app`,
		`GET secret/config`,
	}},
	{action: "policy list", says: "name:app", want: []string{
		`LIST sys/policies/acl`,
	}},
	{action: "policy check", says: "the policy app would change", survives: map[int][]int{1: nil, 2: nil, 3: {404}}, args: platform.Args{"name": {"app"}, "file": {`path "secret/data/app" { capabilities = ["read"] }`}}, want: []string{
		`GET sys/mounts`,
		`GET sys/auth`,
		`GET sys/policies/acl/app`,
	}},
	{action: "policy write", says: "changed the policy app", survives: map[int][]int{1: nil, 2: nil, 3: {404}}, args: platform.Args{"name": {"App"}, "file": {`path "secret/data/app" { capabilities = ["read"] }`}}, want: []string{
		`GET sys/mounts`,
		`GET sys/auth`,
		`GET sys/policies/acl/app`,
		`PUT sys/policies/acl/app {"policy":"path \"secret/data/app\" { capabilities = [\"read\"] }"}`,
	}},
	{action: "policy read", says: "secret/data/other", args: platform.Args{"name": {"app"}}, want: []string{
		`GET sys/policies/acl/app`,
	}},
	{action: "policy least", says: "path \"secret/data/app\"", survives: map[int][]int{2: {403, 404}}, on: "vault/secret/app", args: platform.Args{"can": {"read"}, "name": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/secret/app`,
		`GET sys/policies/acl/app`,
	}},
	{action: "policy for", says: "tested:true", survives: map[int][]int{3: {404}, 5: nil, 6: nil, 7: nil}, on: "vault/secret/app", args: platform.Args{"can": {"read"}, "name": {"app"}, "replace": {"true"}}, want: []string{
		`GET sys/internal/ui/mounts/secret/app`,
		`POST sys/capabilities-self {"paths":["sys/policies/acl/app"]}`,
		`GET sys/policies/acl/app`,
		`PUT sys/policies/acl/app {"policy":"path \"secret/data/app\" {\n  capabilities = [\"read\"]\n}\n"}`,
		`POST auth/token/create {"display_name":"keyturn-test","explicit_max_ttl":"60s","no_default_policy":true,"policies":["app"],"renewable":false,"ttl":"60s"}`,
		`POST sys/capabilities-accessor {"accessor":"acc","paths":["secret/data/app"]}`,
		`POST auth/token/revoke-accessor {"accessor":"acc"}`,
	}},
	{action: "policy check-grant", says: "the policy app of vault:approle/app would grow", survives: map[int][]int{6: {404}}, on: "vault/secret/app", args: platform.Args{"principal": {"vault:approle/app"}, "can": {"read"}, "name": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/secret/app`,
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`POST sys/capabilities-self {"paths":["auth/approle/role/app"]}`,
		`POST sys/capabilities-self {"paths":["sys/policies/acl/app"]}`,
		`GET sys/policies/acl/app`,
	}},
	{action: "policy grant", says: "tested:true", survives: map[int][]int{6: {404}, 8: nil, 9: nil, 10: nil}, on: "vault/secret/app", args: platform.Args{"principal": {"vault:approle/app"}, "can": {"read"}, "name": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/secret/app`,
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`POST sys/capabilities-self {"paths":["auth/approle/role/app"]}`,
		`POST sys/capabilities-self {"paths":["sys/policies/acl/app"]}`,
		`GET sys/policies/acl/app`,
		`PUT sys/policies/acl/app {"policy":"path \"secret/data/other\" { capabilities = [\"read\"] }\n\npath \"secret/data/app\" {\n  capabilities = [\"read\"]\n}\n"}`,
		`POST auth/token/create {"display_name":"keyturn-test","explicit_max_ttl":"60s","no_default_policy":true,"policies":["app"],"renewable":false,"ttl":"60s"}`,
		`POST sys/capabilities-accessor {"accessor":"acc","paths":["secret/data/app"]}`,
		`POST auth/token/revoke-accessor {"accessor":"acc"}`,
	}},
	{action: "policy delete", says: "deleted the policy app", survives: map[int][]int{2: {403, 404}}, args: platform.Args{"name": {"app"}}, want: []string{
		`LIST sys/policies/acl`,
		`GET sys/policies/acl/app`,
		`DELETE sys/policies/acl/app`,
	}},
	{action: "approle create", says: "created the role new", survives: map[int][]int{2: {404}, 3: nil, 5: nil}, args: platform.Args{"role": {"New"}, "policies": {"app"}, "token-ttl": {"1h"}, "secret-id-uses": {"3"}}, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/new`,
		`LIST auth/approle/role`,
		`POST auth/approle/role/new {"secret_id_num_uses":3,"token_policies":["app"],"token_ttl":"3600s"}`,
		`LIST sys/policies/acl`,
	}},
	{action: "approle update", says: "changed the role app", survives: map[int][]int{4: nil}, args: platform.Args{"role": {"app"}, "token-max-ttl": {"4h"}}, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`POST auth/approle/role/app {"token_max_ttl":"14400s"}`,
		`LIST sys/policies/acl`,
	}},
	{action: "approle list", says: "role:app", want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`LIST auth/approle/role`,
	}},
	{action: "approle read", says: "token_ttl_seconds:60", args: platform.Args{"role": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
	}},
	{action: "approle role-id", says: "the-role-id", args: platform.Args{"role": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`GET auth/approle/role/app/role-id`,
	}},
	{action: "approle secret-id", says: "made a secret id of the role app", survives: map[int][]int{5: {500, 503}}, args: platform.Args{"role": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`GET auth/approle/role/app/role-id`,
		`POST auth/approle/role/app/secret-id {}`,
		`POST sys/wrapping/unwrap {"token":"hvs.wrapping"}`,
	}},
	{action: "approle secret-id", says: "accessor:acc-1", args: platform.Args{"role": {"app"}}, wrapped: true, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`GET auth/approle/role/app/role-id`,
		`POST auth/approle/role/app/secret-id {}`,
	}},
	{action: "approle secret-ids", says: "accessor:acc-1", args: platform.Args{"role": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`LIST auth/approle/role/app/secret-id`,
	}},
	{action: "approle destroy-secret-id", says: "destroyed the secret id acc-1", args: platform.Args{"role": {"app"}, "accessor": {"acc-1"}}, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`LIST auth/approle/role/app/secret-id`,
		`POST auth/approle/role/app/secret-id-accessor/destroy {"secret_id_accessor":"acc-1"}`,
	}},
	{action: "approle delete", says: "deleted the role app", args: platform.Args{"role": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/auth/approle`,
		`GET auth/approle/role/app`,
		`DELETE auth/approle/role/app`,
	}},
	{action: "database connect", says: "in the place of the connection that was there; for its roles: app", survives: map[int][]int{2: {400, 403, 404}}, typed: "kt-fake-admin", args: platform.Args{"name": {"shop"}, "plugin": {"postgresql"}, "url": {"postgresql://{{username}}:{{password}}@db/x"}, "username": {"admin"}}, want: []string{
		`GET sys/internal/ui/mounts/database`,
		`GET database/config/shop`,
		`POST database/config/shop {"connection_url":"postgresql://{{username}}:{{password}}@db/x","password":"kt-fake-admin","plugin_name":"postgresql-database-plugin","username":"admin","verify_connection":true}`,
	}},
	{action: "database list", says: "name:shop", want: []string{
		`GET sys/internal/ui/mounts/database`,
		`LIST database/config`,
	}},
	{action: "database read", says: "plugin:postgresql-database-plugin", args: platform.Args{"name": {"shop"}}, want: []string{
		`GET sys/internal/ui/mounts/database`,
		`GET database/config/shop`,
	}},
	{action: "database rotate-root", says: "replaced the password of admin", args: platform.Args{"name": {"shop"}}, want: []string{
		`GET sys/internal/ui/mounts/database`,
		`GET database/config/shop`,
		`POST database/rotate-root/shop {}`,
	}},
	{action: "database delete", says: "shop", args: platform.Args{"name": {"shop"}}, want: []string{
		`GET sys/internal/ui/mounts/database`,
		`GET database/config/shop`,
		`DELETE database/config/shop`,
	}},
	{action: "database role write", says: "new", answers: map[string]string{"GET database/config/shop": common["GET database/config/shop"],
		"GET database/config/shop again": `{"data":{"allowed_roles":["other","new"]}}`}, args: platform.Args{"role": {"new"}, "db": {"shop"}, "creation": {"CREATE ROLE {{name}} PASSWORD {{password}}"}, "ttl": {"1h"}}, want: []string{
		`GET sys/internal/ui/mounts/database`,
		`GET database/config/shop`,
		`POST database/roles/new {"creation_statements":["CREATE ROLE {{name}} PASSWORD {{password}}"],"db_name":"shop","default_ttl":"3600s"}`,
		`POST database/config/shop {"allowed_roles":["app","new"],"verify_connection":false}`,
		`GET database/config/shop`,
	}},
	{action: "database role list", says: "role:app", want: []string{
		`GET sys/internal/ui/mounts/database`,
		`LIST database/roles`,
	}},
	{action: "database role read", says: "role:app", args: platform.Args{"role": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/database`,
		`GET database/roles/app`,
	}},
	{action: "database role delete", says: "app", args: platform.Args{"role": {"app"}}, want: []string{
		`GET sys/internal/ui/mounts/database`,
		`GET database/roles/app`,
		`DELETE database/roles/app`,
	}},
	{action: "lease list", says: "expires:2026-01-24T11:00:00Z", survives: map[int][]int{4: {400, 404}}, args: platform.Args{"path": {"database"}}, want: []string{
		`LIST sys/leases/lookup/database/`,
		`LIST sys/leases/lookup/database/creds/`,
		`LIST sys/leases/lookup/database/creds/app/`,
		`PUT sys/leases/lookup {"lease_id":"database/creds/app/id-1"}`,
	}},
	{action: "lease revoke", says: "ended the lease database/creds/app/id-1", args: platform.Args{"id": {"database/creds/app/id-1"}}, want: []string{
		`PUT sys/leases/lookup {"lease_id":"database/creds/app/id-1"}`,
		`PUT sys/leases/revoke {"lease_id":"database/creds/app/id-1","sync":true}`,
	}},
	{action: "lease revoke-all", says: "(1)", args: platform.Args{"path": {"database"}}, want: []string{
		`LIST sys/leases/lookup/database/`,
		`LIST sys/leases/lookup/database/creds/`,
		`LIST sys/leases/lookup/database/creds/app/`,
		`PUT sys/leases/lookup {"lease_id":"database/creds/app/id-1"}`,
		`PUT sys/leases/revoke-prefix/database {"sync":true}`,
	}},
	{action: "status", says: "0 of 2 key shares", want: []string{
		`GET sys/seal-status`,
	}},
	{action: "unseal", says: "1 of 2 key shares", typed: "c2hhcmU=", want: []string{
		`GET sys/seal-status`,
		`PUT sys/unseal {"key":"c2hhcmU="}`,
	}},
	{action: "seal", says: "2 of 3 key shares unseal it", survives: map[int][]int{1: nil, 3: nil}, want: []string{
		`GET sys/seal-status`,
		`PUT sys/seal`,
		`GET sys/seal-status`,
	}},
}
