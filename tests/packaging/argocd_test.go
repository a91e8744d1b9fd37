package packaging

import (
	"encoding/json"
	"os"
	"path/filepath"
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
		if _, err := try("", "kube-verdict", "drift", desired, liveFile); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
