// The back button can bring back a page just as the browser kept it: signed in, or half-way to the
// house. What has happened since, only a page that loads anew finds out.
window.addEventListener('pageshow', (event) => {
  if (event.persisted) window.location.reload();
});
