package httpx

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

// LogFailure writes down that the house could not serve a request, and why. That its caller hung up is no
// failure, and told to those alone who look for it: else anybody could wake the operator.
func LogFailure(log *slog.Logger, r *http.Request, err error) {
	ctx, level, message := r.Context(), slog.LevelError, "request failed"
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		level, message = slog.LevelDebug, "the caller hung up"
	}
	log.Log(ctx, level, message, "path", r.URL.Path, "error", err)
}
