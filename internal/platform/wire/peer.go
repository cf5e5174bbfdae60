package wire

import (
	"crypto/tls"
	"net/http"
	"time"

	"github.com/keyturn/keyturn"
)

// Peer is what an answer tells about its server, beside its content.
type Peer struct {
	TLS  keyturn.TLSInfo
	Date time.Time // by the server's clock, to the second; zero where it sent none
	At   time.Time // by our clock, when the answer came
}

// PeerOf returns what an answer tells about its server. now is our clock.
func PeerOf(resp *http.Response, now time.Time) Peer {
	p := Peer{TLS: keyturn.TLSInfo{Version: "none"}, At: now}
	if t := resp.TLS; t != nil {
		p.TLS.Version = tls.VersionName(t.Version)
		if len(t.PeerCertificates) > 0 {
			p.TLS.Ends = t.PeerCertificates[0].NotAfter.UTC()
		}
	}
	p.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	return p
}

// Ahead returns how far the server's clock is ahead of ours, to the second; nil where it
// is not known.
func (p Peer) Ahead() *time.Duration {
	if p.Date.IsZero() {
		return nil
	}
	d := p.Date.Add(time.Second / 2).Sub(p.At).Round(time.Second) // the server's clock is cut to seconds
	return &d
}
