package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/core/access"
	"github.com/gatehouse-dev/gatehouse/internal/core/people"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/endpoint/management"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// userCommand is the verbs on people.
type userCommand struct {
	Create       userCreate       `cmd:"" help:"Create an account. Its owner chooses the password."`
	List         userList         `cmd:"" help:"List people."`
	Show         userShow         `cmd:"" help:"Show somebody, with their permissions."`
	Update       userUpdate       `cmd:"" help:"Change somebody. What is not named stays."`
	Delete       userDelete       `cmd:"" help:"Delete somebody and end all they have."`
	Ban          userBan          `cmd:"" help:"Lock somebody out and end their sessions and tokens."`
	Unban        userUnban        `cmd:"" help:"Let somebody in again. What has ended stays ended."`
	PasswordLink userPasswordLink `cmd:"" help:"Print a link under which somebody chooses a password, once."`
	Import       userImport       `cmd:"" help:"Import people with their password hashes."`
}

// userFlags are what is known of somebody.
type userFlags struct {
	Name       *string `help:"Full name." placeholder:"TEXT"`
	GivenName  *string `help:"First name." placeholder:"TEXT"`
	FamilyName *string `help:"Last name." placeholder:"TEXT"`
	Nickname   *string `help:"What friends say." placeholder:"TEXT"`
	Picture    *string `help:"Address of a picture." placeholder:"URL"`
	Verified   *bool   `help:"The address is theirs: somebody has seen to it." negatable:""`
}

// permissionFlags are what somebody may do.
type permissionFlags struct {
	Allow         []string `help:"Give permissions at an API, as 'IDENTIFIER=VALUE VALUE'." placeholder:"PERMISSIONS" sep:"none"`
	Administrator bool     `help:"Give every permission at the management API."`
}

// wanted returns the permissions, each of which there is: nothing is changed for the sake of one that there is not.
func (f permissionFlags) wanted(ctx context.Context, h *server.House) ([]access.Permission, error) {
	wanted, err := parsePermissions(f.Allow)
	if err != nil {
		return nil, err
	}
	if f.Administrator {
		for _, p := range server.ManagementPermissions() {
			wanted = append(wanted, access.Permission{Audience: h.Tenant.ManagementAudience(), Value: p.Value})
		}
	}
	return wanted, h.Admin().CheckPermissions(ctx, h.Tenant, wanted)
}

func parsePermissions(flags []string) (out []access.Permission, err error) {
	for _, f := range flags {
		audience, values, ok := cutLast(f, "=")
		if !ok || audience == "" || strings.TrimSpace(values) == "" {
			return nil, fault.Field("permissions", "%q must be IDENTIFIER=VALUE VALUE, such as 'https://api.example.com/=read:shows'", f)
		}
		for _, v := range strings.Fields(values) {
			out = append(out, access.Permission{Audience: audience, Value: v})
		}
	}
	return out, nil
}

type userCreate struct {
	verb
	Email string `arg:"" help:"The address they sign in with."`
	userFlags
	permissionFlags
	Link bool `help:"Print a password link, too."`
}

// Help shows an example.
func (userCreate) Help() string {
	return `Nobody sets a password for somebody else: hand the link over, or let them use "Forgot password".

  gatehouse user create ada@example.com --name "Ada Lovelace" --allow 'https://api.example.com/=read:orders' --link --config gatehouse.yaml`
}

// Run creates the account and prints it.
func (c *userCreate) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		n := people.NewUser{Email: c.Email}
		set(&n.Name, c.Name)
		set(&n.GivenName, c.GivenName)
		set(&n.FamilyName, c.FamilyName)
		set(&n.Nickname, c.Nickname)
		set(&n.Picture, c.Picture)
		set(&n.EmailVerified, c.Verified)
		wanted, err := c.wanted(ctx, h)
		if err != nil {
			return err
		}
		user, err := h.People.Create(ctx, h.Tenant, n, "", operator())
		if err != nil {
			return err
		}
		if len(wanted) > 0 {
			if err := h.Admin().GrantPermissions(ctx, h.Tenant, user.ID, wanted, operator()); err != nil {
				return fmt.Errorf("the account was made, but: %s", explain(err, flagOf))
			}
		}
		link := ""
		if c.Link {
			if link, err = h.PasswordLink(ctx, user.ID, 0, false, operator()); err != nil {
				return err
			}
		}
		return printUser(ctx, to, h, user, link, c.JSON)
	})
}

type userList struct {
	verb
	Email string `help:"Only those with this address." placeholder:"EMAIL"`
}

// Run prints everybody.
func (c *userList) Run(ctx context.Context, to streams) error {
	return c.with(ctx, to, func(h *server.House) error {
		var shown []management.User
		rows := [][]string{}
		for q := (people.Query{Email: c.Email, Limit: 100}); ; q.Offset += q.Limit {
			users, _, err := h.People.List(ctx, h.Tenant, q)
			if err != nil {
				return err
			}
			for i := range users {
				u := &users[i]
				shown = append(shown, management.ShowUser(u))
				rows = append(rows, []string{u.ID, u.Email, u.Name, yes(u.EmailVerified), yes(u.Blocked), when(u.LastLoginAt)})
			}
			if len(users) < q.Limit {
				break
			}
		}
		if c.JSON {
			return printJSON(to.Out, orNone(shown))
		}
		return table(to.Out, []string{"USER ID", "EMAIL", "NAME", "VERIFIED", "BANNED", "LAST SIGN-IN"}, rows)
	})
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// userArg names somebody.
type userArg struct {
	User string `arg:"" help:"Their e-mail address, or their id." placeholder:"USER"`
}

// find returns who is meant.
func (a userArg) find(ctx context.Context, h *server.House) (*people.User, error) {
	if !strings.Contains(a.User, "@") {
		user, err := h.People.ByID(ctx, h.Tenant, a.User)
		return user, fixable(err, "gatehouse user list shows those there are")
	}
	account, err := h.People.ByLogin(ctx, h.Tenant, a.User)
	if err != nil {
		return nil, fixable(err, "gatehouse user list shows those there are")
	}
	return &account.User, nil
}

// withUser does something about somebody.
func (a userArg) withUser(ctx context.Context, to streams, f houseFlags, do func(h *server.House, u *people.User) error) error {
	return f.with(ctx, to, func(h *server.House) error {
		user, err := a.find(ctx, h)
		if err != nil {
			return err
		}
		return do(h, user)
	})
}

type userShow struct {
	verb
	userArg
}

// Run prints somebody.
func (c *userShow) Run(ctx context.Context, to streams) error {
	return c.withUser(ctx, to, c.houseFlags, func(h *server.House, u *people.User) error {
		return printUser(ctx, to, h, u, "", c.JSON)
	})
}

type userUpdate struct {
	verb
	userArg
	Email *string `help:"A new address, which is also the new name to sign in with." placeholder:"EMAIL"`
	userFlags
	permissionFlags
	Withdraw []string `help:"Take permissions at an API away, as 'IDENTIFIER=VALUE VALUE'." placeholder:"PERMISSIONS" sep:"none"`
}

// Run changes somebody and prints them.
func (c *userUpdate) Run(ctx context.Context, to streams) error {
	return c.withUser(ctx, to, c.houseFlags, func(h *server.House, u *people.User) (err error) {
		allow, err := c.wanted(ctx, h)
		if err != nil {
			return err
		}
		withdraw, err := parsePermissions(c.Withdraw)
		if err != nil {
			return err
		}
		patch := people.Patch{
			Email: c.Email, EmailVerified: c.Verified, Name: c.Name, GivenName: c.GivenName, FamilyName: c.FamilyName, Nickname: c.Nickname, Picture: c.Picture,
		}
		if u, err = h.SignIn.Update(ctx, h.Tenant, u.ID, signin.Change{Patch: patch}, operator()); err != nil {
			return err
		}
		if len(allow) > 0 {
			if err := h.Admin().GrantPermissions(ctx, h.Tenant, u.ID, allow, operator()); err != nil {
				return err
			}
		}
		if len(withdraw) > 0 {
			if err := h.Admin().WithdrawPermissions(ctx, h.Tenant, u.ID, withdraw, operator()); err != nil {
				return err
			}
		}
		return printUser(ctx, to, h, u, "", c.JSON)
	})
}

type userDelete struct {
	houseFlags
	userArg
}

// Run deletes somebody.
func (c *userDelete) Run(ctx context.Context, to streams) error {
	return c.withUser(ctx, to, c.houseFlags, func(h *server.House, u *people.User) error {
		if err := h.SignIn.Delete(ctx, h.Tenant, u.ID, operator()); err != nil {
			return err
		}
		fmt.Fprintf(to.Err, "Deleted %s and ended their sessions and tokens.\n", u.Email)
		return nil
	})
}

type userBan struct {
	houseFlags
	userArg
}

// Run locks somebody out.
func (c *userBan) Run(ctx context.Context, to streams) error {
	return c.withUser(ctx, to, c.houseFlags, func(h *server.House, u *people.User) error {
		if err := h.SignIn.Block(ctx, h.Tenant, u.ID, operator()); err != nil {
			return err
		}
		fmt.Fprintf(to.Err, "Banned %s and ended their sessions and tokens.\n", u.Email)
		return nil
	})
}

type userUnban struct {
	houseFlags
	userArg
}

// Run lets somebody in again.
func (c *userUnban) Run(ctx context.Context, to streams) error {
	return c.withUser(ctx, to, c.houseFlags, func(h *server.House, u *people.User) error {
		if err := h.SignIn.Unblock(ctx, h.Tenant, u.ID, operator()); err != nil {
			return err
		}
		fmt.Fprintf(to.Err, "%s can sign in again.\n", u.Email)
		return nil
	})
}

type userPasswordLink struct {
	verb
	userArg
	Valid time.Duration `help:"How long the link is good for." default:"168h"`
	Mail  bool          `help:"Send it to them, too."`
}

// maxLink is how long a link may be good for.
const maxLink = 30 * 24 * time.Hour

// Run prints the link.
func (c *userPasswordLink) Run(ctx context.Context, to streams) error {
	if c.Valid < time.Minute || c.Valid > maxLink {
		return fault.Field("valid", "must be 1m to %s", maxLink)
	}
	return c.withUser(ctx, to, c.houseFlags, func(h *server.House, u *people.User) error {
		link, err := h.PasswordLink(ctx, u.ID, c.Valid, c.Mail, operator())
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(to.Out, map[string]string{"ticket": link})
		}
		fmt.Fprintln(to.Out, link)
		fmt.Fprintf(to.Err, "It works once, within %s, and ends older links of %s.\n", c.Valid, u.Email)
		return nil
	})
}

type userImport struct {
	verb
	File string `arg:"" help:"A JSON array of users, or one user on each line; - for standard input."`
}

// Help describes the file.
func (userImport) Help() string {
	return `The fields are those of Auth0's bulk import: email, email_verified, user_id, name, given_name, family_name,
nickname, picture, blocked, user_metadata, app_metadata, and password_hash (bcrypt, or Argon2id as a PHC string).
Hashes are replaced by better ones as their owners sign in. Each user is imported whole or not at all;
importing the same file again does no harm.

  {"email":"ada@example.com","email_verified":true,"name":"Ada","password_hash":"$2b$10$..."}`
}

// Run imports the file and reports. It fails if any user was left out.
func (c *userImport) Run(ctx context.Context, to streams) error {
	in := io.NopCloser(to.In)
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		in = file
	}
	defer in.Close()
	return c.with(ctx, to, func(h *server.House) error {
		report, err := h.People.Import(ctx, h.Tenant, in, operator())
		if c.JSON {
			type failure struct {
				Line  int    `json:"line"`
				Email string `json:"email"`
				Error string `json:"error"`
			}
			failures := []failure{}
			for _, f := range report.Failures {
				failures = append(failures, failure{f.Line, f.Email, explain(f.Err, asItStands)})
			}
			if err := printJSON(to.Out, map[string]any{"created": report.Created, "failures": failures}); err != nil {
				return err
			}
		} else {
			for _, f := range report.Failures {
				fmt.Fprintf(to.Err, "%s:%d: %s\n", c.File, f.Line, strings.TrimPrefix(f.Email+": "+explain(f.Err, asItStands), ": "))
			}
			fmt.Fprintf(to.Out, "%d imported, %d left out\n", report.Created, len(report.Failures))
		}
		if err == nil && len(report.Failures) > 0 {
			err = fmt.Errorf("%d of %d people were not imported", len(report.Failures), report.Created+len(report.Failures))
		}
		return err
	})
}

func printUser(ctx context.Context, to streams, h *server.House, u *people.User, link string, asJSON bool) error {
	held, err := h.Access.All(ctx, h.Tenant, u.ID)
	if err != nil {
		return err
	}
	if asJSON {
		type permission struct {
			Name     string `json:"permission_name"`
			Audience string `json:"resource_server_identifier"`
		}
		shown := struct {
			management.User
			Permissions []permission `json:"permissions"`
			Ticket      string       `json:"ticket,omitempty"`
		}{management.ShowUser(u), []permission{}, link}
		for _, p := range held {
			shown.Permissions = append(shown.Permissions, permission{p.Value, p.Audience})
		}
		return printJSON(to.Out, shown)
	}
	var permissions []string
	for _, p := range held {
		permissions = append(permissions, p.Audience+"="+p.Value)
	}
	return details(to.Out,
		field{"user_id", u.ID}, field{"email", u.Email}, field{"verified", yes(u.EmailVerified)}, field{"name", u.Name}, field{"given name", u.GivenName},
		field{"family name", u.FamilyName}, field{"nickname", u.Nickname}, field{"picture", u.Picture}, field{"banned", yes(u.Blocked)},
		field{"last sign-in", when(u.LastLoginAt)}, field{"created", when(u.CreatedAt)}, field{"permissions", lines(permissions)}, field{"password link", link},
	)
}
