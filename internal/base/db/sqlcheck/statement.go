package sqlcheck

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/sqltext"
)

const (
	tenantColumn = "tenant_id"
	tenantParam  = "$1"
)

// tenantTables returns the tables that the migrations give a column tenant_id.
func tenantTables(migrations fs.FS) (map[string]bool, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return nil, err
	}
	tables := make(map[string]bool)
	for _, name := range names {
		script, err := fs.ReadFile(migrations, name)
		if err != nil {
			return nil, err
		}
		statements, err := sqltext.Split(string(script))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, s := range statements {
			tokens, err := sqltext.Tokens(s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			// CREATE TABLE [IF NOT EXISTS] t (… or ALTER TABLE t …
			if len(tokens) < 3 || !tokens[1].Is("TABLE") || !(tokens[0].Is("CREATE") || tokens[0].Is("ALTER")) {
				continue
			}
			table := tokens[2:]
			if table[0].Is("IF") {
				table = table[min(len(table)-1, 3):]
			}
			if slices.ContainsFunc(table, func(t sqltext.Token) bool { return t.Is(tenantColumn) }) {
				tables[strings.ToLower(table[0].Text)] = true
			}
		}
	}
	return tables, nil
}

// node is a token, or what stands between two parentheses.
type node struct {
	sqltext.Token
	group  []node
	isList bool
}

func (n node) is(words ...string) bool {
	return !n.isList && slices.ContainsFunc(words, n.Token.Is)
}

func (n node) symbol(s string) bool {
	return !n.isList && n.Kind == sqltext.Symbol && n.Text == s
}

func (n node) isTenantParam() bool {
	return !n.isList && n.Kind == sqltext.Param && n.Text == tenantParam
}

// nest groups tokens by their parentheses.
func nest(tokens []sqltext.Token) []node {
	nodes, _ := nestUntilClosed(tokens)
	return nodes
}

func nestUntilClosed(tokens []sqltext.Token) (nodes []node, rest []sqltext.Token) {
	for len(tokens) > 0 {
		t := tokens[0]
		tokens = tokens[1:]
		switch {
		case t.Kind == sqltext.Symbol && t.Text == "(":
			var group []node
			group, tokens = nestUntilClosed(tokens)
			nodes = append(nodes, node{Token: t, group: group, isList: true})
		case t.Kind == sqltext.Symbol && t.Text == ")":
			return nodes, tokens
		default:
			nodes = append(nodes, node{Token: t})
		}
	}
	return nodes, nil
}

// problems returns what is wrong with one text of a program. Text that is not SQL has none.
func problems(sql string, tables map[string]bool) []string {
	tokens, err := sqltext.Tokens(sql)
	if err != nil || len(tokens) == 0 {
		return nil // prose with an apostrophe
	}
	a := &analysis{tables: tables}
	if !isStatement(tokens) {
		a.fragment(tokens)
		return a.problems
	}
	a.statement(nest(tokens), nil)
	a.settle()
	return a.problems
}

// isStatement tells SQL from prose: its verb is in one case, and its other half is there too.
func isStatement(tokens []sqltext.Token) bool {
	first := tokens[0]
	if first.Text != strings.ToUpper(first.Text) && first.Text != strings.ToLower(first.Text) {
		return false
	}
	has := func(word string) bool {
		return slices.ContainsFunc(tokens, func(t sqltext.Token) bool { return t.Is(word) })
	}
	switch {
	case first.Is("SELECT"):
		return has("FROM")
	case first.Is("WITH"):
		return has("AS")
	case first.Is("UPDATE"):
		return has("SET")
	case first.Is("DELETE"):
		return has("FROM")
	case first.Is("INSERT"), first.Is("REPLACE"):
		return has("INTO")
	}
	return false
}

// analysis collects the tables a text touches, how each is bound to the tenant, and what is wrong.
type analysis struct {
	tables   map[string]bool
	refs     []*ref
	problems []string
}

// ref is one mention of a tenant's table.
type ref struct {
	table, alias string
	bound        bool
	from         []*ref // bound when one of these is
}

// scope holds the tables one SELECT, UPDATE or DELETE can name, inside those around it.
type scope struct {
	refs  []*ref
	outer *scope
}

func (s *scope) find(alias string) *ref {
	for ; s != nil; s = s.outer {
		for _, r := range s.refs {
			if strings.EqualFold(r.alias, alias) {
				return r
			}
		}
	}
	return nil
}

// only returns the tenant's table of the scope when there is exactly one.
func (s *scope) only() *ref {
	if len(s.refs) == 1 {
		return s.refs[0]
	}
	return nil
}

func (a *analysis) report(format string, args ...any) {
	if problem := fmt.Sprintf(format, args...); !slices.Contains(a.problems, problem) {
		a.problems = append(a.problems, problem)
	}
}

// settle spreads the binding along the equalities and reports the tables it does not reach.
func (a *analysis) settle() {
	for changed := true; changed; {
		changed = false
		for _, r := range a.refs {
			if !r.bound && slices.ContainsFunc(r.from, func(f *ref) bool { return f.bound }) {
				r.bound, changed = true, true
			}
		}
	}
	for _, r := range a.refs {
		switch {
		case r.bound:
		case r.alias == r.table:
			a.report("%s is not bound to the tenant: it needs tenant_id = $1", r.table)
		default:
			a.report("%s (as %s) is not bound to the tenant: it needs %s.tenant_id = $1", r.table, r.alias, r.alias)
		}
	}
}

// fragment reports a tenant's table named where no statement begins.
func (a *analysis) fragment(tokens []sqltext.Token) {
	for i, t := range tokens[:len(tokens)-1] {
		switch t.Text {
		case "FROM", "JOIN", "INTO", "UPDATE":
			if table := strings.ToLower(tokens[i+1].Text); a.tables[table] {
				a.report("a piece of SQL names %s: write the whole statement as one constant", table)
			}
		}
	}
}

// statement reads a query of any kind, the content of one pair of parentheses or of the whole text.
func (a *analysis) statement(nodes []node, outer *scope) {
	for len(nodes) > 0 {
		end := slices.IndexFunc(nodes, func(n node) bool {
			return n.is("UNION", "INTERSECT", "EXCEPT") || n.symbol(";")
		})
		if end < 0 {
			end = len(nodes)
		}
		// The second half of INSERT … SELECT … UNION SELECT … is judged with the first.
		if i := verb(nodes[:end]); i < end && nodes[i].is("INSERT", "REPLACE") {
			a.insert(nodes, i, outer)
			return
		}
		a.query(nodes[:end], outer)
		nodes = nodes[min(end+1, len(nodes)):]
		if len(nodes) > 0 && nodes[0].is("ALL") {
			nodes = nodes[1:]
		}
	}
}

// verb returns the index of the word that says what the statement does, behind a WITH.
func verb(nodes []node) int {
	i := slices.IndexFunc(nodes, func(n node) bool { return n.is("SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE") })
	if i < 0 {
		return len(nodes)
	}
	return i
}

// query reads one SELECT, UPDATE or DELETE and returns its scope.
func (a *analysis) query(nodes []node, outer *scope) *scope {
	s := &scope{outer: outer}
	i := verb(nodes)
	if i == len(nodes) {
		a.inside(nodes, outer)
		return s
	}
	body := nodes[i:]
	clauses := split(body)
	for _, c := range clauses {
		switch {
		case c.word.is("FROM", "UPDATE", "JOIN", "USING"):
			a.tableList(s, c.body)
		case c.word.is("SET") && body[0].is("UPDATE"):
			a.noTenantSet(c.body)
		}
	}
	for _, c := range clauses {
		switch {
		case c.word.is("WHERE"):
			a.conditions(s, c.body, nil, false)
		case c.word.is("ON"):
			a.conditions(s, c.body, s.find(c.joined), c.outerJoin)
		}
	}
	a.inside(nodes, s)
	return s
}

// clause is a keyword and what follows it, up to the next.
type clause struct {
	word node
	body []node
	// For ON: the alias of the table just joined, and whether rows that fail the condition survive.
	joined    string
	outerJoin bool
}

// split cuts a query into its clauses.
func split(nodes []node) []clause {
	var clauses []clause
	joined, outerJoin, keepsJoined := "", false, false
	for i, n := range nodes {
		switch {
		case i > 0 && n.is("FROM") && nodes[i-1].is("DISTINCT"): // x IS DISTINCT FROM y
			last := &clauses[len(clauses)-1]
			last.body = append(last.body, n)
		case i == 0, n.is("FROM", "JOIN", "ON", "WHERE", "SET", "USING", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT",
			"OFFSET", "FETCH", "RETURNING", "VALUES", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL"):
			switch {
			case n.is("LEFT"):
				outerJoin = true
			case n.is("RIGHT", "FULL"):
				outerJoin, keepsJoined = true, true
			case n.is("JOIN"):
				joined = ""
				if r := namedIn(nodes[i+1:]); r != nil && !keepsJoined {
					joined = r.alias
				}
				keepsJoined = false
			}
			clauses = append(clauses, clause{word: n, joined: joined, outerJoin: outerJoin})
			if n.is("ON") {
				outerJoin = false
			}
		default:
			last := &clauses[len(clauses)-1]
			last.body = append(last.body, n)
		}
	}
	return clauses
}

// tableList adds the tenant's tables of a FROM, JOIN, USING or UPDATE to the scope.
func (a *analysis) tableList(s *scope, nodes []node) {
	for _, item := range commas(nodes) {
		if len(item) > 0 && item[0].isList && !isQuery(item[0].group) {
			a.tableList(s, slices.DeleteFunc(slices.Clone(item[0].group), func(n node) bool { return n.is("JOIN") }))
			continue
		}
		if r := namedIn(item); r != nil && a.tables[r.table] {
			a.refs = append(a.refs, r)
			s.refs = append(s.refs, r)
		}
	}
}

// namedIn reads the table and alias a list item begins with.
func namedIn(item []node) *ref {
	if len(item) == 0 || item[0].isList || item[0].Kind != sqltext.Word {
		return nil
	}
	if len(item) > 2 && item[1].symbol(".") { // schema.table
		item = item[2:]
	}
	r := &ref{table: strings.ToLower(item[0].Text), alias: strings.ToLower(item[0].Text)}
	rest := item[1:]
	if len(rest) > 0 && rest[0].is("AS") {
		rest = rest[1:]
	}
	if len(rest) > 0 && !rest[0].isList && rest[0].Kind == sqltext.Word && !rest[0].is("ON", "SET", "WHERE", "USING", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "JOIN") {
		r.alias = strings.ToLower(rest[0].Text)
	}
	return r
}

// conditions notes the equalities of tenant_id that every row must meet. For the ON of an outer join only the joined table
// must: rows of the other side survive without.
func (a *analysis) conditions(s *scope, nodes []node, joined *ref, outerJoin bool) {
	for _, e := range equalities(nodes) {
		left, right := s.side(e[0]), s.side(e[1])
		bind := func(to, from side) {
			if to.ref == nil || !slices.Contains(s.refs, to.ref) || outerJoin && to.ref != joined {
				return
			}
			if from.param {
				to.ref.bound = true
			} else if from.ref != nil {
				to.ref.from = append(to.ref.from, from.ref)
			}
		}
		bind(left, right)
		bind(right, left)
	}
}

// side is one side of an equality: the tenant's parameter, or the tenant column of a table.
type side struct {
	param bool
	ref   *ref
}

func (s *scope) side(nodes []node) side {
	switch {
	case len(nodes) == 1 && nodes[0].isTenantParam():
		return side{param: true}
	case len(nodes) == 1 && nodes[0].is(tenantColumn):
		return side{ref: s.only()}
	case len(nodes) == 3 && nodes[1].symbol(".") && nodes[2].is(tenantColumn):
		return side{ref: s.find(nodes[0].Text)}
	}
	return side{}
}

// equalities returns both sides of every "x = y" that the condition makes necessary.
func equalities(nodes []node) [][2][]node {
	if slices.ContainsFunc(nodes, func(n node) bool { return n.is("OR", "CASE") }) {
		return nil
	}
	var found [][2][]node
	for len(nodes) > 0 {
		end := slices.IndexFunc(nodes, func(n node) bool { return n.is("AND") })
		if end < 0 {
			end = len(nodes)
		}
		part := nodes[:end]
		nodes = nodes[min(end+1, len(nodes)):]
		if len(part) == 1 && part[0].isList && !isQuery(part[0].group) {
			found = append(found, equalities(part[0].group)...)
			continue
		}
		if i := slices.IndexFunc(part, func(n node) bool { return n.symbol("=") }); i > 0 && i < len(part)-1 {
			found = append(found, [2][]node{part[:i], part[i+1:]})
		}
	}
	return found
}

// insert reads [WITH …] INSERT INTO t (columns) VALUES … | SELECT … [ON CONFLICT …] [RETURNING …]; the verb stands at.
func (a *analysis) insert(nodes []node, at int, outer *scope) {
	a.inside(nodes[:at], outer)
	rest := nodes[at+1:]
	if len(rest) > 0 && rest[0].is("INTO") {
		rest = rest[1:]
	}
	source := slices.IndexFunc(rest, func(n node) bool { return n.is("VALUES", "SELECT", "DEFAULT") })
	if source < 0 {
		source = len(rest)
	}
	head, rest := rest[:source], rest[source:]
	conflict := len(rest)
	for i := range rest {
		if rest[i].is("ON") && i+1 < len(rest) && rest[i+1].is("CONFLICT") {
			conflict = i
			break
		}
	}
	rows, rest := rest[:conflict], rest[conflict:]
	a.inside(rest, outer)

	position := -1
	target := namedIn(head)
	ours := target != nil && a.tables[target.table]
	if ours && head[len(head)-1].isList {
		columns := commas(head[len(head)-1].group)
		position = slices.IndexFunc(columns, func(c []node) bool { return len(c) == 1 && c[0].is(tenantColumn) })
	}
	given := a.rows(rows, position, outer)
	if !ours {
		return
	}
	switch {
	case position < 0:
		a.report("INSERT INTO %s must name tenant_id among its columns", target.table)
	case !given:
		a.report("INSERT INTO %s does not give tenant_id the value $1 in every row", target.table)
	}
	a.upsert(target.table, target.alias, rest)
}

// rows reads VALUES or SELECT, and reports whether $1, or the tenant column of a table that is itself checked, stands
// at the position in each.
func (a *analysis) rows(nodes []node, position int, outer *scope) (given bool) {
	if len(nodes) == 0 {
		return false
	}
	if !nodes[0].is("SELECT") {
		a.inside(nodes, outer)
		given = nodes[0].is("VALUES") && position >= 0
		for _, row := range commas(nodes[1:]) {
			if len(row) > 0 && row[0].isList { // and not of RETURNING
				values := commas(row[0].group)
				given = given && position < len(values) && len(values[position]) == 1 && values[position][0].isTenantParam()
			}
		}
		return given
	}
	given = position >= 0
	for len(nodes) > 0 {
		end := slices.IndexFunc(nodes, func(n node) bool { return n.is("UNION", "INTERSECT", "EXCEPT") })
		if end < 0 {
			end = len(nodes)
		}
		arm := nodes[:end]
		nodes = nodes[min(end+1, len(nodes)):]
		if len(arm) > 0 && arm[0].is("ALL") {
			arm = arm[1:]
		}
		s := a.query(arm, outer)
		if len(arm) == 0 || !given {
			given = false
			continue
		}
		list := commas(split(arm)[0].body)
		given = position < len(list) && s.side(list[position]) != side{}
	}
	return given
}

// upsert checks that a conflict with another tenant's row cannot change that row.
func (a *analysis) upsert(table, alias string, nodes []node) {
	do := slices.IndexFunc(nodes, func(n node) bool { return n.is("DO") })
	if do < 0 || do+1 >= len(nodes) || !nodes[do+1].is("UPDATE") {
		return
	}
	for _, n := range nodes[:do] {
		if n.isList && slices.ContainsFunc(n.group, func(n node) bool { return n.is(tenantColumn) }) {
			return
		}
	}
	for _, c := range split(nodes[do+1:]) {
		if !c.word.is("WHERE") {
			continue
		}
		s := &scope{refs: []*ref{{table: table, alias: alias}, {table: table, alias: "excluded"}}}
		for _, e := range equalities(c.body) {
			left, right := s.side(e[0]), s.side(e[1])
			if left.ref == s.refs[0] && (right.param || right.ref == s.refs[1]) ||
				right.ref == s.refs[0] && (left.param || left.ref == s.refs[1]) {
				return
			}
		}
	}
	a.report("ON CONFLICT DO UPDATE may change another tenant's row of %s: tenant_id must be among the conflict's columns", table)
}

// noTenantSet reports an UPDATE that gives a row to another tenant.
func (a *analysis) noTenantSet(nodes []node) {
	for _, assignment := range commas(nodes) {
		if len(assignment) > 1 && assignment[0].is(tenantColumn) && assignment[1].symbol("=") {
			a.report("tenant_id of a row must never change")
		}
	}
}

// inside reads the queries in the parentheses of nodes, at any depth.
func (a *analysis) inside(nodes []node, s *scope) {
	for _, n := range nodes {
		switch {
		case !n.isList:
		case isQuery(n.group):
			a.statement(n.group, s)
		default:
			a.inside(n.group, s)
		}
	}
}

func isQuery(nodes []node) bool {
	return len(nodes) > 0 && nodes[0].is("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
}

// commas splits a list.
func commas(nodes []node) [][]node {
	var items [][]node
	start := 0
	for i, n := range nodes {
		if n.symbol(",") {
			items = append(items, nodes[start:i])
			start = i + 1
		}
	}
	return append(items, nodes[start:])
}
