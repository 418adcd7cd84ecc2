package tvshows

import (
	"embed"
	"errors"
	"io/fs"
	"net/http"
)

// web holds the pages, the style sheet and the scripts.
//
//go:embed web
var web embed.FS

// files returns the part of web below dir.
func files(dir string) fs.FS {
	sub, err := fs.Sub(web, "web/"+dir)
	if err != nil { // dir is a constant of this package
		panic(err)
	}
	return sub
}

// NewStatic returns the static form: files, as a CDN would serve them. There is
// no server part; what happens is in web/static. Only config.json differs from
// one deployment to the next.
func NewStatic(o Options) (http.Handler, error) {
	o = o.withDefaults()
	if o.Issuer == "" || o.APIURL == "" || o.Client.ClientID == "" {
		return nil, errors.New("tvshows: the static form needs Issuer, APIURL and Client")
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files("static")))
	mux.Handle("GET /shared/", http.StripPrefix("/shared", http.FileServerFS(files("shared"))))
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"issuer": o.Issuer, "clientId": o.Client.ClientID, "audience": o.Audience, "scopes": scopes(),
			"apiUrl": o.APIURL, "inboxUrl": o.InboxURL, "others": o.Others,
		})
	})
	return protect(mux, policy{
		connect: []string{"'self'", origin(o.Issuer), origin(o.APIURL)}, // sign in, renew, call the API
		frame:   []string{origin(o.Issuer)},                             // the hidden frame of silent renewal
	}), nil
}
