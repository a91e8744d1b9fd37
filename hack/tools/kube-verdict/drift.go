package main

import (
	"errors"
	"fmt"
	"io"

	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2/textlogger"
)

// The field manager that Argo CD applies as.
const manager = "argocd-controller"

// The ways in which Argo CD compares: by default; where an Application has the sync option ServerSideApply=true; and where
// it has the compare option ServerSideDiff=true. The latter two ask the API server that KUBECONFIG names.
const (
	threeWay   = "three-way"
	structured = "structured"
	serverSide = "server-side"
)

// drift compares as Argo CD does without any setting: no ignoreDifferences, tracking by annotation.
func drift(way, desiredPath, livePath string, out io.Writer) error {
	desired, err := loadStream(desiredPath)
	if err != nil {
		return err
	}
	live, err := loadStream(livePath)
	if err != nil {
		return err
	}
	if len(desired) == 0 {
		return errors.New("nothing is desired")
	}
	by := map[kube.ResourceKey]*unstructured.Unstructured{}
	for _, object := range live {
		by[kube.GetResourceKey(object)] = object
	}
	config, cleanUp, err := diffConfig(way)
	if err != nil {
		return err
	}
	defer cleanUp()
	var faults []error
	for _, want := range desired {
		key := kube.GetResourceKey(want)
		found, known := by[key]
		if !known {
			faults = append(faults, fmt.Errorf("%s is missing", key.String()))
			continue
		}
		result, err := argodiff.StateDiff(found, want, config)
		if err != nil {
			return fmt.Errorf("%s: %w", key.String(), err)
		}
		if result.Modified {
			faults = append(faults, fmt.Errorf("%s is OutOfSync:\n  live      %s\n  predicted %s",
				key.String(), result.NormalizedLive, result.PredictedLive))
		}
	}
	fmt.Fprintf(out, "%d objects compared by Argo CD (%s), %d out of sync\n", len(desired), way, len(faults))
	return errors.Join(faults...)
}

// diffConfig is to be cleaned up after.
func diffConfig(way string) (argodiff.DiffConfig, func(), error) {
	builder := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(nil, nil, false, normalizers.IgnoreNormalizerOpts{}).
		WithTracking("app.kubernetes.io/instance", "annotation").
		WithNoCache()
	cleanUp := func() {}
	switch way {
	case threeWay:
	case structured, serverSide:
		rest, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
		if err != nil {
			return nil, nil, err
		}
		log := textlogger.NewLogger(textlogger.NewConfig())
		schemas, parser, err := (&kube.KubectlCmd{Log: log, Tracer: tracing.NopTracer{}}).LoadOpenAPISchema(rest)
		if err != nil {
			return nil, nil, err
		}
		builder.WithGVKParser(parser).WithManager(manager)
		if way == structured {
			builder.WithStructuredMergeDiff(true)
			break
		}
		applier, clean, err := kube.ManageServerSideDiffDryRuns(rest, schemas, tracing.NopTracer{}, log,
			func(string) (kube.CleanupFunc, error) { return func() {}, nil })
		if err != nil {
			return nil, nil, err
		}
		cleanUp = clean
		builder.WithServerSideDiff(true).WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier))
	default:
		return nil, nil, fmt.Errorf("no way %q: there are %s, %s and %s", way, threeWay, structured, serverSide)
	}
	config, err := builder.Build()
	return config, cleanUp, err
}
