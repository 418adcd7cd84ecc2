package digest

// HA1 returns H(A1) in lower-case hex: what a server has to keep of a password
// (RFC 7616 §3.4.2). It is good for anything the password is good for in this
// realm, so it must be kept as secret. It panics when a is not Known.
func HA1(a Algorithm, username, realm, password string) string {
	return a.sum(username, realm, password)
}

// Userhash returns what stands for a user name that is not to be seen on its way
// (RFC 7616 §3.4.4). It panics when a is not Known.
func Userhash(a Algorithm, username, realm string) string { return a.sum(username, realm) }

// Expected returns the response that proves knowledge of ha1 for this request
// (RFC 7616 §3.4.1): c.Response must equal it, compared in constant time. body
// counts for AuthInt alone. It panics when c.Algorithm is not Known.
func (c *Credentials) Expected(ha1, method string, body []byte) string {
	if c.QOP == AuthInt {
		return c.keyed(ha1, c.QOP, method, c.URI, c.Algorithm.hash(body))
	}
	return c.keyed(ha1, c.QOP, method, c.URI)
}

// keyed is KD of RFC 7616 §3.3 over what both sides contributed.
func (c *Credentials) keyed(ha1 string, qop QOP, a2 ...string) string {
	return c.Algorithm.sum(ha1, c.Nonce, c.NC, c.CNonce, string(qop), c.Algorithm.sum(a2...))
}

// AuthenticationInfo returns the header of that name (RFC 7616 §3.5): it proves
// to the client that the server knows ha1 too, and names the nonce to go on with
// if nextnonce is not empty. The proof is of quality auth whatever the client
// used: the body it would cover is not written yet.
func (c *Credentials) AuthenticationInfo(ha1, nextnonce string) string {
	var b builder
	if nextnonce != "" {
		b.quoted("nextnonce", nextnonce)
	}
	b.token("qop", string(Auth))
	b.quoted("rspauth", c.keyed(ha1, Auth, "", c.URI))
	b.quoted("cnonce", c.CNonce)
	b.token("nc", c.NC)
	return b.String()
}
