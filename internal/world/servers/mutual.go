package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// VaultMutual starts a server on disk, unsealed, that takes connections only from who
// shows a certificate of its authority: ClientCert and ClientKey.
func VaultMutual(t testing.TB) *Vault {
	t.Helper()
	v := &Vault{t: t, dir: t.TempDir(), T: 2}
	ca := newAuthority(t)
	v.CACert = filepath.Join(v.dir, "ca.pem")
	writePEM(t, v.CACert, "CERTIFICATE", ca.cert.Raw)
	cert, key := ca.issue(t, v.dir, "server", x509.ExtKeyUsageServerAuth)
	v.ClientCert, v.ClientKey = ca.issue(t, v.dir, "client", x509.ExtKeyUsageClientAuth)
	pair, err := tls.LoadX509KeyPair(v.ClientCert, v.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	v.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}}
	port := freePort(t)
	v.Address = fmt.Sprintf("https://127.0.0.1:%d", port)
	v.configure(map[string]any{
		"storage": map[string]any{"file": map[string]any{"path": filepath.Join(v.dir, "data")}},
		"listener": map[string]any{"tcp": map[string]any{"address": fmt.Sprintf("127.0.0.1:%d", port), "tls_cert_file": cert, "tls_key_file": key,
			"tls_client_ca_file": v.CACert, "tls_require_and_verify_client_cert": true}},
	})
	v.Start()
	v.initialize()
	v.Unseal()
	return v
}

// authority signs certificates that are good for an hour.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	a := authority{cert: template("the authority"), key: newKey(t)}
	a.cert.IsCA, a.cert.BasicConstraintsValid, a.cert.KeyUsage = true, true, x509.KeyUsageCertSign
	raw, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue signs a certificate for this machine and writes it, and its key, into a folder.
func (a authority) issue(t testing.TB, dir, name string, use x509.ExtKeyUsage) (cert, key string) {
	t.Helper()
	own := newKey(t)
	tmpl := template(name)
	tmpl.IPAddresses, tmpl.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{use}
	raw, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writePEM(t, cert, "CERTIFICATE", raw)
	writePEM(t, key, "PRIVATE KEY", der)
	return cert, key
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature}
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
