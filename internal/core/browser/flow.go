package browser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/id"
	"github.com/gatehouse-dev/gatehouse/internal/base/seal"
	"github.com/gatehouse-dev/gatehouse/internal/core/tenant"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// FlowLifetime is how long a page may stay open before its flow starts over.
const FlowLifetime = time.Hour

// maxSealedFlow bounds what is opened: the catalogue's maxima seal to some 18 KB, and to twice that
// where every character of theirs is one that JSON escapes.
const maxSealedFlow = 48 << 10

const flowPurpose = "authorization flow"

// Flow is a validated authorization request on its way through pages. It says what was asked and
// when, never how far the person has come: that is in the session.
type Flow struct {
	Request   *oauth.AuthorizationRequest `json:"r,omitempty"` // nil for a sign-in without an application
	StartedAt time.Time                   `json:"t"`
	// HintSubject is whom the application expects, by its id_token_hint.
	HintSubject string `json:"h,omitempty"`
	// Shown is what the consent page named, so that nothing else can be allowed by it.
	Shown oauth.Scope `json:"s,omitempty"`
	// SID is the session the page was drawn for: what it says about a person holds for no other.
	SID string `json:"i,omitempty"`
	// Challenge is the mailed code that the page asks for.
	Challenge string `json:"c,omitempty"`
	// Email is the address the page is about.
	Email string `json:"e,omitempty"`
	// Next is the page of ours that comes after signing in, in a flow without an application.
	Next string `json:"n,omitempty"`
	// Device is the device the page asks about.
	Device *Device `json:"d,omitempty"`
	// Logout is set on the page that asks whether to sign out.
	Logout *Logout `json:"l,omitempty"`
	// Binding is the hash of the browser's id.
	Binding []byte `json:"b"`
}

// Device is a device that waits to be let in, as a person found it by its code.
type Device struct {
	UserCode string `json:"c"`
	Handle   []byte `json:"h"`
}

// Logout is a validated request to sign out, waiting for the person to confirm it.
type Logout struct {
	ClientID string `json:"c,omitempty"`
	ReturnTo string `json:"r,omitempty"` // complete, state included
	// Astray: the application asked for an address that is not registered, so there is no ReturnTo.
	Astray bool `json:"a,omitempty"`
}

// Reason says why a person is asked to sign in.
type Reason int

// The reasons.
const (
	NotSignedIn    Reason = iota
	SignInAgain           // the application wants a fresh sign-in
	OtherPerson           // the application expects somebody else
	CreateAccount         // the application asks for sign-up first
	FlowWasExpired        // the page was open for too long
)

// Why a flow can not go on.
var (
	// ErrForeignFlow: the seal was made for another browser, or by nobody.
	ErrForeignFlow = errors.New("browser: flow does not belong to this browser")
	// ErrExpiredFlow: the page was open for too long. The flow that is returned with it may be
	// started again.
	ErrExpiredFlow = errors.New("browser: flow expired")
)

// SealFlow returns the flow as a form field, bound to the tenant and to the browser with this id.
func SealFlow(k *seal.Keyring, tn *tenant.Tenant, browserID string, f Flow) (string, error) {
	f.Binding = id.Hash(browserID)
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false) // it is sealed: no browser reads it, and "<" need not become six bytes
	if err := encoder.Encode(f); err != nil {
		return "", fmt.Errorf("browser: seal flow: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(k.Seal(flowPurpose, []byte(tn.ID), raw.Bytes())), nil
}

// OpenFlow opens a form field made by SealFlow for the browser with this id. The error is
// ErrForeignFlow, or ErrExpiredFlow together with the flow.
func OpenFlow(k *seal.Keyring, tn *tenant.Tenant, browserID, sealed string, now time.Time) (Flow, error) {
	if len(sealed) > maxSealedFlow || browserID == "" {
		return Flow{}, ErrForeignFlow
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return Flow{}, ErrForeignFlow
	}
	plain, err := k.Open(flowPurpose, []byte(tn.ID), raw)
	if err != nil {
		return Flow{}, ErrForeignFlow
	}
	var f Flow
	if err := json.Unmarshal(plain, &f); err != nil {
		return Flow{}, ErrForeignFlow
	}
	if string(f.Binding) != string(id.Hash(browserID)) {
		return Flow{}, ErrForeignFlow
	}
	if now.After(f.StartedAt.Add(FlowLifetime)) {
		return f, ErrExpiredFlow
	}
	return f, nil
}
