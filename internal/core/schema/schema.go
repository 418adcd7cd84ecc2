// Package schema is the shape of the database: one ordered series of migrations, one text for
// SQLite and PostgreSQL. The statements that use the tables live with their subjects.
//
// Every table that belongs to a tenant has tenant_id as the first column of its primary key.
// Times are microseconds since 1970 in UTC; zero stands for "never". JSON is opaque text: whatever
// is searched for has a column of its own.
package schema

import "embed"

// Files holds the migrations, named NNNN_subject.sql.
//
//go:embed *.sql
var Files embed.FS
