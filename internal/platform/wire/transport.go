// Package wire is HTTP for every platform: trusted certificates, proxies, the one
// transport, answers of bounded size, and causes of errors that quote nothing of a
// request or an answer.
//
//	transport.go  TLS settings, proxies, the transport
//	size.go       reads answers: one large answer at a time
//	cause.go      causes of errors
//	github.go     the signed token of a job on GitHub Actions
//	peer.go       what an answer tells about its server: TLS, clock
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// TLS says how the server proves who it is, and how we prove it to the server. Members
// are paths of PEM files; all may be "".
type TLS struct {
	CACert     string // authorities, instead of the system's
	CAPath     string // a folder of such files; ignored where CACert is set
	ServerName string // expected in the certificate, instead of the address's host
	ClientCert string
	ClientKey  string
}

// Options say how a server is reached and known.
type Options struct {
	TLS TLS
	// Proxy is "http://host:port" or "socks5://host:port"; "" for none. All requests go
	// through it.
	Proxy string
	// AnyProxy uses the proxy of the environment where Proxy is "" (HTTPS_PROXY and the
	// others, https://pkg.go.dev/net/http#ProxyFromEnvironment). It is for people only: an
	// agent could set these variables to lead requests elsewhere.
	AnyProxy bool
}

// Transport returns a transport for o. Invalid where a file cannot be read, or Proxy is
// not one.
func (o Options) Transport() (*http.Transport, error) {
	conf, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	out := Transport()
	out.TLSClientConfig = conf
	switch {
	case o.Proxy != "":
		if err := CheckProxy(o.Proxy); err != nil {
			return nil, err
		}
		u, _ := url.Parse(o.Proxy)
		out.Proxy = http.ProxyURL(u)
	case !o.AnyProxy:
		out.Proxy = nil
	}
	return out, nil
}

// CheckProxy refuses, as Invalid, what cannot be the proxy of a mount. A proxy has no
// user and password: keyturn keeps no secret in its configuration.
func CheckProxy(proxy string) error {
	u, err := url.Parse(proxy)
	if err != nil || u.Scheme != "http" && u.Scheme != "socks5" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return keyturn.E(keyturn.Invalid, "the proxy of this mount is not one", "write proxy: http://HOST:PORT, or socks5://HOST:PORT, without user and password")
	}
	return nil
}

// Loopback reports whether a host, a name or an address, is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Transport returns the transport of everything in keyturn that speaks HTTP. It speaks
// HTTP/1.1 only: with GODEBUG=http2debug in the environment, Go's HTTP/2 client prints
// each header and body (https://pkg.go.dev/net/http#hdr-HTTP_2). It keeps as many
// connections to a server open as there are requests at a time, and uses the proxy of the
// environment.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return ProxyRefusal(resp.StatusCode)
			}
			return nil
		},
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10, DisableCompression: true, // a small answer would become a large one
	}
}

// ProxyRefusal is the cause where a proxy does not connect us: the status that it answered.
type ProxyRefusal int

// Error implements error. It does not quote the proxy.
func (p ProxyRefusal) Error() string { return "the proxy answers with status " + strconv.Itoa(int(p)) }

// config reads the files and returns the configuration of crypto/tls.
func (t TLS) config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CACert != "" || t.CAPath != "" {
		var err error
		if conf.RootCAs, err = t.authorities(); err != nil {
			return nil, err
		}
	}
	if t.ClientCert != "" || t.ClientKey != "" {
		const what = "the client certificate and its key"
		cert, err := readPEM(what, t.ClientCert)
		if err != nil {
			return nil, err
		}
		key, err := readPEM(what, t.ClientKey)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, unreadable(what, t.ClientCert, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// NotByEnvironment returns Denied where variables, and not t, decide which authorities are
// trusted: an agent could set them (of Go, https://pkg.go.dev/crypto/x509#SystemCertPool)
// to have anybody be the server.
func (t TLS) NotByEnvironment(lookup func(name string) string) error {
	if t.CACert != "" || t.CAPath != "" {
		return nil
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if lookup(name) != "" {
			return keyturn.E(keyturn.Denied, name+" is set, and only for people does it say which servers are trusted",
				"unset it, or name the authority of the server's certificate in the operator's configuration: the mount's ca_cert")
		}
	}
	return nil
}

// FilesOfEnvironment returns Invalid where a file of authorities that the environment
// names is no regular file. Go reads it by itself, and would wait for a pipe.
func FilesOfEnvironment(lookup func(name string) string) error {
	files := []string{lookup("SSL_CERT_FILE")}
	for _, folder := range filepath.SplitList(lookup("SSL_CERT_DIR")) {
		entries, _ := os.ReadDir(folder) // Go passes over it, too
		for _, e := range entries {
			files = append(files, filepath.Join(folder, e.Name()))
		}
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
			return unreadable("the certificate authority", f, durable.ErrIrregular)
		}
	}
	return nil
}

// authorities reads the authorities that may sign the server's certificate.
func (t TLS) authorities() (*x509.CertPool, error) {
	pool, files := x509.NewCertPool(), []string{t.CACert}
	if t.CACert == "" {
		entries, err := os.ReadDir(t.CAPath)
		if err != nil {
			return nil, unreadable("the folder of certificate authorities", t.CAPath, err)
		}
		files = nil
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(t.CAPath, e.Name()))
			}
		}
	}
	for _, f := range files {
		pem, err := readPEM("the certificate authority", f)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) && t.CACert != "" {
			return nil, unreadable("the certificate authority", f, nil)
		}
	}
	if pool.Equal(x509.NewCertPool()) {
		return nil, unreadable("the folder of certificate authorities", t.CAPath, nil)
	}
	return pool, nil
}

// maxPEM is the most bytes of a file of certificates; the authorities of a whole
// system are some 250 KiB.
const maxPEM = 4 << 20

// readPEM reads a regular file, and refuses anything else.
func readPEM(what, path string) ([]byte, error) {
	raw, _, err := durable.ReadRegular(path, maxPEM)
	if err != nil {
		return nil, unreadable(what, path, err)
	}
	return raw, nil
}

func unreadable(what, path string, err error) error {
	return keyturn.E(keyturn.Invalid, what+" in "+keyturn.Clean(path)+" cannot be read", "it has to be a file in PEM form").Because(err)
}
