package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatehouse-dev/gatehouse/internal/core/apps"
	"github.com/gatehouse-dev/gatehouse/internal/core/guide"
	"github.com/gatehouse-dev/gatehouse/internal/server"
)

// interview collects the answers of gatehouse app create: flags first, then questions about the rest.
type interview struct {
	*appCreate
	ctx   context.Context
	house *server.House
	asker *asker // nil where nobody can be asked

	answers guide.Answers
	b       guide.Building
	sdk     guide.SDK
	needs   guide.Needs
	apis    []*apps.API
}

// question is one thing to settle. missing reports whether it has to be asked, now that those before
// it are settled; ask asks it.
type question struct {
	missing func() bool
	ask     func() error
	flag    string // what a script says, where it can not do without; empty where there is a default
}

// run settles everything there is to settle.
func (q *interview) run() (guide.Answers, error) {
	q.answers = guide.Answers{
		Building: deref(q.Building), SDK: deref(q.SDK), Name: deref(q.Name), Origins: q.Origin, Callback: q.Callback,
		Audience: deref(q.Audience), Scope: fieldsOf(q.Scope), SessionStore: q.SessionStore,
	}
	if err := q.loadAPIs(); err != nil {
		return q.answers, err
	}
	questions := []question{
		{func() bool { return q.Building == nil }, q.askBuilding, "--building " + strings.Join(kinds(), "|")},
		{func() bool { return q.SDK == nil && len(q.b.SDKs) > 1 }, q.askSDK, "--sdk NAME"},
		{func() bool { return q.Name == nil }, q.askName, "--name NAME"},
		{func() bool { return len(q.Origin) == 0 && q.needs.Origin }, q.askOrigin, ""},
		{func() bool { return len(q.Callback) == 0 && q.needs.Callback }, q.askCallback, "--callback URL"},
		{func() bool { return q.Audience == nil }, q.askAudience, "--audience IDENTIFIER"},
		{func() bool { return q.Scope == nil && q.asksScope() }, q.askScope, ""},
	}
	var asked []int // which questions were asked, to go back to
	for i := 0; i < len(questions); i++ {
		if err := q.settle(i); err != nil {
			return q.answers, err
		}
		if !questions[i].missing() {
			continue
		}
		if q.asker == nil {
			if q.optional(questions[i]) {
				continue
			}
			return q.answers, errors.New("missing: " + questions[i].flag + " (on a terminal it would be asked for)")
		}
		err := questions[i].ask()
		switch {
		case errors.Is(err, errBack) && len(asked) > 0:
			i = asked[len(asked)-1] - 1
			asked = asked[:len(asked)-1]
		case errors.Is(err, errBack):
			i--
		case err != nil:
			return q.answers, err
		default:
			asked = append(asked, i)
		}
	}
	return q.answers, q.settle(len(questions))
}

// optional: without an answer the guide has a default.
func (q *interview) optional(question question) bool {
	return question.flag == "" || strings.HasPrefix(question.flag, "--audience") && !q.needs.AudienceRequired
}

// settle looks up what the answers so far mean, before question i.
func (q *interview) settle(i int) (err error) {
	switch {
	case i == 1:
		at := slices.IndexFunc(guide.Tree(), func(b guide.Building) bool { return b.ID == q.answers.Building })
		if at < 0 {
			_, _, err := guide.Find(q.answers.Building, "")
			return appFault(err)
		}
		q.b = guide.Tree()[at]
	case i >= 2:
		if q.b, q.sdk, err = guide.Find(q.answers.Building, q.answers.SDK); err != nil {
			return appFault(err)
		}
		q.needs = guide.NeedsOf(q.b, q.sdk)
	}
	return nil
}

func (q *interview) loadAPIs() error {
	for after := ""; ; {
		page, err := q.house.Apps.APIs(q.ctx, q.house.Tenant, after, 100)
		if err != nil {
			return err
		}
		for _, api := range page {
			if !api.System {
				q.apis = append(q.apis, api)
			}
			after = api.ID
		}
		if len(page) < 100 {
			return nil
		}
	}
}

func (q *interview) askBuilding() (err error) {
	var options []option
	for _, b := range guide.Tree() {
		options = append(options, option{b.ID, b.Title, b.Means})
	}
	q.answers.Building, err = q.asker.choose(guide.Question, options)
	q.answers.SDK = deref(q.SDK)
	return err
}

func (q *interview) askSDK() (err error) {
	var options []option
	for _, s := range q.b.SDKs {
		options = append(options, option{s.ID, s.Title, s.Package})
	}
	q.answers.SDK, err = q.asker.choose("With what?", options)
	return err
}

func (q *interview) askName() (err error) {
	offered := "My application"
	if dir, err := os.Getwd(); err == nil && filepath.Base(dir) != string(filepath.Separator) {
		offered = filepath.Base(dir)
	}
	q.answers.Name, err = q.asker.ask("What is it called?", offered, anything)
	return err
}

func (q *interview) askOrigin() error {
	line, err := q.asker.ask("Where does it run? Several are separated by spaces", q.sdk.Origin, func(line string) error {
		trial := q.trial()
		trial.Origins = originsOf(line)
		return q.judge(trial)
	})
	q.answers.Origins = originsOf(line)
	return err
}

func (q *interview) askCallback() error {
	line, err := q.asker.ask("Where does the browser return to?", q.sdk.Callbacks[0], func(line string) error {
		trial := q.trial()
		trial.Callback = strings.Fields(line)
		return q.judge(trial)
	})
	q.answers.Callback = strings.Fields(line)
	return err
}

func (q *interview) askAudience() (err error) {
	if guide.Type(q.b, q.sdk) == "" {
		q.answers.Audience, err = q.asker.ask("Its identifier, an address that is never fetched?", "https://api.example.com/", func(line string) error {
			return q.judge(guide.Answers{Building: q.b.ID, SDK: q.sdk.ID, Name: "x", Audience: line})
		})
		return err
	}
	var options []option
	if !q.needs.AudienceRequired {
		options = append(options, option{"", "none", "it needs only to know who somebody is"})
	}
	for _, api := range q.apis {
		options = append(options, option{api.Identifier, api.Identifier, api.Name})
	}
	if len(options) == 0 {
		return errors.New("there is no API to call yet. Register one first: gatehouse api create IDENTIFIER --permission read:things")
	}
	q.answers.Audience, err = q.asker.choose("Which API does it call?", options)
	return err
}

// asksScope: a program that acts in its own name may do what it is given, and a new API has what it is given.
func (q *interview) asksScope() bool {
	return q.needs.Scope || guide.Type(q.b, q.sdk) == "" && q.api() == nil
}

func (q *interview) askScope() error {
	text, offered := "What can be done there? Permissions are separated by spaces", "read:things"
	if api := q.api(); api != nil {
		if len(api.Permissions) == 0 {
			return nil
		}
		text, offered = "What may it do there? Of: "+api.Scopes().String()+"\n", ""
	}
	line, err := q.asker.ask(text, offered, func(line string) error {
		trial := q.answers
		trial.Scope = strings.Fields(line)
		return q.judge(trial)
	})
	q.answers.Scope = strings.Fields(line)
	return err
}

// trial is an application of which only what is put in is in question.
func (q *interview) trial() guide.Answers {
	return guide.Answers{Building: q.b.ID, SDK: q.sdk.ID, Name: "x"}
}

// judge says what is wrong with answers.
func (q *interview) judge(a guide.Answers) error {
	_, err := q.house.Admin().PlanApplication(q.ctx, q.house.Tenant, a)
	return appFault(err)
}

func (q *interview) api() *apps.API {
	i := slices.IndexFunc(q.apis, func(api *apps.API) bool { return api.Identifier == q.answers.Audience })
	if i < 0 {
		return nil
	}
	return q.apis[i]
}

// originsOf reads origins as people type them: with a slash at the end, too.
func originsOf(line string) []string {
	out := strings.Fields(line)
	for i := range out {
		out[i] = strings.TrimSuffix(out[i], "/")
	}
	return out
}

func kinds() []string {
	var out []string
	for _, b := range guide.Tree() {
		out = append(out, b.ID)
	}
	return out
}

func anything(line string) error {
	if line == "" {
		return errors.New("an answer is needed; b goes back, q quits")
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
