// Package drive does in tests what people and their machines do: it starts the real command, serves
// applications beside it, and uses both in a real browser.
//
//   - house.go starts `gatehouse dev` and reads what it wrote about itself;
//   - process.go builds and starts other programs, such as the examples;
//   - clockhouse.go is a house by a clock that the test moves, which clock.go shares with programs for
//     Node.js, behind the proxy of faultproxy.go, which loses answers; its keys change while people look;
//   - browser.go is the one Chromium of a package's tests, with a Profile for each person;
//   - tab.go is one tab, with hands and eyes;
//   - play.go is what people do on the pages of the house;
//   - axe.go looks at a page as somebody does who cannot see it.
//
// A package that uses it hands its tests over once:
//
//	func TestMain(m *testing.M) { drive.Main(m) }
package drive
