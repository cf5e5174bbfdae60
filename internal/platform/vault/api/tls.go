package api

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
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

// transport makes the connections to a server that t knows.
func (t TLS) transport() (http.RoundTripper, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CACert != "" || t.CAPath != "" {
		var err error
		if conf.RootCAs, err = t.authorities(); err != nil {
			return nil, err
		}
	}
	if t.ClientCert != "" || t.ClientKey != "" {
		pair, err := tls.LoadX509KeyPair(t.ClientCert, t.ClientKey)
		if err != nil {
			return nil, unreadable("the client certificate and its key", t.ClientCert, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	out := Transport()
	out.TLSClientConfig = conf
	return out, nil
}

// Transport makes the connections of everything here that speaks HTTP. It speaks
// version 1.1 alone: of version 2 Go's client prints each header and body that it
// sends and gets where the environment says GODEBUG=http2debug
// (https://pkg.go.dev/net/http#hdr-HTTP_2). As many connections stay open for each
// server as there are requests at a time.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second,
	}
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
		pem, err := os.ReadFile(f)
		if err != nil {
			return nil, unreadable("the certificate authority", f, err)
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

func unreadable(what, path string, err error) error {
	return keyturn.E(keyturn.Invalid, what+" in "+keyturn.Clean(path)+" cannot be read", "it has to be a file in PEM form").Because(err)
}
