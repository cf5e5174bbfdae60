package forward

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// syslog sends each row as one message: facility "log audit" (13), severity
// informational (6). To another machine it is framed as RFC 5424 has it, over TCP
// and TLS with its length ahead (RFC 6587, RFC 5425); to the one of this machine in
// the older form that all of them read (RFC 3164).
type syslog struct {
	where   string
	conn    net.Conn
	network string
}

func newSyslog(where string) *syslog { return &syslog{where: where} }

const priority = 13*8 + 6

// localSockets are where systems have the syslog of this machine.
var localSockets = []string{"/dev/log", "/var/run/syslog", "/var/run/log"}

func (s *syslog) at() (keyturn.LogEntry, bool, error) { return keyturn.LogEntry{}, false, nil }
func (s *syslog) flush() error                        { return nil }

func (s *syslog) reset() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

func (s *syslog) dial(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	if s.where == Local {
		for _, path := range localSockets {
			if conn, err := net.DialTimeout("unixgram", path, maxSend); err == nil {
				s.conn, s.network = conn, "unixgram"
				return nil
			}
		}
		return errors.New("this machine has no syslog")
	}
	u, err := url.Parse(s.where)
	if err != nil {
		return errors.New("its address cannot be read")
	}
	ctx, cancel := context.WithTimeout(ctx, maxSend) // with the handshake of TLS
	defer cancel()
	dialer := &net.Dialer{Timeout: maxSend}
	var conn net.Conn
	switch u.Scheme {
	case "udp", "tcp":
		conn, err = dialer.DialContext(ctx, u.Scheme, u.Host)
	case "tls":
		secure := &tls.Dialer{NetDialer: dialer, Config: &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}}
		conn, err = secure.DialContext(ctx, "tcp", u.Host)
	default:
		return errors.New("its address cannot be read")
	}
	if err != nil {
		return err
	}
	s.conn, s.network = conn, u.Scheme
	return nil
}

func (s *syslog) send(ctx context.Context, e keyturn.LogEntry) error {
	if err := s.dial(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	conn := s.conn
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	err := s.write(e)
	if errors.Is(err, syscall.EMSGSIZE) { // no datagram takes it: its hash, then, as of a pruned row
		e.Data = nil
		err = s.write(e)
	}
	return err
}

func (s *syslog) write(e keyturn.LogEntry) error {
	msg := s.message(e)
	if s.network == "tcp" || s.network == "tls" {
		msg = append(strconv.AppendInt(nil, int64(len(msg)), 10), append([]byte(" "), msg...)...)
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(maxSend)); err != nil {
		return err
	}
	_, err := s.conn.Write(msg)
	return err
}

func (s *syslog) message(e keyturn.LogEntry) []byte {
	line := verify.Line(e)
	if s.network == "unixgram" {
		return fmt.Appendf(nil, "<%d>%s keyturn[%d]: %s", priority, time.Now().Format(time.Stamp), os.Getpid(), line)
	}
	var r struct {
		Time time.Time `json:"time"`
	}
	when := "-"
	if json.Unmarshal(e.Data, &r) == nil && !r.Time.IsZero() {
		when = r.Time.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	host, err := os.Hostname()
	if err != nil || host == "" || len(host) > 255 {
		host = "-"
	}
	return fmt.Appendf(nil, "<%d>1 %s %s keyturn %d audit - %s", priority, when, host, os.Getpid(), line)
}
