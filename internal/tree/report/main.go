// Command report reads the events of `go test -json` and writes what a person and a counting
// script want to see: one line for each test, the whole output of each that failed, one line for
// each package, and a sum at the end. Lines that are no events pass through.
//
//	go test -json ./... | report [-quiet] [-markdown FILE]
//
// It fails when a test or a build failed, and when no test ran at all.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	quiet := flag.Bool("quiet", false, "no line for a test that passed")
	markdown := flag.String("markdown", "", "append the sum and each test's result to this file, as Markdown")
	flag.Parse()

	sum, err := read(os.Stdin, os.Stdout, *quiet)
	if err == nil && *markdown != "" {
		err = appendMarkdown(*markdown, sum)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	fmt.Print(sum)
	if !sum.ok() {
		os.Exit(1)
	}
}
