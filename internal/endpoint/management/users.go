package management

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
)

// User is a user as it is shown.
type User struct {
	UserID        string          `json:"user_id"`
	Email         string          `json:"email"`
	EmailVerified bool            `json:"email_verified"`
	Name          string          `json:"name"`
	GivenName     string          `json:"given_name"`
	FamilyName    string          `json:"family_name"`
	Nickname      string          `json:"nickname"`
	Picture       string          `json:"picture"`
	Blocked       bool            `json:"blocked"`
	UserMetadata  json.RawMessage `json:"user_metadata"`
	AppMetadata   json.RawMessage `json:"app_metadata"`
	LastLogin     string          `json:"last_login,omitempty"`
	LoginsCount   int64           `json:"logins_count"`
	CreatedAt     string          `json:"created_at"`
	UpdatedAt     string          `json:"updated_at"`
}

// ShowUser returns what is shown of a user.
func ShowUser(u *people.User) User {
	return User{
		UserID: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, Name: u.Name, GivenName: u.GivenName, FamilyName: u.FamilyName,
		Nickname: u.Nickname, Picture: u.Picture, Blocked: u.Blocked, UserMetadata: u.UserMetadata, AppMetadata: u.AppMetadata,
		LastLogin: stamp(u.LastLoginAt), LoginsCount: u.LoginsCount, CreatedAt: stamp(u.CreatedAt), UpdatedAt: stamp(u.UpdatedAt),
	}
}

// userInput is everything that may be set of a user. Password is named to be refused in words:
// nobody but its owner ever knows one.
type userInput struct {
	Connection    *string                    `json:"connection"`
	Password      *json.RawMessage           `json:"password"`
	Email         *string                    `json:"email"`
	EmailVerified *bool                      `json:"email_verified"`
	VerifyEmail   *bool                      `json:"verify_email"`
	Name          *string                    `json:"name"`
	GivenName     *string                    `json:"given_name"`
	FamilyName    *string                    `json:"family_name"`
	Nickname      *string                    `json:"nickname"`
	Picture       *string                    `json:"picture"`
	Blocked       *bool                      `json:"blocked"`
	UserMetadata  map[string]json.RawMessage `json:"user_metadata"`
	AppMetadata   map[string]json.RawMessage `json:"app_metadata"`
}

func (c *call) decodeUser() (in userInput, err error) {
	if err := c.decode(&in); err != nil {
		return in, err
	}
	if in.Password != nil {
		return in, fault.Field("password", "Nobody sets a password for somebody else: create the user without one, and send the link that POST /api/v2/tickets/password-change makes.")
	}
	if err := only("verify_email", in.VerifyEmail, false); err != nil { // no mail goes out for it
		return in, err
	}
	// The name of Auth0's default database means the local one, too.
	if in.Connection != nil && *in.Connection != people.LocalConnection && *in.Connection != "Username-Password-Authentication" {
		return in, fault.Field("connection", "The only connection is %q.", people.LocalConnection)
	}
	return in, nil
}

func listUsers(c *call) (answer, error) {
	p, err := c.query.paging()
	if err != nil {
		return answer{}, err
	}
	if engine := c.query.get("search_engine"); engine != "" && engine != "v3" {
		return answer{}, badQuery("Query validation error: search_engine can only be v3.")
	}
	email, err := emailOf(c.query)
	if err != nil {
		return answer{}, err
	}
	return c.listUsers(p, email)
}

// listUsersByEmail answers with everybody who has an address: an array, which is empty or not.
func listUsersByEmail(c *call) (answer, error) {
	email := c.query.get("email")
	if email == "" {
		return answer{}, badQuery("Query validation error: email is missing.")
	}
	return c.listUsers(paging{limit: maxPerPage}, email)
}

func (c *call) listUsers(p paging, email string) (answer, error) {
	users, total, err := c.People.List(c.ctx, c.tn, people.Query{Email: email, Offset: p.offset, Limit: p.limit})
	if err != nil {
		return answer{}, err
	}
	var items []User
	for i := range users {
		items = append(items, ShowUser(&users[i]))
	}
	return list(p, "users", items, total)
}

// emailOf reads the filter: email=ADDRESS, or of Auth0's query language the one form
// q=email:"ADDRESS". Anything else is refused: a filter that is passed over finds too much.
func emailOf(q query) (string, error) {
	text := q.get("q")
	if text == "" {
		return q.get("email"), nil
	}
	value, found := strings.CutPrefix(text, "email:")
	if unquoted, err := strconv.Unquote(value); err == nil {
		value = unquoted
	}
	if !found || value == "" || strings.ContainsAny(value, `" *()`) || q.get("email") != "" {
		return "", badQuery(`Query validation error: q takes email:"ADDRESS" and nothing else.`)
	}
	return value, nil
}

func getUser(c *call) (answer, error) {
	user, err := c.People.ByID(c.ctx, c.tn, c.id)
	if err != nil {
		return answer{}, named(err, "user")
	}
	return ok(ShowUser(user))
}

func createUser(c *call) (answer, error) {
	in, err := c.decodeUser()
	if err != nil {
		return answer{}, err
	}
	n := people.NewUser{}
	set(&n.Email, in.Email)
	set(&n.EmailVerified, in.EmailVerified)
	set(&n.Name, in.Name)
	set(&n.GivenName, in.GivenName)
	set(&n.FamilyName, in.FamilyName)
	set(&n.Nickname, in.Nickname)
	set(&n.Picture, in.Picture)
	set(&n.Blocked, in.Blocked)
	if n.UserMetadata, err = metadata(in.UserMetadata); err != nil {
		return answer{}, err
	}
	if n.AppMetadata, err = metadata(in.AppMetadata); err != nil {
		return answer{}, err
	}
	user, err := c.People.Create(c.ctx, c.tn, n, "", c.by())
	if err != nil {
		return answer{}, err
	}
	return created(ShowUser(user))
}

func metadata(m map[string]json.RawMessage) (json.RawMessage, error) {
	if m == nil {
		return nil, nil
	}
	return json.Marshal(m)
}

func updateUser(c *call) (answer, error) {
	in, err := c.decodeUser()
	if err != nil {
		return answer{}, err
	}
	user, err := c.SignIn.Update(c.ctx, c.tn, c.id, signin.Change{Blocked: in.Blocked, Patch: people.Patch{
		Email: in.Email, EmailVerified: in.EmailVerified, Name: in.Name, GivenName: in.GivenName, FamilyName: in.FamilyName,
		Nickname: in.Nickname, Picture: in.Picture, UserMetadata: in.UserMetadata, AppMetadata: in.AppMetadata,
	}}, c.by())
	if err != nil {
		return answer{}, named(err, "user")
	}
	return ok(ShowUser(user))
}

func deleteUser(c *call) (answer, error) {
	if err := c.SignIn.Delete(c.ctx, c.tn, c.id, c.by()); err != nil {
		return answer{}, named(err, "user")
	}
	return gone()
}

// permissionBody is a permission of a user.
type permissionBody struct {
	PermissionName           string `json:"permission_name"`
	Description              string `json:"description"`
	ResourceServerName       string `json:"resource_server_name"`
	ResourceServerIdentifier string `json:"resource_server_identifier"`
}

func listPermissions(c *call) (answer, error) {
	p, err := c.query.paging()
	if err != nil {
		return answer{}, err
	}
	if _, err := c.People.ByID(c.ctx, c.tn, c.id); err != nil {
		return answer{}, named(err, "user")
	}
	all, err := c.Access.All(c.ctx, c.tn, c.id)
	if err != nil {
		return answer{}, err
	}
	var items []permissionBody
	for _, held := range all[min(p.offset, len(all)):min(p.offset+p.limit, len(all))] {
		item := permissionBody{PermissionName: held.Value, ResourceServerIdentifier: held.Audience}
		api, err := c.Apps.API(c.ctx, c.tn, held.Audience)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return answer{}, err
		}
		if api != nil {
			item.ResourceServerName = api.Name
			for _, known := range api.Permissions {
				if known.Value == held.Value {
					item.Description = known.Description
				}
			}
		}
		items = append(items, item)
	}
	return list(p, "permissions", items, int64(len(all)))
}

// maxPermissions bounds one call.
const maxPermissions = 100

func (c *call) decodePermissions() ([]access.Permission, error) {
	var in struct {
		Permissions []struct {
			PermissionName           string `json:"permission_name"`
			ResourceServerIdentifier string `json:"resource_server_identifier"`
		} `json:"permissions"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.Permissions) == 0 || len(in.Permissions) > maxPermissions {
		return nil, fault.Field("permissions", "must be 1 to %d permissions", maxPermissions)
	}
	var out []access.Permission
	for _, p := range in.Permissions {
		out = append(out, access.Permission{Audience: p.ResourceServerIdentifier, Value: p.PermissionName})
	}
	return out, nil
}

func grantPermissions(c *call) (answer, error) {
	permissions, err := c.decodePermissions()
	if err != nil {
		return answer{}, err
	}
	for _, p := range permissions {
		if p.Audience != c.tn.ManagementAudience() {
			continue
		}
		if err := c.outrankRights([]string{p.Value}); err != nil {
			return answer{}, err
		}
	}
	if err := c.Admin.GrantPermissions(c.ctx, c.tn, c.id, permissions, c.by()); err != nil {
		return answer{}, named(err, "user")
	}
	return answer{http.StatusCreated, struct{}{}}, nil
}

func withdrawPermissions(c *call) (answer, error) {
	permissions, err := c.decodePermissions()
	if err != nil {
		return answer{}, err
	}
	if err := c.Admin.WithdrawPermissions(c.ctx, c.tn, c.id, permissions, c.by()); err != nil {
		return answer{}, named(err, "user")
	}
	return gone()
}
