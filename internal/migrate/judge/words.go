package judge

import "strings"

// secretParts mark a secret anywhere in a word: DBPASSWORD.
var secretParts = []string{"password", "passwd", "passphrase", "secret", "credential", "apikey", "privatekey", "authtoken", "accesstoken"}

// secretWords mark a secret as a whole word of a name.
var secretWords = set(`pass pwd pw token tokens auth authorization bearer cookie cookies salt salts pepper dsn pat jwt hmac
	otp totp pin seed mnemonic webhook passcode creds cred license signature connectionstring`)

// secretPairs mark a secret as two words in a row.
var secretPairs = map[string]struct{}{"connection string": {}, "connection strings": {}, "recovery codes": {}, "backup codes": {}}

// collections are names of mappings and lists of secrets.
var collections = set(`secrets passwords tokens credentials keys apikeys connectionstrings`)

// endings are last words of names of configuration, whatever the words before them:
// SESSION_TOKEN_TTL, PASSWORD_MIN_LENGTH, TLS_KEY_FILE.
var endings = set(`ttl expiry expires expiration expire expiresin lifetime timeout age maxage length len min max size count limit path file filename
	dir directory folder root enabled disabled enable required type algorithm alg algo name header headers issuer audience prefix suffix host
	hostname hosts port ports driver backend provider strategy mode version format encoding policy rounds cost iterations interval attempts
	retries delay secure samesite domain domains scheme methods class field level env environment region zone locale timezone charset collation
	adapter engine debug verbose workers threads concurrency replicas days hours minutes seconds ms bucket queue topic table schema index
	platform stage branch origins origin language currency theme color colour title pool throttle quota ratio rate sampling ref refs`)

// settings are common values of configuration.
var settings = set(`development dev production prod test testing staging stage local ci debug info notice warn warning error fatal trace silent
	critical alert emergency verbose localhost utc gmt utf8 utf-8 utf8mb4 json text xml yaml html log stack single daily stderr stdout null none nil
	default auto never always file files memory array database db sync async redis memcached smtp sendmail mailgun ses s3 gcs azure
	mysql mysql2 mariadb pgsql postgres postgresql sqlite sqlite3 sqlsrv mongodb pdo_pgsql pdo_mysql tls ssl starttls http https tcp udp unix
	lax strict require required prefer disable allow verify-full verify-ca hs256 hs384 hs512 rs256 es256 eddsa bcrypt argon2 argon2id
	en de fr es it ja zh pt nl ru ko en_us en-us de_de us-east-1 us-east-2 us-west-1 us-west-2 eu-west-1 eu-central-1 ap-southeast-1
	root admin guest user web worker bridge overlay en_us.utf-8 c.utf-8`)

// wellKnown are names of variables that hold configuration in any program.
var wellKnown = set(`NODE_ENV PORT HOST HOSTNAME LOG_LEVEL TZ DEBUG ENV ENVIRONMENT STAGE LANG LANGUAGE LC_ALL PATH HOME USER SHELL TERM PWD
	APP_NAME APP_ENV APP_DEBUG APP_URL APP_LOCALE APP_TIMEZONE APP_VERSION APP_PORT APP_HOST APP_MAINTENANCE_DRIVER
	RAILS_ENV RACK_ENV RAILS_LOG_TO_STDOUT RAILS_SERVE_STATIC_FILES RAILS_MAX_THREADS WEB_CONCURRENCY BUNDLE_PATH
	DJANGO_SETTINGS_MODULE ALLOWED_HOSTS DJANGO_ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS CORS_ALLOWED_ORIGINS PYTHONPATH PYTHONUNBUFFERED
	PYTHONDONTWRITEBYTECODE FLASK_APP FLASK_ENV FLASK_DEBUG GUNICORN_CMD_ARGS SPRING_PROFILES_ACTIVE JAVA_OPTS JAVA_TOOL_OPTIONS JAVA_HOME
	CATALINA_OPTS NODE_OPTIONS NPM_CONFIG_LOGLEVEL NEXT_TELEMETRY_DISABLED NUXT_HOST GOPATH GOMAXPROCS GOFLAGS GIN_MODE RUST_LOG RUST_BACKTRACE
	ASPNETCORE_ENVIRONMENT ASPNETCORE_URLS DOTNET_ENVIRONMENT MIX_ENV PHX_HOST PHP_IDE_CONFIG XDEBUG_MODE XDEBUG_CONFIG
	LOG_CHANNEL LOG_STACK LOG_FORMAT BROADCAST_DRIVER BROADCAST_CONNECTION CACHE_DRIVER CACHE_STORE QUEUE_CONNECTION SESSION_DRIVER
	FILESYSTEM_DISK FILESYSTEM_DRIVER DB_CONNECTION DB_DATABASE MAIL_MAILER MAIL_ENCRYPTION MAIL_FROM_NAME MAIL_FROM_ADDRESS
	POSTGRES_DB POSTGRES_INITDB_ARGS PGDATA PGDATABASE PGSSLMODE MYSQL_DATABASE MARIADB_DATABASE MONGO_INITDB_DATABASE
	AWS_REGION AWS_DEFAULT_REGION AWS_PROFILE AWS_BUCKET GOOGLE_CLOUD_PROJECT GCP_PROJECT COMPOSE_PROJECT_NAME COMPOSE_FILE COMPOSE_PROFILES
	DOCKER_HOST DOCKER_BUILDKIT KUBECONFIG CI EDITOR PUID PGID UMASK UID GID VIRTUAL_HOST LETSENCRYPT_HOST LETSENCRYPT_EMAIL NO_PROXY no_proxy
	ES_JAVA_OPTS KAFKA_HEAP_OPTS KAFKA_ADVERTISED_LISTENERS KAFKA_LISTENERS KAFKA_LISTENER_SECURITY_PROTOCOL_MAP KAFKA_ZOOKEEPER_CONNECT
	discovery.type WORDPRESS_TABLE_PREFIX WORDPRESS_DB_NAME WP_ENV TRUSTED_PROXIES TRUSTED_HOSTS OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_PROTOCOL
	EXISTINGSECRET GF_USERS_ALLOW_SIGN_UP TURBO_TEAM VERCEL_ENV`)

func set(words string) map[string]struct{} {
	out := map[string]struct{}{}
	for w := range strings.FieldsSeq(words) {
		out[w] = struct{}{}
	}
	return out
}
