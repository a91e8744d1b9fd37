package packaging

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type alertsFile struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

func alerts(t *testing.T) alertsFile {
	t.Helper()
	var file alertsFile
	if err := yaml.Unmarshal([]byte(read(t, chart+"/files/alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEveryAlertHasARunbookAndACaseEachOfFiringAndSilence(t *testing.T) {
	runbooks := read(t, root+"/docs/runbooks.md")
	cases := read(t, root+"/tests/alerts/alerts_test.yaml")
	count := 0
	for _, group := range alerts(t).Groups {
		for _, rule := range group.Rules {
			count++
			anchor := "#" + strings.ToLower(rule.Alert)
			if !strings.HasSuffix(rule.Annotations["runbook_url"], "docs/runbooks.md"+anchor) {
				t.Errorf("%s: runbook_url is %q", rule.Alert, rule.Annotations["runbook_url"])
			}
			if !strings.Contains(runbooks, "\n## "+rule.Alert+"\n") {
				t.Errorf("docs/runbooks.md has no heading %s", rule.Alert)
			}
			for _, name := range []string{rule.Alert + " fires", rule.Alert + " keeps silent"} {
				if strings.Count(cases, "name: "+name+"\n") != 1 {
					t.Errorf("tests/alerts has not one case %q", name)
				}
			}
			for _, label := range []string{"severity", "operator_health_impact"} {
				if rule.Labels[label] == "" {
					t.Errorf("%s has no label %s", rule.Alert, label)
				}
			}
		}
	}
	if headings := strings.Count(runbooks, "\n## SendingDomain"); headings != count {
		t.Errorf("%d runbooks for %d alerts", headings, count)
	}
}

var metricName = regexp.MustCompile(`\bsendingdomain_[a-z_]+`)

// Whoever renames a metric has to rename it where it is read.
func TestAlertsAndDashboardReadMetricsThatTheOperatorHas(t *testing.T) {
	known := metrics(t)
	var dashboard any
	text := read(t, chart+"/files/dashboard.json")
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the dashboard": text, "the alerts": read(t, chart+"/files/alerts.yaml")} {
		names := metricName.FindAllString(text, -1)
		if len(names) < 5 {
			t.Errorf("%s reads only %v", what, names)
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s reads %s, which the operator does not have", what, name)
			}
		}
	}
}

// metrics reads the names from the reference, which is made from the program, with the endings of histograms.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| `(sendingdomain_[a-z_]+)` \\| ([a-z]+) \\|")
	for _, match := range row.FindAllStringSubmatch(read(t, root+"/docs/reference/metrics.md"), -1) {
		if match[2] != "histogram" {
			known[match[1]] = true
			continue
		}
		for _, ending := range []string{"_bucket", "_sum", "_count"} {
			known[match[1]+ending] = true
		}
	}
	if len(known) < 30 {
		t.Fatalf("only %v found in the reference", sorted(known))
	}
	return known
}

// Prometheus's own parser reads each query of the dashboard.
func TestTheQueriesOfTheDashboardAreSound(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, chart+"/files/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*")
	var rules []object
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			rules = append(rules, object{"record": fmt.Sprintf("query:%d", len(rules)), "expr": variables.Replace(target.Expr)})
		}
	}
	if len(rules) < 20 {
		t.Fatalf("only %d queries", len(rules))
	}
	text, err := yaml.Marshal(object{"groups": []object{{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "promtool", "check", "rules", file)
}
