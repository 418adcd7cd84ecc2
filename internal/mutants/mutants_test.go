package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
)

const fixture = "testdata/fixture"

func TestEachMutantGetsItsVerdict(t *testing.T) {
	var out strings.Builder
	ok, err := run(context.Background(), fixture, options{workers: 2}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if ok {
		t.Error("a run with a survivor, errors and gaps is no success")
	}
	for _, want := range []string{
		`AA01 +noticed .* by TestThreat_AA01_NamelessIsRefused\n`,
		`AA02 +SURVIVED .*TestThreat_AA02_LongIsRefused\n`,
		`AA03 +ERROR .*wall does not compile`,
		`AA04 +ERROR .*does not apply`,
		`AA05 +ERROR .*TestThreat_AA05_FailsAnyway fails, too`,
		`AA06 +ERROR .*no test of its row runs`,
		`AA07_seed +noticed .*FuzzThreat_AA07`,
		`AA10 +noticed .*TestThreat_AA10_Panics`,
		`AA11 +ERROR .*no test of its row runs`,
		`9 mutants: 3 noticed, 1 survived, 5 errors`,
		`AA08 has no mutant`,
		`AA11 has a mutant and no test`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("not reported: %s", want)
		}
	}
	if strings.Contains(out.String(), "AA09 has") {
		t.Error("the exception is not honoured")
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func TestNamedMutantsRunAlone(t *testing.T) {
	var out strings.Builder
	ok, err := run(context.Background(), fixture, options{workers: 2, short: true, ids: []string{"AA01", "AA07_seed"}}, &out)
	if err != nil || !ok || !strings.Contains(out.String(), "2 mutants: 2 noticed") {
		t.Errorf("ok %v, err %v\n%s", ok, err, &out)
	}
	if _, err := run(context.Background(), fixture, options{ids: []string{"AA08"}}, &out); err == nil {
		t.Error("a row without a mutant was accepted")
	}
}

func TestListShowsGaps(t *testing.T) {
	var out strings.Builder
	ok, err := list(fixture, &out)
	if err != nil || ok {
		t.Errorf("ok %v, err %v", ok, err)
	}
	for _, want := range []string{"AA01   2 tests  1 mutants", "AA09   1 tests  exempt: shown by another means", "2 gaps:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in\n%s", want, &out)
		}
	}
}
