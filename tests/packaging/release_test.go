package packaging

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// inCI is where nobody would see that a test was left out: the workflows, which have what every test needs.
func inCI() bool {
	value := os.Getenv("GITHUB_ACTIONS")
	return value != "" && value != "false"
}

// skip leaves a test out, but not where nobody would see it.
func skip(t *testing.T, why string) {
	t.Helper()
	if inCI() {
		t.Fatal(why)
	}
	t.Skip(why)
}

func TestNothingIsLeftOutUnseen(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	count := 0
	for _, file := range files {
		count += strings.Count(read(t, file), "t.Skip"+"(")
	}
	if count != 1 {
		t.Errorf("%d places leave a test out: let all of them call skip", count)
	}
}

// A release that says one version here and another there would install what it is not.
func TestAReleaseHasOneVersion(t *testing.T) {
	const cargo, description = "Cargo.toml", "charts/sending-domain-operator/Chart.yaml"
	const manifest, single, script = "config/manager/deployment.yaml", "dist/install.yaml", "hack/check-version.sh"
	version := strings.TrimSpace(run(t, "bash", root+"/"+script))
	copyOf := func(t *testing.T, changed, from, to string) string {
		directory := t.TempDir()
		for _, file := range []string{cargo, description, manifest, single, script} {
			text := read(t, root+"/"+file)
			if file == changed {
				if strings.Count(text, from) != 1 {
					t.Fatalf("%s has %q %d times", file, from, strings.Count(text, from))
				}
				text = strings.Replace(text, from, to, 1)
			}
			path := filepath.Join(directory, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, path, text)
		}
		return filepath.Join(directory, script)
	}
	if got := run(t, "bash", copyOf(t, "", "", ""), "v"+version); got != version+"\n" {
		t.Errorf("it prints %q", got)
	}
	refused(t, "the tag is 'v9.9.9'", "", "bash", copyOf(t, "", "", ""), "v9.9.9")
	refused(t, "the tag is '"+version+"'", "", "bash", copyOf(t, "", "", ""), version)
	for _, one := range []struct{ file, from, to, words string }{
		{cargo, "\nversion = \"" + version, "\nversion = \"9.9.9", "Cargo.toml has 9.9.9"},
		{description, "\nversion: " + version, "\nversion: 9.9.9", "version of Chart.yaml is '9.9.9'"},
		{description, "\nappVersion: " + version, "\nappVersion: \"9.9.9\"", "appVersion of Chart.yaml is '9.9.9'"},
		{description, "operator:" + version, "operator:9.9.9", "the image of " + description + " is '9.9.9'"},
		{manifest, "operator:" + version, "operator:9.9.9", "the image of " + manifest + " is '9.9.9'"},
		{single, "operator:" + version, "operator:9.9.9", "the image of " + single + " is '9.9.9'"},
	} {
		t.Run(one.words, func(t *testing.T) {
			refused(t, one.words, "", "bash", copyOf(t, one.file, one.from, one.to), "v"+version)
		})
	}
}

type workflow struct {
	Defaults struct {
		Run struct {
			Shell string `json:"shell"`
		} `json:"run"`
	} `json:"defaults"`
	Jobs map[string]struct {
		Needs any    `json:"needs"`
		Uses  string `json:"uses"`
		Steps []struct {
			Name string            `json:"name"`
			Run  string            `json:"run"`
			Env  map[string]string `json:"env"`
		} `json:"steps"`
	} `json:"jobs"`
}

// stepOf is the script of a step of the release.
func stepOf(t *testing.T, job, name string) string {
	t.Helper()
	var release workflow
	if err := yaml.Unmarshal([]byte(read(t, root+"/.github/workflows/release.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	for _, step := range release.Jobs[job].Steps {
		if step.Name == name {
			return step.Run
		}
	}
	t.Fatalf("job %s has no step %s", job, name)
	return ""
}

// The step itself is run, on files of another content, with a program in place of GitHub's.
func TestTheLastStepOfAReleasePublishesAllOfItAndCallsAPrereleaseSo(t *testing.T) {
	step := stepOf(t, "publish", "Release")
	for version, prerelease := range map[string]bool{"1.2.3": false, "1.2.3-rc.1": true} {
		t.Run(version, func(t *testing.T) {
			directory := t.TempDir()
			if err := os.CopyFS(filepath.Join(directory, "hack"), os.DirFS(root+"/hack")); err != nil {
				t.Fatal(err)
			}
			plugins := []string{"kubectl-sendingdomain-" + version + "-linux-amd64.tar.gz", "kubectl-sendingdomain-" + version + "-linux-arm64.tar.gz"}
			for _, file := range append([]string{"dist/install.yaml", "crds/sendingdomains.yaml", "out/amd64/sbom.cdx.json", "out/arm64/sbom.cdx.json",
				"out/ca-certificates.crt", "out/sending-domain-operator-" + version + ".tgz"}, "out/"+plugins[0], "out/"+plugins[1]) {
				path := filepath.Join(directory, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, path, file)
			}
			// It says what it was told, and fails where a file is named that is not there.
			gh := filepath.Join(directory, "gh")
			write(t, gh, "#!/bin/sh\nprintf '%s\\n' \"$@\" >gh.log\nfor file in \"$@\"; do case $file in out/*) [ -f \"$file\" ] || exit 1 ;; esac; done\n")
			if err := os.Chmod(gh, 0o700); err != nil {
				t.Fatal(err)
			}
			run(t, "env", "-C", directory, "PATH="+directory+":"+os.Getenv("PATH"), "VERSION="+version, "GITHUB_REF_NAME=v"+version,
				"IMAGE=ghcr.io/a/b", "DIGEST=sha256:0", "RUST_VERSION=1", "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step)
			told := strings.Split(strings.TrimSpace(read(t, filepath.Join(directory, "gh.log"))), "\n")
			has := map[string]bool{}
			for _, word := range told {
				has[word] = true
			}
			if has["--prerelease"] != prerelease || has[""] || !has["v"+version] || !has["--verify-tag"] {
				t.Errorf("told %q", told)
			}
			sums := read(t, filepath.Join(directory, "out/SHA256SUMS"))
			for _, file := range append(plugins, "sending-domain-operator-"+version+".tgz", "install.yaml", "sendingdomains.yaml", "kubectl-sendingdomain.yaml",
				"sbom-amd64.cdx.json", "sbom-arm64.cdx.json", "ca-certificates.crt") {
				if !has["out/"+file] || !strings.Contains(sums, "./"+file+"\n") {
					t.Errorf("%s is not published with its checksum: %q\n%s", file, told, sums)
				}
			}
			if !has["out/SHA256SUMS"] {
				t.Errorf("no checksums: %q", told)
			}
		})
	}
}

func TestThePluginOfAReleaseIsInstalledByKrew(t *testing.T) {
	directory := t.TempDir()
	script := []string{root + "/hack/krew-manifest.sh", "1.2.3-rc.1"}
	for _, arch := range []string{"amd64", "arm64"} {
		path := filepath.Join(directory, "kubectl-sendingdomain-1.2.3-rc.1-linux-"+arch+".tar.gz")
		write(t, path, arch)
		script = append(script, path)
	}
	var manifest object
	if err := yaml.Unmarshal([]byte(run(t, "bash", script...)), &manifest); err != nil {
		t.Fatal(err)
	}
	if at(manifest, "metadata", "name") != "sendingdomain" || at(manifest, "spec", "version") != "v1.2.3-rc.1" {
		t.Errorf("%v", manifest)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		platform := at(manifest, "spec", "platforms", i).(object)
		labels := at(platform, "selector", "matchLabels").(object)
		if labels["os"] != "linux" || labels["arch"] != arch || platform["sha256"] != fmt.Sprintf("%x", sha256.Sum256([]byte(arch))) ||
			!strings.HasSuffix(platform["uri"].(string), "/releases/download/v1.2.3-rc.1/kubectl-sendingdomain-1.2.3-rc.1-linux-"+arch+".tar.gz") {
			t.Errorf("%v", platform)
		}
	}
	// krew installs what build-plugin.sh puts into the archive.
	build := read(t, root+"/hack/build-plugin.sh")
	for _, file := range at(manifest, "spec", "platforms", 0, "files").([]any) {
		if name := file.(object)["from"].(string); !strings.Contains(build, "name="+name) && !strings.Contains(build, `"$work/`+name+`"`) {
			t.Errorf("the archive has no %s", name)
		}
	}
	refused(t, "is no archive of the plugin of 1.2.3", "", "bash", root+"/hack/krew-manifest.sh", "1.2.3", script[2])
}

// A compiler that is given in place of Rust's: what is tried is the archive.
func TestTheArchiveOfThePluginIsTheSameWheneverItIsMade(t *testing.T) {
	directory := t.TempDir()
	cargo := filepath.Join(directory, "cargo")
	write(t, cargo, "#!/bin/sh\nmkdir -p \"$CARGO_TARGET_DIR/$(uname -m)-unknown-linux-gnu/release\"\n"+
		"echo binary >\"$CARGO_TARGET_DIR/$(uname -m)-unknown-linux-gnu/release/kubectl-sendingdomain\"\n")
	if err := os.Chmod(cargo, 0o700); err != nil {
		t.Fatal(err)
	}
	made := map[string]string{}
	for _, one := range []string{"one", "two"} {
		archive := filepath.Join(directory, one, "plugin.tar.gz")
		run(t, "env", "PATH="+directory+":"+os.Getenv("PATH"), "CARGO_TARGET_DIR="+filepath.Join(directory, "target-"+one),
			"SOURCE_DATE_EPOCH=1700000000", "bash", root+"/hack/build-plugin.sh", archive)
		made[one] = read(t, archive)
	}
	if made["one"] != made["two"] {
		t.Error("the second time it is another archive")
	}
	list := run(t, "tar", "--utc", "-tvf", filepath.Join(directory, "one", "plugin.tar.gz"))
	for _, words := range []string{"-rw-r--r-- 0/0", " LICENSE\n", "-rwxr-xr-x 0/0", " kubectl-sendingdomain\n", "2023-11-14 22:13"} {
		if !strings.Contains(list, words) {
			t.Errorf("the archive has no %q:\n%s", words, list)
		}
	}
}
