package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/gatehouse-dev/gatehouse/internal/base/config"
)

// configCommand is about the configuration.
type configCommand struct {
	Check   configCheck   `cmd:"" help:"List everything that is wrong with a configuration. Nothing is started."`
	Explain configExplain `cmd:"" help:"Print the configuration in force, and where each value comes from. Secrets are hidden."`
}

type configFlags struct {
	Config string `help:"The configuration. Without it, the environment alone (GATEHOUSE_…)." placeholder:"FILE" env:"GATEHOUSE_CONFIG"`
}

type configCheck struct{ configFlags }

// Run fails with the problems.
func (c *configCheck) Run(to streams) error {
	settings, err := config.Load(c.Config, os.Environ())
	if err != nil {
		return err
	}
	for _, name := range settings.Insecure() {
		fmt.Fprintf(to.Err, "warning: %s is on\n", name)
	}
	fmt.Fprintln(to.Out, "The configuration is good.")
	return nil
}

type configExplain struct{ configFlags }

// Run prints what is in force; problems do not keep it from that.
func (c *configExplain) Run(to streams) error {
	settings, err := config.Load(c.Config, os.Environ())
	if settings == nil {
		return err
	}
	return errors.Join(settings.Explain(to.Out), err)
}
