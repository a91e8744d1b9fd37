package packaging

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	root      = "../.."
	chart     = root + "/charts/sending-domain-operator"
	namespace = "sending-domain-operator-system"
	release   = "sending-domain-operator"
)

// Where the control plane is.
var assets string

// TestMain builds what is missing of the tools, once, and finds them on PATH from then on.
func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func prepare() error {
	tools, err := script("hack/build-tools.sh", "helm", "kube-verdict", "promtool")
	if err != nil {
		return err
	}
	if assets, err = script("hack/build-controlplane.sh"); err != nil {
		return err
	}
	// Where KUBEBUILDER_ASSETS names a control plane without kubectl, that is in the cache.
	cache, err := script("hack/build-controlplane.sh", "--where")
	if err != nil {
		return err
	}
	home, err := os.MkdirTemp("", "packaging")
	if err != nil {
		return err
	}
	// The user's kubectl first, as in the scripts; nothing of the user's own settings.
	path := append(strings.Fields(tools), os.Getenv("PATH"), assets, cache)
	for name, value := range map[string]string{
		"PATH":         strings.Join(path, string(os.PathListSeparator)),
		"KUBECACHEDIR": home, "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home,
		"KUBECONFIG": filepath.Join(home, "none"),
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

func script(path string, args ...string) (string, error) {
	command := exec.Command("bash", append([]string{filepath.Join(root, path)}, args...)...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// try runs a program with text on its standard input and answers what it printed to both outputs.
func try(input, name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	var out, errors bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &errors
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, errors.String(), out.String())
	}
	return out.String(), nil
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return feed(t, "", name, args...)
}

func feed(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	out, err := try(input, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused runs what must fail, and wants these words.
func refused(t *testing.T, words, input, name string, args ...string) {
	t.Helper()
	if _, err := try(input, name, args...); err == nil || !strings.Contains(err.Error(), words) {
		t.Fatalf("%s %v: %v, which does not say %q", name, args, err, words)
	}
}

func template(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "helm", append([]string{"template", release, chart, "--namespace", namespace}, args...)...)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
