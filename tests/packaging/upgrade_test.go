package packaging

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// firstChart is the chart as it was at its first commit. Nothing is released yet: later, this is the release before.
func firstChart(t *testing.T) string {
	t.Helper()
	path := strings.TrimPrefix(chart, root+"/")
	commits, err := try("", "git", "-C", root, "log", "--diff-filter=A", "--format=%H", "--", path+"/Chart.yaml")
	shallow, _ := try("", "git", "-C", root, "rev-parse", "--is-shallow-repository")
	first := strings.Fields(commits)
	if err != nil || len(first) == 0 || strings.TrimSpace(shallow) == "true" {
		skip(t, "the history of this checkout does not reach back to the first chart")
	}
	directory := t.TempDir()
	archive := filepath.Join(directory, "chart.tar")
	run(t, "git", "-C", root, "archive", "--output="+archive, first[len(first)-1], path)
	run(t, "tar", "-C", directory, "-xf", archive)
	return filepath.Join(directory, path)
}

func TestTheFirstChartIsUpgradedToThisOneAndBack(t *testing.T) {
	old := firstChart(t)
	server(t)
	helm(t, "install", release, old, "--create-namespace", "--set", "operator.ownerID=prod,replicaCount=3")
	run(t, "kubectl", "wait", "--for=condition=Established", "--timeout=30s", crd)
	run(t, "kubectl", "apply", "-f", root+"/config/samples/manual.yaml")
	domain := []string{"sendingdomain", "news-example-org"}
	uid := at(get(t, domain...), "metadata", "uid")
	before := deployment(t)

	helm(t, "upgrade", release, chart, "--reset-then-reuse-values")
	after := deployment(t)
	if at(after, "metadata", "uid") != at(before, "metadata", "uid") {
		t.Error("the Deployment was made anew")
	}
	if replicas := at(after, "spec", "replicas"); replicas != float64(3) {
		t.Errorf("the user's own value is lost: %v replicas", replicas)
	}
	text := run(t, "kubectl", "get", "deployment", release, "-n", namespace, "-o", "yaml")
	if !strings.Contains(text, "--owner-id=prod") || !strings.Contains(text, "podAntiAffinity") {
		t.Errorf("neither old values nor new defaults:\n%s", text)
	}
	// The CRD is upgraded with the chart: it is what this chart has.
	want := at(parse(t, root+"/crds/sendingdomains.yaml"), "spec", "versions", 0, "schema")
	if got := at(get(t, crd), "spec", "versions", 0, "schema"); !reflect.DeepEqual(got, want) {
		t.Errorf("the CRD is not this chart's:\n%v\n%v", got, want)
	}

	helm(t, "rollback", release, "1")
	if text := run(t, "kubectl", "get", "deployment", release, "-n", namespace, "-o", "yaml"); strings.Contains(text, "podAntiAffinity") {
		t.Error("the rollback keeps what is new")
	}
	helm(t, "uninstall", release)
	if kept := at(get(t, domain...), "metadata", "uid"); kept != uid {
		t.Errorf("another domain: %v, not %v", kept, uid)
	}
}
