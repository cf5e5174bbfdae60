package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/keyturn/keyturn"
)

// TLS says how a server is known, and how we are known to it. Members are paths
// of PEM files; all may be left out.
type TLS struct {
	CACert     string // in place of the system's authorities
	CAPath     string // the same, a folder of such files; CACert goes before it
	ServerName string // in place of the address's host
	ClientCert string
	ClientKey  string
}

// transport makes the connections of c.
func (c Config) transport() (http.RoundTripper, error) {
	conf, err := c.TLS.config()
	if err != nil {
		return nil, err
	}
	out := Transport()
	out.TLSClientConfig = conf
	switch {
	case c.Proxy != "":
		u, err := url.Parse(c.Proxy)
		if err != nil {
			return nil, keyturn.E(keyturn.Invalid, badProxy, proxyHint)
		}
		out.Proxy = http.ProxyURL(u)
	case !c.AnyProxy:
		out.Proxy = nil
	}
	return out, nil
}

// Transport makes the connections of everything here that speaks HTTP. It speaks
// version 1.1 alone: of version 2 Go's client prints each header and body that it
// sends and gets where the environment says GODEBUG=http2debug
// (https://pkg.go.dev/net/http#hdr-HTTP_2). As many connections stay open for each
// server as there are requests at a time. It goes by the proxy of the environment.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return proxyRefusal(resp.StatusCode)
			}
			return nil
		},
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10, DisableCompression: true, // a small answer would become a large one
	}
}

// proxyRefusal is the status of a proxy that connects us to nobody.
type proxyRefusal int

// Error implements error. What the proxy says is not quoted.
func (p proxyRefusal) Error() string { return "the proxy answers with status " + strconv.Itoa(int(p)) }

// config reads the files.
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

// authorities are those that may vouch for the server.
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

// readPEM reads a regular file; of anything else (a pipe, a device) it could wait
// for ever.
func readPEM(what, path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe's opening would wait, too
	if err != nil {
		return nil, unreadable(what, path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPEM {
		return nil, unreadable(what, path, err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, unreadable(what, path, err)
	}
	return raw, nil
}

func unreadable(what, path string, err error) error {
	return keyturn.E(keyturn.Invalid, what+" in "+keyturn.Clean(path)+" cannot be read", "it has to be a file in PEM form").Because(err)
}
