// kube-verdict says what the real engines of others say about our objects and scripts: Argo CD's Lua engine and diff, and
// kstatus (by which Flux, Helm and kubectl plugins judge).
//
//	kube-verdict test FOLDER CONFIGMAP   runs FOLDER/health_test.yaml and FOLDER/actions/action_test.yaml, which have
//	                                     the form of Argo CD's own resource_customizations, with the scripts as CONFIGMAP
//	                                     delivers them; kstatus must agree with each verdict
//	kube-verdict refresh FOLDER CONFIGMAP
//	                                     after new objects were captured: puts their messages into FOLDER/health_test.yaml,
//	                                     whose verdicts stay, and are tried as by test
//	kube-verdict configmap FOLDER        prints the scripts of FOLDER as such a ConfigMap
//	kube-verdict drift WAY DESIRED LIVE  lists what of DESIRED (manifests) Argo CD calls OutOfSync with LIVE (a List, with
//	                                     managed fields), compared by three-way, structured or server-side diff
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// The kind that the scripts are for.
const group, kind = "sendingdomain.dev", "SendingDomain"

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kube-verdict:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) == 3 && args[0] == "test":
		return test(args[1], args[2], out)
	case len(args) == 3 && args[0] == "refresh":
		if err := refresh(args[1], args[2]); err != nil {
			return err
		}
		return test(args[1], args[2], out)
	case len(args) == 2 && args[0] == "configmap":
		text, err := configMap(args[1])
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	case len(args) == 4 && args[0] == "drift":
		return drift(args[1], args[2], args[3], out)
	}
	return errors.New("usage: kube-verdict test FOLDER CONFIGMAP | refresh FOLDER CONFIGMAP | configmap FOLDER | drift WAY DESIRED LIVE")
}

func load(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func loadObject(path string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	if err := load(path, &object.Object); err != nil {
		return nil, err
	}
	return normalised(object)
}

// normalised has numbers as an API server's answer has them: whole ones as int64.
func normalised(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	text, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	fresh := &unstructured.Unstructured{}
	return fresh, fresh.UnmarshalJSON(text)
}

// loadStream reads manifests, and the items of Lists among them.
func loadStream(path string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	decoder := yamlstream.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		switch {
		case len(object.Object) == 0:
		case object.IsList():
			list, err := object.ToList()
			if err != nil {
				return nil, err
			}
			for i := range list.Items {
				objects = append(objects, &list.Items[i])
			}
		default:
			objects = append(objects, object)
		}
	}
}

func script(folder string, path ...string) (string, error) {
	text, err := os.ReadFile(filepath.Join(append([]string{folder}, path...)...))
	return string(text), err
}
