package packaging

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type object = map[string]any

// objects reads manifests by apiVersion, kind, namespace and name.
func objects(t *testing.T, text string) map[string]object {
	t.Helper()
	found := map[string]object{}
	for _, document := range regexp.MustCompile(`(?m)^---.*$`).Split(text, -1) {
		var one object
		if err := yaml.Unmarshal([]byte(document), &one); err != nil {
			t.Fatal(err)
		}
		if len(one) == 0 {
			continue
		}
		metadata := one["metadata"].(object)
		key := fmt.Sprint(one["apiVersion"], " ", one["kind"], " ", metadata["namespace"], "/", metadata["name"])
		if _, twice := found[key]; twice {
			t.Fatalf("%s is there twice", key)
		}
		found[key] = one
	}
	return found
}

// withoutHelm takes away what only Helm has: its own labels and its policy of keeping.
func withoutHelm(value any) any {
	switch value := value.(type) {
	case object:
		clean := object{}
		for key, inner := range value {
			switch key {
			case "app.kubernetes.io/managed-by", "helm.sh/chart", "helm.sh/resource-policy":
				continue
			}
			inner = withoutHelm(inner)
			if key == "annotations" && reflect.DeepEqual(inner, object{}) {
				continue
			}
			clean[key] = inner
		}
		return clean
	case []any:
		clean := make([]any, len(value))
		for i, inner := range value {
			clean[i] = withoutHelm(inner)
		}
		return clean
	}
	return value
}

func TestTheChartsDefaultsAreConfigDefault(t *testing.T) {
	ours := objects(t, template(t))
	theirs := objects(t, run(t, "kubectl", "kustomize", root+"/config/default"))
	delete(theirs, "v1 Namespace <nil>/"+namespace)
	same(t, ours, theirs)
}

func TestTheMonitoringOfChartAndConfigIsTheSame(t *testing.T) {
	ours := objects(t, template(t,
		"--set", "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.renderMode=alwaysRender",
		"--set", "metrics.prometheusRule.enabled=true,metrics.prometheusRule.renderMode=alwaysRender",
		"--show-only", "templates/servicemonitor.yaml", "--show-only", "templates/prometheusrule.yaml"))
	same(t, ours, objects(t, run(t, "kubectl", "kustomize", root+"/config/prometheus")))
}

func TestTheAdmissionPoliciesOfChartAndConfigAreTheSame(t *testing.T) {
	ours := objects(t, template(t, "--set", "operator.requireNamespaceClaims=true,admissionPolicies.rootDomain.enabled=true",
		"--show-only", "templates/admission.yaml"))
	theirs := objects(t, run(t, "kubectl", "kustomize", root+"/config/admission"))
	for _, set := range []map[string]object{ours, theirs} {
		for _, one := range set {
			delete(one["metadata"].(object), "labels")
		}
	}
	same(t, ours, theirs)
}

func same(t *testing.T, ours, theirs map[string]object) {
	t.Helper()
	if len(ours) == 0 {
		t.Fatal("nothing was rendered")
	}
	for key, one := range ours {
		other, there := theirs[key]
		if !there {
			t.Errorf("config lacks %s", key)
			continue
		}
		a, _ := yaml.Marshal(withoutHelm(one))
		b, _ := yaml.Marshal(withoutHelm(other))
		if string(a) != string(b) {
			t.Errorf("%s differs\nchart:\n%s\nconfig:\n%s", key, a, b)
		}
	}
	for key := range theirs {
		if _, there := ours[key]; !there {
			t.Errorf("the chart lacks %s", key)
		}
	}
}

func TestTheChartIsCleanToLintAndRendersForEverySupportedKubernetes(t *testing.T) {
	run(t, "helm", "lint", "--strict", chart)
	all := []string{"--set", "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true",
		"--set", "operator.watchNamespaces={a,b}"}
	for minor := 32; minor <= 37; minor++ {
		version := fmt.Sprintf("1.%d.0", minor)
		template(t, "--kube-version", version)
		template(t, append(all, "--kube-version", version+"-eks-abc")...)
	}
	refused(t, "incompatible with Kubernetes", "", "helm", "template", chart, "--kube-version", "1.31.9")
}

// The operator's flags are those of src/cli.rs; each but that of traces must have a value of the chart.
func TestEveryFlagOfTheOperatorIsAValueOfTheChart(t *testing.T) {
	helpers := read(t, filepath.Join(chart, "templates/_helpers.tpl"))
	flags := regexp.MustCompile(`env = "SENDING_DOMAIN_OPERATOR_([A-Z0-9_]+)"`).FindAllStringSubmatch(read(t, root+"/src/cli.rs"), -1)
	if len(flags) < 20 {
		t.Fatalf("only %d flags found in src/cli.rs", len(flags))
	}
	for _, flag := range flags {
		name := strings.ToLower(strings.ReplaceAll(flag[1], "_", "-"))
		if name == "otlp-endpoint" {
			continue // traces are set up by extraArgs and networkPolicy.extraEgress
		}
		if !strings.Contains(helpers, fmt.Sprintf("(list %q ", name)) {
			t.Errorf("--%s cannot be set by a value", name)
		}
	}
}

func TestEverythingGeneratedIsFresh(t *testing.T) {
	if _, err := try("", "bash", root+"/hack/generate-packaging.sh", "--check"); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sorted[V any](set map[string]V) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// An overlay changes namespace, image and arguments without touching the base.
func TestAnOverlayChangesNamespaceImageAndArguments(t *testing.T) {
	directory := t.TempDir()
	if err := os.CopyFS(filepath.Join(directory, "config"), os.DirFS(root+"/config")); err != nil {
		t.Fatal(err)
	}
	overlay := `
namespace: elsewhere
resources: [config/default]
images: [{name: ghcr.io/sendingdomain/sending-domain-operator, newName: mirror.local/op, newTag: v9}]
patches:
  - target: {kind: Deployment}
    patch: '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--owner-id=prod"}]'
`
	if err := os.WriteFile(filepath.Join(directory, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	text := run(t, "kubectl", "kustomize", directory)
	for key := range objects(t, text) {
		// The cluster's own objects have no namespace.
		if !strings.Contains(key, " <nil>/") && !strings.Contains(key, " elsewhere/") {
			t.Errorf("%s is not in the namespace of the overlay", key)
		}
	}
	for words, count := range map[string]int{"image: mirror.local/op:v9": 1, "- --owner-id=prod": 1, namespace: 0} {
		if got := strings.Count(text, words); got != count {
			t.Errorf("%q is there %d times, not %d", words, got, count)
		}
	}
}
