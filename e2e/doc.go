// Package e2e tests Gatehouse from where its users sit: in a real browser, against the real command.
//
// Each test starts a `gatehouse dev` of its own, on free ports and with an empty folder, and does in
// Chromium what a person does. All tests share one Chromium; each person is a browser context of its
// own, with cookies of its own.
//
// Package drive, beside it, holds the hands and eyes; each group of examples has a package of tests of
// its own.
//
//   - demos_test.go walks through the three demo applications;
//   - go_server_test.go drives the example with users of its own;
//   - pages_test.go checks every hosted page for accessibility, and without JavaScript;
//   - threats_test.go and its neighbours hold the attacks of the threat catalogue that need a browser.
//
// It is a module of its own, so that nobody who imports Gatehouse inherits a browser driver. What it
// needs beside Go (Chromium, and the npm packages of the examples), `scripts/prerequisites` installs. Run
// it with -count=1: go test does not notice that the command it starts has changed.
//
// When a test fails, it leaves pictures of its tabs in the folder it names; set E2E_PICTURES to say
// where, and to have pictures of tests that pass, too.
package e2e
