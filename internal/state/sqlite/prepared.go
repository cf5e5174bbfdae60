package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// connector opens connections that keep their prepared statements: to prepare the
// same few again for every call takes as long as to run them.
type connector struct {
	sqldriver.Connector
	private string // path of the database whose files are for their owner alone; "": SQLite's own way
	setup   func(*sqlite3.Conn) error
}

func newConnector(name, private string, setup func(*sqlite3.Conn) error) (*connector, error) {
	c, err := (&driver.SQLite{}).OpenConnector(name)
	return &connector{c, private, setup}, err
}

func (c *connector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	if c.private != "" {
		makePrivate(c.private)
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	made := conn.(driver.Conn)
	old := made.Raw().SetInterrupt(ctx)
	err = c.setup(made.Raw())
	made.Raw().SetInterrupt(old)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &keeping{Conn: made, ready: map[string]*prepared{}}, nil
}

// keeping is a connection with the statements that nobody uses just now.
// Package sql uses a connection from one goroutine at a time.
type keeping struct {
	driver.Conn
	ready map[string]*prepared
}

// maxReady is how many statements a connection keeps; state has fewer.
const maxReady = 64

func (k *keeping) PrepareContext(ctx context.Context, query string) (sqldriver.Stmt, error) {
	if p := k.ready[query]; p != nil {
		delete(k.ready, query)
		return p, nil
	}
	s, err := k.Conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &prepared{Stmt: s, of: k, query: query}, nil
}

func (k *keeping) ExecContext(ctx context.Context, query string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	switch query {
	case "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK": // every transaction has them
		return nil, sqldriver.ErrSkip // prepare it
	}
	return k.Conn.(sqldriver.ExecerContext).ExecContext(ctx, query, args)
}

func (k *keeping) CheckNamedValue(v *sqldriver.NamedValue) error {
	return k.Conn.(sqldriver.NamedValueChecker).CheckNamedValue(v)
}

func (k *keeping) Close() error {
	var errs []error
	for _, p := range k.ready {
		errs = append(errs, p.Stmt.Close())
	}
	k.ready = nil
	return errors.Join(append(errs, k.Conn.Close())...)
}

// prepared is a statement that goes back to its connection when it is closed. By
// then it is reset and its arguments are cleared: the driver does so at the end of
// each run.
type prepared struct {
	sqldriver.Stmt
	of    *keeping
	query string
}

func (p *prepared) Close() error {
	if p.of.ready == nil || p.of.ready[p.query] != nil || len(p.of.ready) >= maxReady {
		return p.Stmt.Close()
	}
	p.of.ready[p.query] = p
	return nil
}

func (p *prepared) QueryContext(ctx context.Context, args []sqldriver.NamedValue) (sqldriver.Rows, error) {
	return p.Stmt.(sqldriver.StmtQueryContext).QueryContext(ctx, args)
}

func (p *prepared) ExecContext(ctx context.Context, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	return p.Stmt.(sqldriver.StmtExecContext).ExecContext(ctx, args)
}

func (p *prepared) CheckNamedValue(v *sqldriver.NamedValue) error {
	return p.Stmt.(sqldriver.NamedValueChecker).CheckNamedValue(v)
}
