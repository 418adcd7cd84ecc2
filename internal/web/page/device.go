package page

// DeviceCode asks for the code that a device shows (RFC 8628 section 3.3). Posts ActionLookUp with
// user_code, or ActionSwitch.
type DeviceCode struct {
	Frame
	Email    string // who is signed in
	UserCode string // what is filled in already, by a link or the last attempt
	// Prefilled: the code came by a link, and nobody has compared it with a device yet.
	Prefilled bool
}

func (p DeviceCode) sheet() sheet {
	return sheet{name: "devicecode", revisit: true, args: args("email", p.Email), focus: "user_code"}
}

// DeviceConfirm asks whether the person started what a device waits for. Posts ActionLetIn with
// started, ActionTurnAway, or ActionSwitch.
type DeviceConfirm struct {
	Frame
	ClientName string
	ThirdParty bool // not run by the tenant: the page says that nobody vouches for it
	Email      string
	UserCode   string
	Scopes     []Scope
	Network    string // where the device asked from
	Place      Place
	Minutes    int // how long ago it asked
}

// Place says where a device asked from, seen from the person.
type Place string

// The places.
const (
	PlaceUnknown   Place = ""          // two kinds of address say nothing of each other
	PlaceHere      Place = "here"      // the person's own network
	PlaceElsewhere Place = "elsewhere" // another network
)

func (p DeviceConfirm) sheet() sheet {
	return sheet{name: "deviceconfirm", args: args("client", p.ClientName, "email", p.Email, "code", p.UserCode, "network", p.Network, "minutes", count(p.Minutes))}
}

// DeviceDone says that the device was let in.
type DeviceDone struct {
	Frame
	ClientName string
}

func (p DeviceDone) sheet() sheet {
	return sheet{name: "devicedone", args: args("client", p.ClientName)}
}

// DeviceDenied says that the device was turned away.
type DeviceDenied struct{ Frame }

func (p DeviceDenied) sheet() sheet { return sheet{name: "devicedenied"} }
