package packaging

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// operatorBinary is what Cargo has built, where it has: the suite of the chart needs no Rust.
func operatorBinary(t *testing.T) string {
	t.Helper()
	target := os.Getenv("CARGO_TARGET_DIR")
	if target == "" {
		target = root + "/target"
	}
	path := os.Getenv("OPERATOR")
	if path == "" {
		path = target + "/debug/sending-domain-operator"
		flags, err := os.Stat(root + "/src/cli.rs")
		if err != nil {
			t.Fatal(err)
		}
		if built, err := os.Stat(path); err != nil || built.ModTime().Before(flags.ModTime()) {
			skip(t, "no operator with the flags of now: cargo build, or name one by OPERATOR")
		}
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}

// What a kubelet would do: the container's own arguments and environment, as the ServiceAccount of its pod.
func TestTheOperatorRunsAsTheChartSays(t *testing.T) {
	binary := operatorBinary(t)
	server(t)
	run(t, "kubectl", "create", "namespace", namespace)
	ports := freePorts(t, 2)
	values := func(more ...string) []string {
		args := []string{"upgrade", "--install", release, chart, "--set", "metrics.port=" + ports[0] + ",healthPort=" + ports[1],
			"--set", "operator.awsRegion=eu-west-1,operator.pendingInterval=5s,operator.dnsResolvers={127.0.0.1:1,[::1]:2}"}
		return append(args, more...)
	}
	for _, mode := range []struct {
		name string
		more []string
	}{
		{"for the whole cluster", nil},
		{"for one namespace", []string{"--set", "operator.watchNamespaces={default}"}},
		{"with a Lease of another name and an owner", []string{"--set", "leaderElection.id=other,operator.ownerID=prod,operator.requireNamespaceClaims=false,operator.dnsCheck=off"}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			helm(t, values(mode.more...)...)
			run(t, "kubectl", "wait", "--for=condition=Established", "--timeout=30s", crd)
			run(t, "kubectl", "apply", "-f", root+"/config/samples/manual.yaml")
			answers(t, binary, ports)
			run(t, "kubectl", "delete", "sendingdomain", "news-example-org", "--wait=false")
			run(t, "kubectl", "patch", "sendingdomain", "news-example-org", "--type=merge", "--patch", `{"metadata": {"finalizers": null}}`)
			run(t, "kubectl", "delete", "leases", "--all", "-n", namespace)
		})
	}
}

// answers starts the operator and waits until it leads, serves, and says of a domain that SES cannot be reached.
func answers(t *testing.T, binary string, ports []string) {
	container := at(deployment(t), "spec", "template", "spec", "containers", 0).(object)
	directory := t.TempDir()
	config := filepath.Join(directory, "kubeconfig")
	write(t, config, asServiceAccount(t))
	args := []string{"env", "KUBECONFIG=" + config, "POD_NAME=operator-0", "POD_NAMESPACE=" + namespace,
		"AWS_ACCESS_KEY_ID=nobody", "AWS_SECRET_ACCESS_KEY=nothing", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED=true", binary}
	for _, arg := range container["args"].([]any) {
		args = append(args, arg.(string))
	}
	operator := startAt(t, filepath.Join(directory, "operator.log"), args...)
	deadline := time.Now().Add(40 * time.Second)
	for _, url := range []string{"http://127.0.0.1:" + ports[0] + "/metrics", "http://127.0.0.1:" + ports[1] + "/readyz", "http://127.0.0.1:" + ports[1] + "/livez"} {
		for !ok(url) {
			pause(t, operator, deadline, url)
		}
	}
	reason := ""
	for reason == "" {
		reason = run(t, "kubectl", "get", "sendingdomain", "news-example-org", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].reason}`)
		if reason == "" {
			pause(t, operator, deadline, "a word about the domain")
		}
	}
	t.Logf("of a domain whose SES cannot be reached it says %s", reason)
	holders := run(t, "kubectl", "get", "leases", "-n", namespace, "-o", "jsonpath={.items[*].spec.holderIdentity}")
	if !strings.Contains(holders, "operator-0") {
		t.Errorf("the Lease is held by %q", holders)
	}
	// As the API server words what RBAC does not grant.
	if log := read(t, operator.log); strings.Contains(log, "system:serviceaccount:") {
		t.Errorf("something was forbidden:\n%s", log)
	}
	operator.stop()
}

func ok(url string) bool {
	answer, err := http.Get(url)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func pause(t *testing.T, operator program, deadline time.Time, what string) {
	t.Helper()
	select {
	case <-operator.ended:
		t.Fatalf("ended before %s: %s", what, read(t, operator.log))
	case <-time.After(200 * time.Millisecond):
	}
	if time.Now().After(deadline) {
		t.Fatalf("waited in vain for %s: %s", what, read(t, operator.log))
	}
}

// asServiceAccount is the administrator's kubeconfig with the token that the pod would have.
func asServiceAccount(t *testing.T) string {
	t.Helper()
	var config object
	if err := json.Unmarshal([]byte(read(t, os.Getenv("KUBECONFIG"))), &config); err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(run(t, "kubectl", "create", "token", release, "-n", namespace))
	config["users"] = []object{{"name": "c", "user": object{"token": token}}}
	text, _ := json.Marshal(config)
	return fmt.Sprintln(string(text))
}
