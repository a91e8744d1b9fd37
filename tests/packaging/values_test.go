package packaging

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func parse(t *testing.T, path string) object {
	t.Helper()
	var one object
	if err := yaml.Unmarshal([]byte(read(t, path)), &one); err != nil {
		t.Fatal(path, err)
	}
	return one
}

// schemaAt follows a reference within the schema.
func schemaAt(root object, node any) object {
	one, _ := node.(object)
	if reference, is := one["$ref"].(string); is {
		return at(root, "definitions", strings.TrimPrefix(reference, "#/definitions/")).(object)
	}
	return one
}

// settings lists what can be set, by dotted path: everything that the schema takes apart no further.
func settings(root object, node any, path string, found map[string]object) {
	one := schemaAt(root, node)
	properties, _ := one["properties"].(object)
	for name, inner := range properties {
		settings(root, inner, strings.TrimPrefix(path+"."+name, "."), found)
	}
	if len(properties) == 0 {
		found[path] = one
	}
}

// The schema has no value that values.yaml does not explain, and the other way round.
func TestSchemaAndValuesAreOfOneMind(t *testing.T) {
	schema, values := parse(t, chart+"/values.schema.json"), parse(t, chart+"/values.yaml")
	readme := read(t, chart+"/README.md")
	known := map[string]object{}
	settings(schema, schema, "", known)
	lacking := func(path string) bool {
		var value any = values
		for _, step := range strings.Split(path, ".") {
			inner, _ := value.(object)
			var there bool
			if value, there = inner[step]; !there {
				return true
			}
		}
		return false
	}
	// Parts of what has a default as a whole.
	parts := []string{"livenessProbe.", "readinessProbe.", "resources."}
	for path := range known {
		// `resources` has one explanation for all of its parts.
		row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(path) + ` \|.*\| [^|\s][^|]* \|$`)
		if !lacking(path) && !startsWithOneOf(path, parts[2:]) && !row.MatchString(readme) {
			t.Errorf("the README does not explain %s", path)
		}
		if lacking(path) && !startsWithOneOf(path, parts) {
			t.Errorf("values.yaml does not have %s, which the schema allows", path)
		}
	}
	var walk func(any, string)
	walk = func(value any, path string) {
		if inner, is := value.(object); is && known[path] == nil {
			for name := range inner {
				walk(inner[name], strings.TrimPrefix(path+"."+name, "."))
			}
			return
		}
		if known[path] == nil {
			t.Errorf("the schema does not have %s", path)
		}
	}
	walk(values, "")
	if len(known) < 120 {
		t.Errorf("only %d values in the schema", len(known))
	}
	t.Logf("%d values", len(known))
}

func startsWithOneOf(text string, beginnings []string) bool {
	for _, beginning := range beginnings {
		if strings.HasPrefix(text, beginning) {
			return true
		}
	}
	return false
}

// Each object of the schema is closed but `global`, which a parent chart shares with others.
func TestATypoIsRefusedWhereverItIs(t *testing.T) {
	schema := parse(t, chart+"/values.schema.json")
	places := 0
	var walk func(any, string)
	walk = func(node any, path string) {
		one := schemaAt(schema, node)
		properties, _ := one["properties"].(object)
		if len(properties) == 0 {
			return
		}
		if path != "global" {
			places++
			refused(t, "additional properties 'typo' not allowed", "", "helm", "template", chart, "--set", strings.TrimPrefix(path+".typo=1", "."))
		}
		for name, inner := range properties {
			walk(inner, strings.TrimPrefix(path+"."+name, "."))
		}
	}
	walk(schema, "")
	run(t, "helm", "template", chart, "--set", "global.ofAnother=1")
	if places < 20 {
		t.Errorf("only %d places tried", places)
	}
}

type chartTest struct {
	Set     object `json:"set"`
	Asserts []any  `json:"asserts"`
}

func chartTests(t *testing.T) map[string][]chartTest {
	t.Helper()
	files, err := filepath.Glob(chart + "/tests/*_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]chartTest{}
	for _, file := range files {
		var suite struct {
			Tests []chartTest `json:"tests"`
		}
		if err := yaml.Unmarshal([]byte(read(t, file)), &suite); err != nil {
			t.Fatal(file, err)
		}
		found[filepath.Base(file)] = suite.Tests
	}
	return found
}

// A value that nobody sets in a test of what is rendered may do nothing.
func TestEveryValueIsSetToAnotherByATestOfTheChart(t *testing.T) {
	schema, values := parse(t, chart+"/values.schema.json"), parse(t, chart+"/values.yaml")
	known := map[string]object{}
	settings(schema, schema, "", known)
	assertions := 0
	var mark func(any, string)
	mark = func(value any, path string) {
		if inner, is := value.(object); is && known[path] == nil {
			for name := range inner {
				mark(inner[name], strings.TrimPrefix(path+"."+name, "."))
			}
			return
		}
		var fallback any = values
		for _, step := range strings.Split(path, ".") {
			inner, _ := fallback.(object)
			fallback = inner[step]
		}
		if !reflect.DeepEqual(value, fallback) {
			delete(known, path)
		}
	}
	for file, tests := range chartTests(t) {
		for _, test := range tests {
			assertions += len(test.Asserts)
			if file == "schema_test.yaml" {
				continue
			}
			for path, value := range test.Set {
				// One that is set in part.
				for end := path; end != ""; end = upOne(end) {
					if known[end] != nil {
						path = end
						break
					}
				}
				mark(value, path)
			}
		}
	}
	for _, path := range sorted(known) {
		t.Errorf("no test sets %s to anything but its default", path)
	}
	if assertions < 150 {
		t.Errorf("only %d assertions", assertions)
	}
	t.Logf("%d assertions", assertions)
}

func upOne(path string) string {
	if cut := strings.LastIndex(path, "."); cut > 0 {
		return path[:cut]
	}
	return ""
}

// A parent chart has this one as a dependency, with a condition and values of its own.
func TestTheChartIsADependencyOfAnother(t *testing.T) {
	parent := t.TempDir()
	absolute, err := filepath.Abs(chart)
	if err != nil {
		t.Fatal(err)
	}
	description, _ := json.Marshal(object{"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": []object{{
		"name": release, "version": "*", "repository": "file://" + absolute, "condition": release + ".enabled"}}})
	values, _ := json.Marshal(object{
		"global": object{"imageRegistry": "mirror.local", "imagePullSecrets": []string{"pull"}, "storageClass": "of others"},
		release:  object{"enabled": true, "operator": object{"ownerID": "prod"}},
	})
	write(t, filepath.Join(parent, "Chart.yaml"), string(description))
	write(t, filepath.Join(parent, "values.yaml"), string(values))
	run(t, "helm", "dependency", "build", parent)
	rendered := objects(t, run(t, "helm", "template", "mine", parent, "--namespace", namespace))
	deployment := rendered["apps/v1 Deployment "+namespace+"/mine-"+release]
	if deployment == nil {
		t.Fatalf("no Deployment in %v", sorted(rendered))
	}
	container := at(deployment, "spec", "template", "spec", "containers", 0).(object)
	if image := container["image"].(string); !strings.HasPrefix(image, "mirror.local/") {
		t.Errorf("the image is %s", image)
	}
	if secret := at(deployment, "spec", "template", "spec", "imagePullSecrets", 0, "name"); secret != "pull" {
		t.Errorf("the pull Secret is %v", secret)
	}
	if off := run(t, "helm", "template", "mine", parent, "--set", release+".enabled=false"); strings.Contains(off, "kind:") {
		t.Errorf("switched off, it renders\n%s", off)
	}
}

// The README says what the operator does where a value is not set.
func TestTheREADMEKnowsTheDefaultsOfTheOperator(t *testing.T) {
	source, readme := read(t, root+"/src/cli.rs"), read(t, chart+"/README.md")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| operator\.(\w+) \|(.*)$`).FindAllStringSubmatch(readme, -1) {
		rows[strings.ToLower(row[1])] = row[2]
	}
	flags := regexp.MustCompile(`env = "SENDING_DOMAIN_OPERATOR_([A-Z0-9_]+)"[^\n]*?default_value(?:_t)? = "?(?:\w+::)?(\w+)"?`)
	checked := 0
	for _, flag := range flags.FindAllStringSubmatch(source, -1) {
		row, there := rows[strings.ToLower(strings.ReplaceAll(flag[1], "_", ""))]
		if !there {
			continue // not a value of `operator`
		}
		checked++
		if fallback := "Default: " + strings.ToLower(flag[2]) + " |"; !strings.Contains(row, fallback) {
			t.Errorf("of %s the README does not say %q: %s", flag[1], fallback, row)
		}
	}
	if checked < 10 {
		t.Errorf("only %d defaults found in src/cli.rs", checked)
	}
}
