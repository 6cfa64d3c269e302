package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/execx"
)

// packagesFile lists the Debian packages of a root file system, with versions:
// Debian can't be locked by hash without a snapshot mirror.
const packagesFile = "/usr/share/labctl/packages.txt"

// bootstrapArgs gives the arguments of mmdebstrap.
func (d debian) bootstrapArgs(arch, out string) []string {
	args := []string{
		"--variant=minbase", "--architectures=" + arch,
		// Without it apt takes usrmerge, and with that all of Perl.
		"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
		"--include=" + strings.Join(d.Packages, ","),
		"--dpkgopt=force-unsafe-io", // the result is a tar: nothing need survive a power cut
		`--aptopt=Acquire::Languages "none"`, `--aptopt=APT::Install-Recommends "false"`,
	}
	for _, p := range []string{"doc/*", "man/*", "info/*", "locale/*"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+p)
	}
	list := `dpkg-query --admindir="$1/var/lib/dpkg" --show --showformat='${Package}=${Version}\n'`
	return append(args,
		"--dpkgopt=path-include=/usr/share/doc/*/copyright", // licences must stay with the software
		fmt.Sprintf(`--customize-hook=mkdir -p "$1%s" && %s > "$1%s"`, filepath.Dir(packagesFile), list, packagesFile),
		`--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"`,
		d.Suite, out)
}

// bootstrap makes the Debian root file system. It goes by way of a file: half a
// tar must not become an image, and a build that is cut off later need not
// fetch everything again.
func (j *job) bootstrap(ctx context.Context) error {
	sum := sha256.Sum256([]byte(strings.Join(j.recipe.Debian.bootstrapArgs(j.arch, ""), "\n")))
	key := hex.EncodeToString(sum[:])[:12]
	file := filepath.Join(j.workDir, "rootfs-"+key+".tar")
	if _, err := os.Stat(file); err != nil {
		tmp := strings.TrimSuffix(file, ".tar") + ".part.tar" // mmdebstrap goes by the extension
		cmd := execx.Cmd{Name: "mmdebstrap", Args: j.recipe.Debian.bootstrapArgs(j.arch, tmp), Stdout: j.log, Stderr: j.log}
		if err := j.run.Run(ctx, cmd); err != nil {
			if ctx.Err() == nil && strings.Contains(j.log.Tail(), "keyring") {
				err = clierr.Wrap(err, "", "install debian-archive-keyring")
			}
			return errors.Join(err, os.RemoveAll(tmp))
		}
		if err := os.Rename(tmp, file); err != nil {
			return err
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	j.rootfs = buildImages + "-rootfs:" + key
	if err := j.docker.Stream(ctx, f, j.log, j.log, nil, "import", "-", j.rootfs); err != nil {
		return fmt.Errorf("import the root file system: %w", err)
	}
	return nil
}

// dropRootfs removes the file that bootstrap keeps for a build that is cut off:
// the next version of the node shall have today's packages.
func (j *job) dropRootfs() error {
	files, err := filepath.Glob(filepath.Join(j.workDir, "rootfs-*.tar"))
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, os.Remove(f))
	}
	return errors.Join(errs...)
}
