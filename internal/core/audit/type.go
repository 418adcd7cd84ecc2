package audit

// Type names what happened. The value is what is stored and shown; it never changes its meaning.
type Type string

// What happens to people and their sign-ins.
const (
	SignInSucceeded Type = "sign_in.succeeded"
	SignInFailed    Type = "sign_in.failed"
	SignInLimited   Type = "sign_in.limited" // the failure that used up a budget; Detail "budget" names it
	SignInFlood     Type = "sign_in.flood"   // the failure with which a server has seen so many, of all names and networks, that operators should look; Detail "failures"
	SignedOut       Type = "sign_out.succeeded"
	SessionEnded    Type = "session.ended"
	SessionsEnded   Type = "session.all_ended"

	SignUpStarted   Type = "sign_up.started"
	SignUpSucceeded Type = "sign_up.succeeded"
	SignUpFailed    Type = "sign_up.failed"

	PasswordResetStarted  Type = "password_reset.started"
	PasswordResetFailed   Type = "password_reset.failed"
	PasswordChanged       Type = "password.changed"
	PasswordUpgraded      Type = "password.upgraded"
	PasswordLinkIssued    Type = "password_link.issued"
	AdministratorInvited  Type = "administrator.invited"
	AdministratorCreated  Type = "administrator.created"
	SuspiciousActivityMet Type = "suspicious_activity.met"

	UserCreated   Type = "user.created"
	UserUpdated   Type = "user.updated"
	UserBlocked   Type = "user.blocked"
	UserUnblocked Type = "user.unblocked"
	UserDeleted   Type = "user.deleted"
	UserImported  Type = "user.imported"
)

// What happens between the house and applications.
const (
	ConsentGranted      Type = "consent.granted"
	ConsentWithdrawn    Type = "consent.withdrawn"
	CodeReplayed        Type = "code.replayed"
	RefreshTokenReused  Type = "refresh_token.reused"
	RefreshTokenRevoked Type = "refresh_token.revoked"
	AccessTokenRevoked  Type = "access_token.revoked"
	LogoutDelivered     Type = "backchannel_logout.delivered"
	LogoutFailed        Type = "backchannel_logout.failed" // given up; Detail "error" says why
	DeviceApproved      Type = "device.approved"
	DeviceDenied        Type = "device.denied"
	UserCodesLimited    Type = "user_code.limited" // the try that used up a budget; Detail "budget" names it
)

// What operators and administrators do.
const (
	ClientCreated        Type = "client.created"
	ClientUpdated        Type = "client.updated"
	ClientDeleted        Type = "client.deleted"
	ClientSecretRotated  Type = "client.secret_rotated"
	APICreated           Type = "api.created"
	APIUpdated           Type = "api.updated"
	APIDeleted           Type = "api.deleted"
	PermissionsGranted   Type = "permissions.granted"
	PermissionsWithdrawn Type = "permissions.withdrawn"
	SigningKeyCreated    Type = "signing_key.created"
	SigningKeyRevoked    Type = "signing_key.revoked"
	MasterKeyRotated     Type = "master_key.rotated"
)

// What happens to API keys.
const (
	APIKeyIssued  Type = "api_key.issued"
	APIKeyUpdated Type = "api_key.updated"
	APIKeyRotated Type = "api_key.rotated"
	APIKeyRevoked Type = "api_key.revoked"
	APIKeyLeaked  Type = "api_key.leaked"
)
