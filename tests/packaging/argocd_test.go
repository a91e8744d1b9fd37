package packaging

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const scripts = root + "/deploy/argocd/resource_customizations/sendingdomain.dev/SendingDomain"

func TestArgoCDAndKstatusJudgeTheDomainsOfRealRuns(t *testing.T) {
	t.Log(run(t, "kube-verdict", "test", scripts, root+"/deploy/argocd/argocd-cm.yaml"))
}

// What the operator does to an object (finalizer, status) and the API server (defaults) is no drift of what was applied.
func TestDomainsThatTheOperatorWorksOnAreInSync(t *testing.T) {
	captured, err := filepath.Glob(scripts + "/testdata/*.yaml")
	if err != nil || len(captured) < 12 {
		t.Fatal(err, captured)
	}
	for _, path := range captured {
		name := filepath.Base(path)
		switch name {
		// Changed by hand after they were applied.
		case "suspended-while-verified.yaml", "verified-older-generation.yaml", "stalled-older-generation.yaml":
			continue
		}
		var live object
		if err := yaml.Unmarshal([]byte(read(t, path)), &live); err != nil {
			t.Fatal(err)
		}
		applied := at(live, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration").(string)
		desired := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(desired, []byte(applied), 0o600); err != nil {
			t.Fatal(err)
		}
		asJSON, _ := json.Marshal(live)
		liveFile := desired + ".json"
		if err := os.WriteFile(liveFile, asJSON, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := try("", "kube-verdict", "drift", "three-way", desired, liveFile); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// capturedObjects are by the names of their files; hack/capture-argocd.sh makes them anew.
func capturedObjects(t *testing.T) map[string]object {
	t.Helper()
	files, err := filepath.Glob(scripts + "/testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]object{}
	for _, file := range files {
		found[strings.TrimSuffix(filepath.Base(file), ".yaml")] = parse(t, file)
	}
	return found
}

// None of the states that a domain can be in is left out, and none of the objects goes untried.
func TestTheCapturedObjectsAreOfEveryState(t *testing.T) {
	statusSchema := at(parse(t, root+"/crds/sendingdomains.yaml"), "spec", "versions", 0, "schema", "openAPIV3Schema", "properties", "status")
	wanted := map[string]bool{"no status yet": true, "being deleted": true, "of an older generation": true, "suspended": true}
	for _, phase := range at(statusSchema, "properties", "phase", "enum").([]any) {
		wanted["phase "+phase.(string)] = true
	}
	for _, condition := range []string{"Ready=True", "Ready=False", "Reconciling=True", "Stalled=True"} {
		wanted[condition] = true
	}
	verdicts := read(t, scripts+"/health_test.yaml")
	for _, verdict := range []string{"Healthy", "Progressing", "Degraded", "Suspended"} {
		if !strings.Contains(verdicts, "status: "+verdict+"\n") {
			t.Errorf("no object is %s", verdict)
		}
	}
	for name, one := range capturedObjects(t) {
		if !strings.Contains(verdicts, "inputPath: testdata/"+name+".yaml\n") {
			t.Errorf("no verdict is asked of %s", name)
		}
		status := one["status"].(object)
		if phase, is := status["phase"].(string); is {
			delete(wanted, "phase "+phase)
		} else {
			delete(wanted, "no status yet")
		}
		if at(one, "metadata", "deletionTimestamp") != nil {
			delete(wanted, "being deleted")
		}
		if observed := status["observedGeneration"].(float64); observed > 0 && observed < at(one, "metadata", "generation").(float64) {
			delete(wanted, "of an older generation")
		}
		if at(one, "spec", "suspend") == true {
			delete(wanted, "suspended")
		}
		conditions, _ := status["conditions"].([]any)
		for _, condition := range conditions {
			delete(wanted, at(condition, "type").(string)+"="+at(condition, "status").(string))
		}
	}
	for _, state := range sorted(wanted) {
		t.Errorf("no object is captured: %s (see hack/capture-argocd.sh)", state)
	}
}

// An object of another CRD than this one's says nothing: the API server still takes each as it is, and keeps all of it.
func TestTheCapturedObjectsAreOfThisCRD(t *testing.T) {
	server(t)
	run(t, "kubectl", "apply", "--server-side", "-f", root+"/crds")
	run(t, "kubectl", "wait", "--for=condition=Established", "--timeout=30s", crd)
	run(t, "kubectl", "create", "namespace", "mail")
	for name, one := range capturedObjects(t) {
		metadata := one["metadata"].(object)
		for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "generation"} {
			delete(metadata, field)
		}
		metadata["name"] = name
		text, _ := json.Marshal(one)
		feed(t, string(text), "kubectl", "create", "--validate=strict", "-f", "-")
		feed(t, string(text), "kubectl", "replace", "--validate=strict", "--subresource=status", "-f", "-")
		kept := get(t, "sendingdomain", name, "-n", "mail")
		for _, part := range []string{"spec", "status"} {
			if !reflect.DeepEqual(kept[part], one[part]) {
				t.Errorf("%s of %s is kept as\n%v\nof\n%v", part, name, kept[part], one[part])
			}
		}
	}
}
