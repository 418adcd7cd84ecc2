package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// AssetPrefix is the path below which [Renderer.Assets] answers.
const AssetPrefix = "/u/assets/"

// assets are the embedded files under names that hold their content's hash, so
// that a browser may keep them for ever.
type assets struct {
	byName map[string]string // gatehouse.css → gatehouse.0123456789.css
	byPath map[string][]byte // hashed name → content
}

func readAssets(files fs.FS) (assets, error) {
	a := assets{byName: map[string]string{}, byPath: map[string][]byte{}}
	names, err := fs.Glob(files, "assets/*")
	if err != nil {
		return a, err
	}
	var sheets []string
	for _, name := range names {
		if path.Ext(name) == ".css" { // last, because style sheets name the others
			sheets = append(sheets, name)
			continue
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return a, err
		}
		a.add(path.Base(name), data)
	}
	for _, name := range sheets {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return a, err
		}
		for plain, hashed := range a.byName {
			data = bytes.ReplaceAll(data, []byte("url("+plain+")"), []byte("url("+hashed+")"))
		}
		a.add(path.Base(name), data)
	}
	return a, nil
}

func (a assets) add(name string, data []byte) {
	hashed := hashedName(name, data)
	a.byName[name], a.byPath[hashed] = hashed, data
}

func (a assets) path(name string) string { return AssetPrefix + a.byName[name] }

func hashedName(name string, data []byte) string {
	sum := sha256.Sum256(data)
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:5]) + ext
}

// Assets serves style sheets and icons below [AssetPrefix], for GET and HEAD.
// Names hold the content's hash; an outdated or unknown one is 404.
func (r *Renderer) Assets() http.Handler {
	types := map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(req.URL.Path, AssetPrefix)
		data, ok := r.assets.byPath[name]
		if !ok {
			data, ok = accentSheet(name)
		}
		if !ok {
			h.Set("Cache-Control", "no-store")
			http.NotFound(w, req)
			return
		}
		h.Set("Content-Type", types[path.Ext(name)])
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Content-Length", strconv.Itoa(len(data)))
		if req.Method == http.MethodGet {
			_, _ = w.Write(data)
		}
	})
}
