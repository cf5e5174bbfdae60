package api

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/keyturn/keyturn"
)

// TLS says how a server is known, and how we are known to it. Members are paths
// of PEM files; all may be left out.
type TLS struct {
	CACert     string // in place of the system's authorities
	ServerName string // in place of the address's host
	ClientCert string
	ClientKey  string
}

// transport makes the connections. Idle ones are few: a command lives shortly.
func (t TLS) transport() (http.RoundTripper, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CACert != "" {
		pem, err := os.ReadFile(t.CACert)
		if err != nil {
			return nil, unreadable("the certificate authority", t.CACert, err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, unreadable("the certificate authority", t.CACert, nil)
		}
	}
	if t.ClientCert != "" || t.ClientKey != "" {
		pair, err := tls.LoadX509KeyPair(t.ClientCert, t.ClientKey)
		if err != nil {
			return nil, unreadable("the client certificate and its key", t.ClientCert, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second,
	}, nil
}

func unreadable(what, path string, err error) error {
	return keyturn.E(keyturn.Invalid, what+" in "+keyturn.Clean(path)+" cannot be read", "it has to be a file in PEM form").Because(err)
}
