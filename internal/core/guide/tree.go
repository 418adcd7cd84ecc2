package guide

import (
	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// Tree returns every kind of application with the SDKs that serve it, the usual one first.
func Tree() []Building {
	return []Building{
		{
			ID: "server-rendered", Title: "Server-rendered", Means: "pages made on a server, which keeps the session", Type: apps.RegularWeb,
			SDKs: []SDK{nextAuth0(), goLogin(), expressOIDC(), passport(), authJS(), nextAuth4(), nextAuth03(), generic()},
		},
		{
			ID: "spa", Title: "Single page", Means: "static files; the code runs in the browser and calls an API", Type: apps.SPA,
			SDKs: []SDK{auth0React(), spaJS(), spaJS1(), oidcClientTS(), genericBrowser()},
		},
		{
			ID: "mobile", Title: "Mobile or desktop", Means: "installed on a device; signs in by the system's browser", Type: apps.Native,
			Notes: []string{"No SDK for phones is proven here yet. What follows is standard OpenID Connect (RFC 8252), which AppAuth and its like speak."},
			SDKs:  []SDK{genericNative()},
		},
		{
			ID: "serverless", Title: "Serverless", Means: "functions and static files; the session is an encrypted cookie, or in the browser", Type: apps.RegularWeb,
			SDKs: []SDK{nextAuth0(), nextAuth03(), authJS(), nextAuth4(), goLogin(), auth0React()},
		},
		{
			ID: "service", Title: "Service to service", Means: "a program that calls an API in its own name, without a person", Type: apps.Machine,
			SDKs: []SDK{goCredentials(), curl()},
		},
		{
			ID: "script", Title: "Script or command line", Means: "a person runs it in a terminal and signs in", Type: apps.Native,
			Notes: []string{"For a script that runs without a person, choose service to service."},
			SDKs:  []SDK{goLoopback(), goDevice()},
		},
		{
			ID: "enterprise", Title: "Enterprise", Means: "people sign in with the account of their company", Type: apps.RegularWeb,
			Notes: []string{
				"Possible today: this house is an OpenID Connect provider, and whatever speaks that can sign people in here.",
				"Not possible yet: SAML 2.0, CAS, and sign-in by the company's own provider. Until then people have an account here.",
			},
			SDKs: []SDK{generic(), nextAuth0(), goLogin(), expressOIDC()},
		},
		{
			ID: "api", Title: "An API", Means: "it takes access tokens, and signs nobody in",
			SDKs: []SDK{goBearer(), spring(), authlib()},
		},
	}
}

const devPort = "http://localhost:3000"

func auth0React() SDK {
	return SDK{
		ID: "auth0-react", Title: "React, auth0-react 2", Package: "@auth0/auth0-react@2.27.0", typ: apps.SPA,
		Origin: "http://localhost:5173", Callbacks: []string{""}, LogoutURLs: []string{""}, WebOrigins: true,
	}
}

func spaJS() SDK {
	return SDK{
		ID: "auth0-spa-js", Title: "Any or no framework, auth0-spa-js 2", Package: "@auth0/auth0-spa-js@2.27.0",
		Origin: "http://localhost:5173", Callbacks: []string{""}, LogoutURLs: []string{""}, WebOrigins: true,
	}
}

func spaJS1() SDK {
	return SDK{
		ID: "auth0-spa-js-v1", Title: "auth0-spa-js 1, where it is in use already", Package: "@auth0/auth0-spa-js@1.22.6",
		Origin: devPort, Callbacks: []string{""}, LogoutURLs: []string{""}, WebOrigins: true,
		Notes: []string{"Versions before 1.17.0 put https in front of every domain, and so work with an https issuer alone."},
	}
}

func oidcClientTS() SDK {
	return SDK{
		ID: "oidc-client-ts", Title: "Any or no framework, oidc-client-ts", Package: "oidc-client-ts@3.5.0",
		Origin: "http://localhost:5173", Callbacks: []string{"/callback"}, LogoutURLs: []string{""}, WebOrigins: true,
	}
}

func nextAuth0() SDK {
	return SDK{
		ID: "nextjs-auth0", Title: "Next.js, nextjs-auth0 4", Package: "@auth0/nextjs-auth0@4.30.0",
		Origin: devPort, Callbacks: []string{"/auth/callback"}, LogoutURLs: []string{""}, BackchannelLogout: "/auth/backchannel-logout",
	}
}

func nextAuth03() SDK {
	return SDK{
		ID: "nextjs-auth0-v3", Title: "Next.js, nextjs-auth0 3", Package: "@auth0/nextjs-auth0@3.8.0",
		Origin: devPort, Callbacks: []string{"/api/auth/callback"}, LogoutURLs: []string{""}, BackchannelLogout: "/api/auth/backchannel-logout",
		Notes: []string{"The package takes Next.js up to 15 (npm install next@15). With Next.js 16 use nextjs-auth0 4."},
	}
}

func nextAuth4() SDK {
	return SDK{
		ID: "next-auth-v4", Title: "Next.js, NextAuth.js 4", Package: "next-auth@4.24.15",
		Origin: devPort, Callbacks: []string{"/api/auth/callback/auth0"}, LogoutURLs: []string{""},
	}
}

func authJS() SDK {
	return SDK{
		ID: "authjs", Title: "Next.js, Auth.js 5", Package: "next-auth@5.0.0-beta.32",
		Origin: devPort, Callbacks: []string{"/api/auth/callback/auth0"}, LogoutURLs: []string{""},
	}
}

func expressOIDC() SDK {
	return SDK{
		ID: "express-openid-connect", Title: "Express, express-openid-connect 3", Package: "express-openid-connect@3.4.0",
		Origin: devPort, Callbacks: []string{"/callback"}, LogoutURLs: []string{""}, BackchannelLogout: "/backchannel-logout",
		DefaultNeedsBasic: "These lines use the code flow. What the package does by default (response_type id_token, without a client secret) is for clients of profile oidc-basic:",
	}
}

func passport() SDK {
	return SDK{
		ID: "passport-auth0", Title: "Express, passport-auth0", Package: "passport-auth0@1.4.5",
		Origin: devPort, Callbacks: []string{"/callback"}, LogoutURLs: []string{""}, queryToken: true,
		Basic: "passport-auth0 sends no PKCE, and shows its access token in the URL of /userinfo.",
	}
}

func goLogin() SDK {
	return SDK{
		ID: "go-oidclogin", Title: "Go, guard/oidclogin", Package: "github.com/gatehouse-dev/gatehouse/guard/oidclogin",
		Origin: devPort, Callbacks: []string{"/auth/callback"}, LogoutURLs: []string{""}, BackchannelLogout: "/auth/backchannel-logout",
	}
}

func generic() SDK {
	return SDK{
		ID: "oidc", Title: "Anything else that speaks OpenID Connect", Origin: devPort, Callbacks: []string{"/callback"}, LogoutURLs: []string{""},
	}
}

func genericBrowser() SDK {
	s := generic()
	s.Callbacks, s.WebOrigins = []string{""}, true
	return s
}

func genericNative() SDK {
	return SDK{ID: "oidc", Title: "Anything that speaks OpenID Connect", Callbacks: []string{"com.example.app:/callback"}}
}

func goLoopback() SDK {
	return SDK{
		ID: "go-loopback", Title: "Go, golang.org/x/oauth2: opens the browser on this machine", Package: "golang.org/x/oauth2",
		Callbacks: []string{"http://127.0.0.1/callback", "http://[::1]/callback"},
	}
}

func goDevice() SDK {
	return SDK{
		ID: "go-device", Title: "Go, golang.org/x/oauth2: shows a code to type in on any device", Package: "golang.org/x/oauth2",
		grantTypes: []string{oauth.GrantDeviceCode, oauth.GrantRefreshToken},
	}
}

func goCredentials() SDK {
	return SDK{ID: "go-client-credentials", Title: "Go, golang.org/x/oauth2/clientcredentials", Package: "golang.org/x/oauth2"}
}

func curl() SDK { return SDK{ID: "curl", Title: "Anything that can send a form: curl"} }

func goBearer() SDK {
	return SDK{ID: "go-bearer", Title: "Go, guard/bearer", Package: "github.com/gatehouse-dev/gatehouse/guard/bearer"}
}

func spring() SDK {
	return SDK{ID: "spring-security", Title: "Java, Spring Security", Package: "org.springframework.boot:spring-boot-starter-oauth2-resource-server"}
}

func authlib() SDK {
	return SDK{ID: "python-authlib", Title: "Python, Authlib", Package: "authlib"}
}
