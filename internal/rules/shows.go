package rules

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// exposure is how a command lets its caller see what it is given.
type exposure struct {
	why, hint string // for people, after the quoted template; why is "" for a command that is not known to
	// open is set where the caller's words or standard input decide what is shown, so that
	// no approval of one command may become a rule for it.
	open bool
}

const (
	hintWhole  = "name the whole command"
	hintChange = "name a program that the caller cannot change"
)

// Exposes says how a command that fits c lets its caller see what it is given: c starts a
// program that runs other programs or code, or prints or sends what it is told to, and
// leaves an argument free or takes its text from standard input; a program that prints
// its environment; or one that does what files of the caller's folder say, whatever its
// arguments. What a program is run by (timeout, env NAME=VALUE, nice) is looked through.
// It knows the usual programs, and not all.
func (c Template) exposes() exposure {
	if len(c.words) == 0 {
		return exposure{}
	}
	e := c.exposesAt(0)
	for i := 1; i < len(c.words) && wraps(c.programAt(0)); i++ {
		if e.open || c.words[i].any || !known(c.programAt(i)) {
			continue
		}
		if inner := c.exposesAt(i); inner.why != "" {
			e = inner
		}
		break
	}
	if e.why == "" && ofFolder(c) {
		e = exposure{why: "is a file of whatever folder the caller is in", hint: hintChange}
	}
	return e
}

// exposesAt is exposes of the command that begins at word i.
func (c Template) exposesAt(i int) exposure {
	prog, args := c.programAt(i), c.words[i+1:]
	free := c.rest || slices.ContainsFunc(args, func(w word) bool { return w.any })
	t := programs()
	switch {
	case free && t.runs[prog]:
		return exposure{"runs any code, so it lets the caller see the value", hintWhole, true}
	case t.reads[prog] && fromInput(args, t.clients[prog]):
		return exposure{"runs the code on its standard input, which is the caller's", hintWhole, true}
	case free && t.shows[prog]:
		return exposure{"prints, stores or sends what its caller names, so it lets the caller see the value", hintWhole, true}
	case t.prints[prog] && (len(args) == 0 || prog == "printenv"):
		return exposure{why: "prints its environment, with the value in it", hint: hintChange}
	case t.folder[prog]:
		return exposure{why: "does what files of the folder say, which the caller may be able to change", hint: "say in which folder with in: [FOLDER], and keep its files from the caller; or name a program that the caller cannot change"}
	case t.reads[prog] && !t.clients[prog] && ofFolderFile(args):
		return exposure{why: "runs a file of whatever folder the caller is in", hint: hintChange}
	}
	return exposure{}
}

// programAt returns the name of word i as a program: without folder, ending and version.
func (c Template) programAt(i int) string {
	p := c.words[i].text
	p = strings.TrimSuffix(p[strings.LastIndexAny(p, `/\`)+1:], ".exe")
	if bare := strings.TrimRight(p, "0123456789."); programs().reads[bare] {
		return bare // python3.12
	}
	return p
}

// fromInput reports whether an interpreter with these arguments takes its code from
// standard input. That of a client of a database is no file without a flag for it.
func fromInput(args []word, client bool) bool {
	for _, w := range args {
		switch {
		case w.any:
		case w.text == "-" || w.text == "-s" || w.text == "-i" || w.text == "/dev/stdin" || strings.HasPrefix(w.text, "/dev/fd/"):
			return true
		case strings.HasPrefix(w.text, "-c") || strings.HasPrefix(w.text, "-e") || strings.HasPrefix(w.text, "-lc") || strings.HasPrefix(w.text, "-m"),
			strings.HasPrefix(w.text, "--eval"), strings.HasPrefix(w.text, "--command"), strings.HasPrefix(w.text, "-f"), strings.HasPrefix(w.text, "--file"),
			w.text == "-version", w.text == "--version", w.text == "-V":
			return false
		case !client && !strings.HasPrefix(w.text, "-"):
			return false // a script
		}
	}
	return true
}

// ofFolderFile reports whether an interpreter with these arguments runs a file that is
// not named by its whole path.
func ofFolderFile(args []word) bool {
	for _, w := range args {
		if strings.HasPrefix(w.text, "-") && len(w.text) > 1 && strings.ContainsAny(w.text[1:2], "ceEm") {
			return strings.HasPrefix(w.text, "-m")
		}
		if !w.any && !strings.HasPrefix(w.text, "-") {
			return !absolute(w.text)
		}
	}
	return false
}

func absolute(p string) bool { return filepath.IsAbs(p) }

func clean(p string) bool { return filepath.Clean(p) == p }

func ofFolder(c Template) bool {
	p := c.Program()
	return strings.ContainsAny(p, `/\`) && !absolute(p)
}

func wraps(prog string) bool { return programs().wraps[prog] }

func known(prog string) bool {
	t := programs()
	return t.runs[prog] || t.reads[prog] || t.shows[prog] || t.prints[prog] || t.folder[prog]
}

type programTable struct{ runs, reads, clients, shows, prints, folder, wraps map[string]bool }

// programs are those that show what they get, by the name of the file.
var programs = sync.OnceValue(func() programTable {
	set := func(lists ...string) map[string]bool {
		out := map[string]bool{}
		for _, l := range lists {
			for _, n := range strings.Fields(l) {
				out[n] = true
			}
		}
		return out
	}
	const (
		// reads run the code in a file that is named, or on standard input where none is.
		reads = `sh bash dash zsh ksh mksh fish csh tcsh ash python pypy node nodejs perl ruby php lua luajit tclsh wish expect Rscript R julia
pwsh powershell cmd osascript ghci irb iex groovy scala clojure guile`
		clients = `psql mysql mariadb sqlite3 mongosh mongo redis-cli`
		// wraps run the command in their arguments.
		wraps = `env timeout nohup nice ionice chrt stdbuf setsid strace ltrace watch time sudo su doas runuser setpriv chroot unshare nsenter flock taskset
numactl systemd-run systemd-inhibit xargs parallel busybox toybox script dotenv direnv op doppler varlock infisical chamber envconsul hyperfine entr nodemon
watchexec catchsegv unbuffer rlwrap eval exec command builtin caffeinate arch gosu tini dumb-init proxychains torsocks firejail bwrap`
		// others run code or programs that their arguments name.
		others = `deno bun ssh scp sftp ftp rsync socat nc ncat netcat awk gawk mawk nawk sed vi vim nvim view ex ed emacs nano less more most man pg
find fd git hg svn make gmake bmake tar cpio zip unzip gdb lldb tmux screen docker podman nerdctl docker-compose kubectl oc helm npx npm yarn pnpm pnpx bunx corepack
pipx pip pip3 uv uvx poetry pdm hatch conda mamba cargo go gradle gradlew mvn mvnw ant sbt bazel bazelisk buck2 ninja cmake meson rake bundle bundler gem composer
ansible ansible-playbook ansible-console terraform tofu terragrunt pulumi vagrant packer java javac jshell kotlin dotnet msbuild wsl cscript wscript mshta rundll32
just task invoke tox nox pytest jest vitest mocha ts-node tsx vite next nuxt webpack turbo nx lerna pm2 foreman honcho overmind supervisord crontab at batch logrotate
openssl gcc cc g++ clang ld as m4 split sort nmap tcpdump wget pg_dump pg_restore mysqldump capsh dpkg apt apt-get rpm yum dnf brew nix nix-shell snap flatpak`
		shows = `cat tac nl head tail od xxd hexdump strings base32 base64 basenc cut tr uniq rev paste fold fmt pr join comm column expand unexpand shuf
grep egrep fgrep rg ag ack diff cmp sdiff dd cp mv ln install tee jq yq xq dasel curl http https xh httpie gpg age sops gzip gunzip zcat bzip2 xz zstd lz4 zstdcat
mail mailx sendmail msmtp logger wall write xclip xsel pbcopy wl-copy clip bat batcat wc sum cksum md5sum sha1sum sha256sum sha512sum b2sum iconv recode
aws gcloud gsutil az s3cmd rclone gh glab envsubst gomplate mustache j2 ps top htop ls stat file readlink printenv env`
		prints = `env printenv set export declare`
		folder = `make gmake bmake npm npx yarn pnpm bun bunx cargo go gradle gradlew mvn mvnw ant sbt bazel bazelisk buck2 ninja cmake meson rake bundle composer
just task invoke tox nox pytest jest vitest mocha ts-node tsx vite next nuxt webpack turbo nx lerna poetry pdm hatch uv dotnet msbuild ansible-playbook terraform tofu
terragrunt pulumi vagrant packer docker-compose foreman honcho overmind git deno`
	)
	return programTable{runs: set(reads, clients, wraps, others), reads: set(reads, clients), clients: set(clients), shows: set(shows), prints: set(prints), folder: set(folder), wraps: set(wraps)}
})
