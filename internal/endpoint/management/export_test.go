package management

// Route is what tests see of a route.
type Route struct {
	Method, Path, Permission string
	Query                    []string
	TakesBody                bool
}

// Routes returns the whole table.
func Routes() []Route {
	var out []Route
	for _, r := range routes() {
		out = append(out, Route{r.method, r.path, r.permission, r.parameters(), r.takesBody})
	}
	return out
}

// WithoutPermission returns what New says of a table in which one route declares this permission.
func WithoutPermission(o Options, permission string) error {
	table := routes()
	table[len(table)-1].permission = permission
	return checkRoutes(table, o.Permissions)
}

// Bodies, as the tests see those that nobody else has to name.
type (
	GrantBody      = grantBody
	LogBody        = logBody
	PermissionBody = permissionBody
	KeyUse         = keyUse

	ClientInput         = clientInput
	OIDCLogoutInput     = logoutInput
	UserInput           = userInput
	ResourceServerInput = apiInput
	APIKeyInput         = newKeyInput
	APIKeyChange        = keyInput
)
