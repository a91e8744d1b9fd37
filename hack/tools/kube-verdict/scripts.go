package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/gitops-engine/pkg/health"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

// The two files have the form of Argo CD's own tests.
type healthTests struct {
	Tests []healthTest `json:"tests"`
}

type healthTest struct {
	HealthStatus health.HealthStatus `json:"healthStatus"`
	InputPath    string              `json:"inputPath"`
}

type actionTests struct {
	ActionTests []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
	DiscoveryTests []struct {
		InputPath string                    `json:"inputPath"`
		Result    []v1alpha1.ResourceAction `json:"result"`
	} `json:"discoveryTests"`
}

// What kstatus must say where Argo CD says this. Suspended is unknown to kstatus.
var agreeing = map[health.HealthStatusCode]status.Status{
	health.HealthStatusHealthy:     status.CurrentStatus,
	health.HealthStatusProgressing: status.InProgressStatus,
	health.HealthStatusDegraded:    status.FailedStatus,
}

func test(folder, configMap string, out io.Writer) error {
	custom, err := overrides(configMap)
	if err != nil {
		return err
	}
	var faults []error
	count := 0
	check := func(name string, err error) {
		count++
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	var verdicts healthTests
	if err := load(filepath.Join(folder, "health_test.yaml"), &verdicts); err != nil {
		return err
	}
	for _, test := range verdicts.Tests {
		check(test.InputPath, healthIs(filepath.Join(folder, test.InputPath), test.HealthStatus, custom))
	}
	actions := filepath.Join(folder, "actions")
	var changes actionTests
	if err := load(filepath.Join(actions, "action_test.yaml"), &changes); err != nil {
		return err
	}
	vm := lua.VM{ResourceOverrides: custom}
	for _, test := range changes.DiscoveryTests {
		check("discovery "+test.InputPath, offers(filepath.Join(actions, test.InputPath), test.Result, vm))
	}
	for _, test := range changes.ActionTests {
		in, want := filepath.Join(actions, test.InputPath), filepath.Join(actions, test.ExpectedOutputPath)
		check(test.Action+" "+test.InputPath, makes(test.Action, in, want, vm))
	}
	fmt.Fprintf(out, "%d verdicts, offers and actions tried in Argo CD's Lua engine and kstatus, %d wrong\n", count, len(faults))
	return errors.Join(faults...)
}

// refresh takes over the messages of new objects, but no other verdict than the one that is written down.
func refresh(folder, configMap string) error {
	custom, err := overrides(configMap)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, "health_test.yaml")
	var verdicts healthTests
	if err := load(path, &verdicts); err != nil {
		return err
	}
	for i := range verdicts.Tests {
		test := &verdicts.Tests[i]
		object, err := loadObject(filepath.Join(folder, test.InputPath))
		if err != nil {
			return err
		}
		got, err := health.GetResourceHealth(object, lua.ResourceHealthOverrides(custom))
		if err != nil {
			return err
		}
		if got == nil || got.Status != test.HealthStatus.Status {
			return fmt.Errorf("%s: Argo CD says %+v, not %s", test.InputPath, got, test.HealthStatus.Status)
		}
		test.HealthStatus.Message = got.Message
	}
	text, err := yaml.Marshal(verdicts)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func healthIs(path string, want health.HealthStatus, custom lua.ResourceHealthOverrides) error {
	object, err := loadObject(path)
	if err != nil {
		return err
	}
	got, err := health.GetResourceHealth(object, custom)
	if err != nil {
		return err
	}
	if got == nil || *got != want {
		return fmt.Errorf("Argo CD says %+v, not %+v", got, want)
	}
	result, err := status.Compute(object)
	if err != nil {
		return err
	}
	agreed, known := agreeing[want.Status]
	if object.GetDeletionTimestamp() != nil {
		agreed = status.TerminatingStatus
	}
	if known && result.Status != agreed {
		return fmt.Errorf("kstatus says %s (%s), not %s", result.Status, result.Message, agreed)
	}
	return nil
}

func offers(path string, want []v1alpha1.ResourceAction, vm lua.VM) error {
	object, err := loadObject(path)
	if err != nil {
		return err
	}
	scripts, err := vm.GetResourceActionDiscovery(object)
	if err != nil {
		return err
	}
	got, err := vm.ExecuteResourceActionDiscovery(object, scripts)
	if err != nil {
		return err
	}
	byName := func(actions []v1alpha1.ResourceAction) map[string]v1alpha1.ResourceAction {
		by := map[string]v1alpha1.ResourceAction{}
		for _, action := range actions {
			by[action.Name] = action
		}
		return by
	}
	if !reflect.DeepEqual(byName(got), byName(want)) {
		return fmt.Errorf("offered %v, not %v", byName(got), byName(want))
	}
	return nil
}

func makes(name, in, expected string, vm lua.VM) error {
	object, err := loadObject(in)
	if err != nil {
		return err
	}
	want, err := loadObject(expected)
	if err != nil {
		return err
	}
	action, err := vm.GetResourceAction(object, name)
	if err != nil {
		return err
	}
	results, err := vm.ExecuteResourceAction(object, action.ActionLua, nil)
	if err != nil {
		return err
	}
	if len(results) != 1 || results[0].K8SOperation != lua.PatchOperation {
		return fmt.Errorf("not one patch: %+v", results)
	}
	got := results[0].UnstructuredObj
	if err := timeless(got); err != nil {
		return err
	}
	if got, err = normalised(got); err != nil {
		return err
	}
	if !reflect.DeepEqual(got.Object, want.Object) {
		return fmt.Errorf("made %v, not %v", got.Object, want.Object)
	}
	return nil
}

var timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

// timeless puts the epoch where an action has put the time, as Argo CD's tests do.
func timeless(object *unstructured.Unstructured) error {
	annotations := object.GetAnnotations()
	for _, name := range []string{group + "/reconcile-at", group + "/recreate-at"} {
		value, set := annotations[name]
		if !set {
			continue
		}
		if !timestamp.MatchString(value) {
			return fmt.Errorf("%s is %q, not a time", name, value)
		}
		annotations[name] = "0001-01-01T00:00:00Z"
	}
	if len(annotations) > 0 {
		object.SetAnnotations(annotations)
	}
	return nil
}
