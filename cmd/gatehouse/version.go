package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCommand prints what was built, as the build recorded it.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(to streams) error {
	fmt.Fprintf(to.Out, "gatehouse %s (%s %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// version returns the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				version += "-" + s.Value[:12]
			}
		}
	}
	return version
}
