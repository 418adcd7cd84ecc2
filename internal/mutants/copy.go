package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// copyTree copies the files of the tree, as they stand, to a new temporary folder: those under
// version control and those that are about to be, so that work in progress can be tried. npm packages
// that are installed are linked: tests in browsers need them, and no mutant changes them.
func copyTree(ctx context.Context, root string) (dir string, err error) {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	names, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git ls-files: %w", err)
	}
	dir, err = os.MkdirTemp("", "gatehouse-mutant-*")
	if err != nil {
		return "", err
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		err := copyFile(filepath.Join(root, name), filepath.Join(dir, name))
		if err == nil && filepath.Base(name) == "package.json" {
			err = linkPackages(filepath.Join(root, filepath.Dir(name)), filepath.Join(dir, filepath.Dir(name)))
		}
		if err != nil {
			os.RemoveAll(dir)
			return "", err
		}
	}
	return dir, nil
}

// linkPackages links the node_modules of one folder into another, if there are any.
func linkPackages(from, to string) error {
	from, err := filepath.Abs(filepath.Join(from, "node_modules"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(from); err != nil {
		return nil
	}
	return os.Symlink(from, filepath.Join(to, "node_modules"))
}

// copyFile copies one file or symbolic link. A file that was deleted and is still in the index is
// passed over.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode().Perm())
}
