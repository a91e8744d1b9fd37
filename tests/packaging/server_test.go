package packaging

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

const token = "packaging-admin"

// A free port is only free until somebody else takes it.
const attempts = 4

// server starts etcd and kube-apiserver for one test, and points kubectl and helm at them.
func server(t *testing.T) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		err := boot(t, t.TempDir())
		if err == nil {
			return
		}
		if attempt == attempts {
			t.Fatal(err)
		}
		t.Log(err)
	}
}

func boot(t *testing.T, directory string) error {
	t.Helper()
	ports := freePorts(t, 3)
	etcd, peer, url := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1], "https://127.0.0.1:"+ports[2]
	write := func(name, text string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tokens := write("tokens.csv", token+",admin,admin,system:masters\n")
	key := write("key.pem", newKey(t))
	store := start(t, directory, "etcd", "--data-dir="+filepath.Join(directory, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	front := start(t, directory, "kube-apiserver", "--etcd-servers="+etcd, "--secure-port="+ports[2],
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.0.0.0/24", "--cert-dir="+filepath.Join(directory, "certificates"),
		"--authorization-mode=RBAC", "--token-auth-file="+tokens,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+key,
		"--service-account-signing-key-file="+key, "--disable-admission-plugins=ServiceAccount")
	config := write("kubeconfig", fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": %q, "insecure-skip-tls-verify": true}}],
		"users": [{"name": "c", "user": {"token": %q}}],
		"contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}`, url, token))
	t.Setenv("KUBECONFIG", config)
	t.Setenv("KUBECACHEDIR", filepath.Join(directory, "cache"))
	return awaitReady(t, url, store, front)
}

// newKey signs the tokens of ServiceAccounts.
func newKey(t *testing.T) string {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func freePorts(t *testing.T, count int) []string {
	t.Helper()
	ports := make([]string, count)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		_, ports[i], _ = net.SplitHostPort(listener.Addr().String())
	}
	return ports
}

// A program that ends with the test, and also when the test's own process is killed: its input is then at its end.
const guard = `exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ cat <&3 >/dev/null; kill -9 $child 2>/dev/null; } &
wait $child`

type program struct {
	log   string
	ended chan struct{}
	// Ends it, if it has not ended by itself.
	stop func()
}

func start(t *testing.T, directory, name string, args ...string) program {
	t.Helper()
	return startAt(t, filepath.Join(directory, name+".log"), append([]string{filepath.Join(assets, name)}, args...)...)
}

func startAt(t *testing.T, file string, arguments ...string) program {
	t.Helper()
	log, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sh", append([]string{"-c", guard, "sh"}, arguments...)...)
	command.Stdout, command.Stderr = log, log
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	stop := func() {
		_ = input.Close()
		<-ended
	}
	t.Cleanup(stop)
	return program{file, ended, stop}
}

func awaitReady(t *testing.T, url string, programs ...program) error {
	t.Helper()
	client := http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // our own, on loopback
	}
	request, err := http.NewRequest(http.MethodGet, url+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		for _, one := range programs {
			select {
			case <-one.ended:
				return fmt.Errorf("ended early: %s", read(t, one.log))
			default:
			}
		}
		if answer, err := client.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return fmt.Errorf("not ready: %s", read(t, programs[len(programs)-1].log))
}

func get(t *testing.T, args ...string) object {
	t.Helper()
	var one object
	if err := json.Unmarshal([]byte(run(t, "kubectl", append([]string{"get", "-o", "json"}, args...)...)), &one); err != nil {
		t.Fatal(err)
	}
	return one
}

func at(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			value = value.(object)[step]
		case int:
			value = value.([]any)[step]
		}
	}
	return value
}

func helm(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "helm", append(args, "--namespace", namespace)...)
}

func deployment(t *testing.T) object {
	t.Helper()
	return get(t, "deployment", release, "-n", namespace)
}

const crd = "crd/sendingdomains.sendingdomain.dev"

// One life of an installation, on a real API server. Nothing runs the pods: there are no nodes.
func TestTheChartLives(t *testing.T) {
	server(t)
	run(t, "kubectl", "apply", "-f", root+"/config/manager/namespace.yaml")
	// Somebody has applied the CRD before: Helm takes it over when told so, and not before.
	run(t, "kubectl", "apply", "--server-side", "-f", root+"/crds")
	refused(t, "invalid ownership metadata", "", "helm", "install", release, chart, "--namespace", namespace)
	helm(t, "install", release, chart, "--take-ownership")
	run(t, "kubectl", "wait", "--for=condition=Established", "--timeout=30s", crd)

	t.Run("every sample is accepted", func(t *testing.T) {
		samples := run(t, "kubectl", "apply", "--dry-run=server", "--validate=strict", "-o", "name", "-R", "-f", root+"/config/samples")
		files, err := filepath.Glob(root + "/config/samples/features/*.yaml")
		if err != nil || strings.Count(samples, "\n") != len(files)+2 || len(files) < 7 {
			t.Fatalf("%v %v: %s", err, files, samples)
		}
	})
	t.Run("every field of the spec is in a sample", everyFieldIsInASample)
	t.Run("the pod meets the restricted standard, which its namespace enforces", restrictedPod)
	run(t, "kubectl", "apply", "-f", root+"/config/samples/manual.yaml")
	domain := []string{"sendingdomain", "news-example-org"}
	uid := at(get(t, domain...), "metadata", "uid")

	t.Run("upgrade and rollback leave domains alone", func(t *testing.T) {
		first := deployment(t)
		helm(t, "upgrade", release, chart, "--set", "image.tag=next,operator.ownerID=prod,replicaCount=3")
		upgraded := deployment(t)
		if image := at(upgraded, "spec", "template", "spec", "containers", 0, "image"); image != "ghcr.io/sendingdomain/sending-domain-operator:next" {
			t.Fatalf("image after the upgrade: %v", image)
		}
		helm(t, "rollback", release, "1")
		want, _ := yaml.Marshal(at(first, "spec"))
		if got, _ := yaml.Marshal(at(deployment(t), "spec")); string(got) != string(want) {
			t.Fatalf("after the rollback:\n%s\nnot:\n%s", got, want)
		}
		if after := at(get(t, domain...), "metadata", "uid"); after != uid {
			t.Fatalf("another domain: %v, not %v", after, uid)
		}
	})
	t.Run("the operator may do what it must, and no more", clusterWideRights)
	t.Run("uninstalling keeps CRD and domains, installing takes them up", func(t *testing.T) {
		helm(t, "uninstall", release)
		if after := at(get(t, domain...), "metadata", "uid"); after != uid {
			t.Fatalf("another domain: %v, not %v", after, uid)
		}
		refused(t, "NotFound", "", "kubectl", "get", "clusterrole", release)
		helm(t, "install", release, chart, "--set", "operator.watchNamespaces={default}")
	})
	t.Run("in a few namespaces it may do nothing elsewhere", scopedRights)
	t.Run("claims are enforced at the door", func(t *testing.T) {
		helm(t, "upgrade", release, chart, "--set", "operator.requireNamespaceClaims=true")
		// The API server takes a policy up within seconds.
		var err error
		for range 100 {
			_, err = try("", "kubectl", "apply", "--dry-run=server", "-f", root+"/config/samples/cloudflare.yaml")
			if err != nil {
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
		if err == nil || !strings.Contains(err.Error(), "may not claim mail.example.com") {
			t.Fatalf("not refused by the policy: %v", err)
		}
	})
	t.Run("a second release shares the cluster and goes alone", func(t *testing.T) {
		refused(t, "invalid ownership metadata", "", "helm", "install", "second", chart, "-n", namespace)
		helm(t, "install", "second", chart, "--set", "crds.install=false,leaderElection.id=second,operator.watchLabelSelector=shard=two")
		helm(t, "uninstall", "second")
		deployment(t)
		if after := at(get(t, domain...), "metadata", "uid"); after != uid {
			t.Fatalf("another domain: %v, not %v", after, uid)
		}
	})
	t.Run("a second release in another namespace enforces its claims there alone", func(t *testing.T) {
		run(t, "helm", "install", "third", chart, "-n", "elsewhere", "--create-namespace",
			"--set", "crds.install=false,operator.requireNamespaceClaims=true,operator.watchNamespaces={elsewhere}")
		// The first release has them for the whole cluster: both are in force, and now its own are gone.
		helm(t, "upgrade", release, chart, "--set", "operator.requireNamespaceClaims=false")
		claims := func(place string, want bool) {
			t.Helper()
			var err error
			for range 100 {
				_, err = try("", "kubectl", "apply", "--dry-run=server", "-n", place, "-f", root+"/config/samples/cloudflare.yaml")
				if (err != nil) == want {
					return
				}
				time.Sleep(200 * time.Millisecond)
			}
			t.Errorf("in %s: %v", place, err)
		}
		claims("default", false)
		claims("elsewhere", true)
		claims("kube-public", false)
		run(t, "helm", "uninstall", "third", "-n", "elsewhere")
		claims("elsewhere", false)
		run(t, "kubectl", "get", "clusterrole", release, release+"-view", release+"-edit")
	})
	t.Run("values that cannot be are refused by helm", func(t *testing.T) {
		refused(t, "additional properties", "", "helm", "upgrade", release, chart, "-n", namespace, "--set", "replicas=1")
	})
	t.Run("mistakes of names are refused before anything is changed", func(t *testing.T) {
		refused(t, "leaderElection.enabled must be true", "", "helm", "upgrade", release, chart, "-n", namespace, "--set", "leaderElection.enabled=false")
	})
}

func restrictedPod(t *testing.T) {
	template := at(deployment(t), "spec", "template").(object)
	pod := func(change func(object)) string {
		text, _ := json.Marshal(template)
		var copied object
		_ = json.Unmarshal(text, &copied)
		copied["apiVersion"], copied["kind"] = "v1", "Pod"
		copied["metadata"].(object)["name"] = "try"
		change(copied["spec"].(object))
		text, _ = json.Marshal(copied)
		return string(text)
	}
	create := []string{"create", "--dry-run=server", "-n", namespace, "-f", "-"}
	feed(t, pod(func(object) {}), "kubectl", create...)
	refused(t, "violates PodSecurity", pod(func(spec object) { delete(spec, "securityContext") }), "kubectl", create...)
}

// may asks the authorizer of the API server, as the operator's ServiceAccount.
func may(t *testing.T, want bool, question ...string) {
	t.Helper()
	account := "system:serviceaccount:" + namespace + ":" + release
	args := append([]string{"auth", "can-i", "--as=" + account}, question...)
	var got string
	// The authorizer follows a watch.
	for range 50 {
		got, _ = try("", "kubectl", args...)
		if strings.HasPrefix(got, "yes") == want {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%v: %s", question, got)
}

func clusterWideRights(t *testing.T) {
	may(t, true, "list", "sendingdomains", "-A")
	may(t, true, "get", "secrets/cloudflare", "-n", "default")
	may(t, true, "patch", "sendingdomains", "--subresource=status", "-n", "default")
	may(t, true, "update", "leases/sending-domain-operator", "-n", namespace)
	for _, question := range [][]string{
		{"list", "secrets", "-A"}, {"watch", "secrets", "-n", "default"}, {"update", "secrets", "-n", "default"},
		{"create", "sendingdomains", "-n", "default"}, {"delete", "sendingdomains", "-n", "default"},
		{"get", "pods", "-n", "default"}, {"create", "serviceaccounts", "--subresource=token", "-n", namespace},
		{"update", "leases/other", "-n", namespace}, {"create", "leases", "-n", "default"},
		{"escalate", "clusterroles"}, {"bind", "clusterroles"}, {"impersonate", "users"}, {"patch", "customresourcedefinitions"},
	} {
		may(t, false, question...)
	}
}

func scopedRights(t *testing.T) {
	may(t, true, "list", "sendingdomains", "-n", "default")
	may(t, true, "get", "secrets/cloudflare", "-n", "default")
	may(t, true, "get", "namespaces/default", "-n", "default")
	may(t, true, "get", "namespaces/kube-system", "-n", "kube-system")
	for _, question := range [][]string{
		{"list", "sendingdomains", "-A"}, {"list", "sendingdomains", "-n", "kube-public"},
		{"get", "secrets/any", "-n", "kube-public"}, {"get", "secrets/any", "-n", "kube-system"},
		{"get", "namespaces/kube-public", "-n", "kube-public"}, {"list", "namespaces"},
	} {
		may(t, false, question...)
	}
}

// versions lists the objects of a file, each with its resourceVersion and generation.
func versions(t *testing.T, file string) string {
	t.Helper()
	return run(t, "kubectl", "get", "-f", file,
		"-o", "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion,GENERATION:.metadata.generation")
}

// The single file, and what Argo CD makes of the chart: applied by each of its ways, nothing is out of sync afterwards.
func TestNothingDriftsAfterItWasApplied(t *testing.T) {
	server(t)
	run(t, "kubectl", "apply", "--server-side", "--validate=strict", "-f", root+"/dist/install.yaml")
	run(t, "kubectl", "diff", "--server-side", "-f", root+"/dist/install.yaml")
	// The second time nothing is written: no object gets another version.
	once := versions(t, root+"/dist/install.yaml")
	run(t, "kubectl", "apply", "--server-side", "-f", root+"/dist/install.yaml")
	if again := versions(t, root+"/dist/install.yaml"); again != once {
		t.Errorf("applied twice:\n%s\nonce:\n%s", again, once)
	}

	directory := t.TempDir()
	desired := filepath.Join(directory, "desired.yaml")
	write(t, desired, tracked(objects(t, template(t))))
	live := filepath.Join(directory, "live.json")
	compare := func(t *testing.T, ways ...string) {
		t.Helper()
		fetch(t, live, "-f", desired)
		for _, way := range ways {
			t.Log(run(t, "kube-verdict", "drift", way, desired, live))
		}
	}
	t.Run("by server-side apply", func(t *testing.T) {
		run(t, "kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", desired)
		run(t, "kubectl", "diff", "--server-side", "--field-manager=argocd-controller", "-f", desired)
		compare(t, "structured", "server-side", "three-way")
	})
	t.Run("by client-side apply", func(t *testing.T) {
		run(t, "kubectl", "delete", "--wait=false", "-f", desired)
		run(t, "kubectl", "wait", "--for=delete", "--timeout=30s", crd)
		run(t, "kubectl", "apply", "-f", desired)
		compare(t, "three-way", "server-side")
	})
	t.Run("the domains of the documented Application", func(t *testing.T) {
		run(t, "kubectl", "wait", "--for=condition=Established", "--timeout=30s", crd)
		domains := root + "/deploy/argocd/domains/mail-example-com.yaml"
		run(t, "kubectl", "apply", "-n", "default", "-f", domains)
		fetch(t, live, "-n", "default", "-f", domains)
		placed := filepath.Join(directory, "placed.yaml")
		write(t, placed, strings.Replace(read(t, domains), "metadata:\n", "metadata:\n  namespace: default\n", 1))
		run(t, "kube-verdict", "drift", "three-way", placed, live)
	})
	t.Run("domains in every state", domainsInSync)
	t.Run("and a change by others is seen", func(t *testing.T) {
		run(t, "kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", desired)
		run(t, "kubectl", "scale", "deployment", release, "-n", namespace, "--replicas=7")
		fetch(t, live, "-f", desired)
		for _, way := range []string{"three-way", "structured", "server-side"} {
			refused(t, "is OutOfSync", "", "kube-verdict", "drift", way, desired, live)
		}
	})
}

// tracked are manifests with the annotation by which Argo CD knows its own.
func tracked(manifests map[string]object) string {
	text := ""
	for _, name := range sorted(manifests) {
		one := manifests[name]
		metadata := one["metadata"].(object)
		annotations, _ := metadata["annotations"].(object)
		if annotations == nil {
			annotations = object{}
			metadata["annotations"] = annotations
		}
		group, _, grouped := strings.Cut(one["apiVersion"].(string), "/")
		if !grouped {
			group = ""
		}
		place, _ := metadata["namespace"].(string)
		annotations["argocd.argoproj.io/tracking-id"] = fmt.Sprintf("app:%s/%s:%s/%s", group, one["kind"], place, metadata["name"])
		line, _ := json.Marshal(one)
		text += "---\n" + string(line) + "\n"
	}
	return text
}

// fetch writes objects as the API server has them, and who manages which of their fields.
func fetch(t *testing.T, file string, args ...string) {
	t.Helper()
	write(t, file, run(t, "kubectl", append([]string{"get", "-o", "json", "--show-managed-fields"}, args...)...))
}

// What the operator has written to the domains of real runs, beside what Argo CD applies.
func domainsInSync(t *testing.T) {
	run(t, "kubectl", "create", "namespace", "mail")
	directory := t.TempDir()
	desired, live := filepath.Join(directory, "domains.yaml"), filepath.Join(directory, "live.json")
	manifests := map[string]object{}
	captured := capturedObjects(t)
	for name, one := range captured {
		applied := at(one, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration").(string)
		var manifest object
		if err := yaml.Unmarshal([]byte(applied), &manifest); err != nil {
			t.Fatal(err)
		}
		manifest["metadata"] = object{"name": name, "namespace": "mail", "annotations": object{"argocd.argoproj.io/sync-wave": "1"}}
		manifests[name] = manifest
	}
	write(t, desired, tracked(manifests))
	run(t, "kubectl", "apply", "--server-side", "--field-manager=argocd-controller", "-f", desired)
	for name, one := range captured {
		run(t, "kubectl", "patch", "sendingdomain", name, "-n", "mail", "--field-manager=sending-domain-operator", "--type=merge",
			"--patch", `{"metadata": {"finalizers": ["sendingdomain.dev/cleanup"]}}`)
		status, _ := json.Marshal(object{"status": one["status"]})
		run(t, "kubectl", "patch", "sendingdomain", name, "-n", "mail", "--field-manager=sending-domain-operator", "--type=merge",
			"--subresource=status", "--patch", string(status))
	}
	fetch(t, live, "-f", desired)
	for _, way := range []string{"structured", "server-side", "three-way"} {
		t.Log(run(t, "kube-verdict", "drift", way, desired, live))
	}
}

// Who looks for an example of a field finds one.
func everyFieldIsInASample(t *testing.T) {
	samples := ""
	err := filepath.WalkDir(root+"/config/samples", func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Base(path) != "kustomization.yaml" {
			samples += "---\n" + read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	var mark func(any, string)
	mark = func(value any, path string) {
		shown[path] = true
		if inner, is := value.(object); is {
			for name := range inner {
				mark(inner[name], path+"."+name)
			}
		}
	}
	for _, sample := range objects(t, samples) {
		mark(sample["spec"], "spec")
	}
	fields := 0
	var walk func(any, string)
	walk = func(schema any, path string) {
		fields++
		if !shown[path] {
			t.Errorf("no sample has %s", path)
		}
		properties, _ := schema.(object)["properties"].(object)
		for name, inner := range properties {
			walk(inner, path+"."+name)
		}
	}
	walk(at(parse(t, root+"/crds/sendingdomains.yaml"), "spec", "versions", 0, "schema", "openAPIV3Schema", "properties", "spec"), "spec")
	if fields < 20 {
		t.Errorf("only %d fields", fields)
	}
}
