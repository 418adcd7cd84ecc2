package signin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/gatehouse-dev/gatehouse/internal/base/fault"
	"github.com/gatehouse-dev/gatehouse/internal/base/httpx"
	"github.com/gatehouse-dev/gatehouse/internal/base/limit"
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/audit"
	"github.com/gatehouse-dev/gatehouse/internal/core/browser"
	"github.com/gatehouse-dev/gatehouse/internal/core/grants"
	"github.com/gatehouse-dev/gatehouse/internal/core/signin"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/internal/web/page"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// A device is let in over three pages: who is it (signing in, if nobody is), which device (its code),
// and whether the person started this. Nothing but the last button decides: no link, no session and
// no earlier consent stands for it (RFC 8628 section 5.4).

// GetDevice asks for the code that a device shows. A link may bring it along; it is filled in then,
// and nothing is looked up.
func (h *Handler) GetDevice(w http.ResponseWriter, r *http.Request) {
	session, err := h.session(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	code, _ := oauth.ParseUserCode(r.URL.Query().Get("user_code"))
	f := browser.Flow{StartedAt: h.Clock.Now(), Next: devicePath(code)}
	if session == nil {
		h.showSignIn(w, r, http.StatusOK, f, nil, "", page.NoticeDevice)
		return
	}
	h.showDeviceCode(w, r, http.StatusOK, form{flow: f, session: session}, code, true)
}

// devicePath is the page with a code filled in; a text that is no code is left out.
func devicePath(code string) string {
	if _, ok := oauth.ParseUserCode(code); !ok {
		return PathDevice
	}
	return PathDevice + "?" + url.Values{"user_code": {oauth.ShowUserCode(code)}}.Encode()
}

// PostDevice serves the forms of both pages.
func (h *Handler) PostDevice(w http.ResponseWriter, r *http.Request) {
	in, ok := h.post(w, r)
	if !ok {
		return
	}
	action := in.get(page.FieldAction)
	switch {
	case in.session == nil, action == page.ActionSwitch:
		h.showSignIn(w, r, http.StatusOK, browser.Flow{StartedAt: h.Clock.Now(), Next: in.flow.Next}, nil, "", page.NoticeDevice)
	case action == page.ActionLookUp:
		h.lookUpDevice(w, r, in)
	case in.flow.Device != nil && in.expected() && (action == page.ActionLetIn || action == page.ActionTurnAway):
		h.decideDevice(w, r, in, action)
	default: // drawn for somebody else, or out of order
		h.seeOther(w, cmp.Or(in.flow.Next, PathDevice))
	}
}

// lookUpDevice finds the device that shows what was typed. Who types wrong codes may do so only a few
// times; a text that can be no code tells nothing and is not counted.
func (h *Handler) lookUpDevice(w http.ResponseWriter, r *http.Request, in form) {
	tn, typed := tenant.From(r.Context()), in.get(page.FieldUserCode)
	code, ok := oauth.ParseUserCode(typed)
	if !ok {
		h.showDeviceCode(w, r, http.StatusUnprocessableEntity, in, typed, false, page.ErrUserCode)
		return
	}
	var found *grants.DeviceRequest
	err := h.SignIn.TryUserCode(r.Context(), tn, in.session, h.from(r, in.flow), func() (err error) {
		if found, err = h.Grants.DeviceByUserCode(r.Context(), tn, code); err != nil {
			return err
		}
		return found.Undecided(h.Clock.Now())
	})
	if err != nil {
		h.deviceTrouble(w, r, in, code, err)
		return
	}
	in.flow.Device = &browser.Device{UserCode: code, Handle: found.Handle}
	in.flow.Next = devicePath(code)
	h.showDeviceConfirm(w, r, http.StatusOK, in, found)
}

// decideDevice is the person's word. Letting in takes that they say they started it.
func (h *Handler) decideDevice(w http.ResponseWriter, r *http.Request, in form, action string) {
	tn, code := tenant.From(r.Context()), in.flow.Device.UserCode
	device, err := h.Grants.Device(r.Context(), tn, in.flow.Device.Handle)
	if err == nil {
		err = device.Undecided(h.Clock.Now())
	}
	if err != nil {
		h.deviceTrouble(w, r, in, code, err)
		return
	}
	by := audit.Origin{Actor: in.session.UserID, Address: httpx.ClientAddr(r).Unmap().String(), UserAgent: r.UserAgent()}
	if action == page.ActionTurnAway {
		if err := h.Grants.DenyDevice(r.Context(), tn, device, in.session.UserID, by); err != nil {
			h.deviceTrouble(w, r, in, code, err)
			return
		}
		h.Render.Render(w, r, http.StatusOK, page.DeviceDenied{Frame: h.plain(tn)})
		return
	}
	if in.get(page.FieldStarted) == "" {
		h.showDeviceConfirm(w, r, http.StatusUnprocessableEntity, in, device, page.ErrStarted)
		return
	}
	client, err := h.letIn(r.Context(), tn, device, in.session, by)
	if err != nil {
		h.deviceTrouble(w, r, in, code, err)
		return
	}
	h.Render.Render(w, r, http.StatusOK, page.DeviceDone{Frame: h.plain(tn), ClientName: client.Name})
}

// letIn records what the page said: also that its scopes are allowed, where every refresh asks for it.
func (h *Handler) letIn(ctx context.Context, tn *tenant.Tenant, d *grants.DeviceRequest, s *signin.Session, by audit.Origin) (*apps.Client, error) {
	client, err := h.deviceClient(ctx, tn, d)
	if err != nil {
		return nil, err
	}
	api, err := h.deviceAPI(ctx, tn, d)
	if err != nil {
		return nil, err
	}
	auth := grants.Authentication{SID: s.SID, Time: s.AuthTime, AMR: s.AMR, ACR: s.ACR}
	return client, h.Grants.ApproveDevice(ctx, tn, d, s.UserID, auth, client.NeedsConsent(api), by)
}

// deviceAPI is the API a device asks for; nil for none, or for one that is gone.
func (h *Handler) deviceAPI(ctx context.Context, tn *tenant.Tenant, d *grants.DeviceRequest) (*apps.API, error) {
	api, err := h.Apps.API(ctx, tn, d.Audience)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return api, err
}

// deviceClient is the application that asked, which may have been changed since.
func (h *Handler) deviceClient(ctx context.Context, tn *tenant.Tenant, d *grants.DeviceRequest) (*apps.Client, error) {
	client, err := h.Apps.Client(ctx, tn, d.ClientID)
	if fault.Is(err, fault.NotFound) || err == nil && (client.Disabled || !client.MayUse(oauth.GrantDeviceCode)) {
		return nil, grants.ErrDeviceDecided
	}
	return client, err
}

// deviceTrouble says on the page for the code why a device can not be let in.
func (h *Handler) deviceTrouble(w http.ResponseWriter, r *http.Request, in form, code string, err error) {
	var why page.Message
	switch {
	case errors.Is(err, grants.ErrUserCode):
		why = page.ErrUserCode
	case errors.Is(err, grants.ErrDeviceExpired):
		why = page.ErrUserCodeExpired
	case errors.Is(err, grants.ErrDeviceDecided):
		why = page.ErrUserCodeUsed
	case errors.Is(err, grants.ErrSessionEnded): // signed out in another tab at this moment
		h.showSignIn(w, r, http.StatusOK, browser.Flow{StartedAt: h.Clock.Now(), Next: in.flow.Next}, nil, "", page.NoticeDevice)
		return
	default:
		h.fail(w, r, err)
		return
	}
	in.flow.Device = nil
	h.showDeviceCode(w, r, http.StatusUnprocessableEntity, in, oauth.ShowUserCode(code), false, why)
}

func (h *Handler) showDeviceCode(w http.ResponseWriter, r *http.Request, status int, in form, code string, byLink bool, errs ...page.Message) {
	if parsed, ok := oauth.ParseUserCode(code); ok {
		code = oauth.ShowUserCode(parsed)
	} else if byLink {
		code = ""
	}
	frame := h.frame(w, r, PathDevice, in.flow, nil)
	frame.Errors = errs
	h.Render.Render(w, r, status, page.DeviceCode{Frame: frame, Email: in.session.Email, UserCode: code, Prefilled: byLink && code != ""})
}

func (h *Handler) showDeviceConfirm(w http.ResponseWriter, r *http.Request, status int, in form, d *grants.DeviceRequest, errs ...page.Message) {
	tn := tenant.From(r.Context())
	client, err := h.deviceClient(r.Context(), tn, d)
	if err != nil {
		h.deviceTrouble(w, r, in, in.flow.Device.UserCode, err)
		return
	}
	api, err := h.deviceAPI(r.Context(), tn, d) // without one, scopes have their names
	if err != nil {
		h.fail(w, r, err)
		return
	}
	in.flow.SID = in.session.SID
	frame := h.frame(w, r, PathDevice, in.flow, nil)
	frame.Errors = errs
	h.Render.Render(w, r, status, page.DeviceConfirm{
		Frame: frame, ClientName: client.Name, ThirdParty: client.ThirdParty, Email: in.session.Email,
		UserCode: oauth.ShowUserCode(in.flow.Device.UserCode), Scopes: scopes(d.Scope, api),
		Network: shownNetwork(d.Network), Place: place(d.Network, httpx.ClientAddr(r)),
		Minutes: int(h.Clock.Now().Sub(d.CreatedAt).Minutes()),
	})
}

// place compares where a device asked from with where the person is. An IPv4 address and an IPv6 one may
// well be of one household.
func place(network string, person netip.Addr) page.Place {
	device, err := netip.ParsePrefix(network)
	person = person.Unmap()
	switch {
	case err != nil || !person.IsValid():
		return page.PlaceUnknown
	case network == limit.Network(person), device.Addr().IsLoopback() && person.IsLoopback():
		return page.PlaceHere
	case device.Addr().Is4() != person.Is4():
		return page.PlaceUnknown
	}
	return page.PlaceElsewhere
}

// shownNetwork leaves out that an address is all there is of a network.
func shownNetwork(network string) string {
	if p, err := netip.ParsePrefix(network); err == nil && p.IsSingleIP() {
		return p.Addr().String()
	}
	return network
}
