package main

import (
	"errors"
	"fmt"
	"io"

	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// drift compares as Argo CD does without any setting: no ignoreDifferences, tracking by annotation.
func drift(desiredPath, livePath string, out io.Writer) error {
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
	config, err := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(nil, nil, false, normalizers.IgnoreNormalizerOpts{}).
		WithTracking("app.kubernetes.io/instance", "annotation").
		WithNoCache().
		Build()
	if err != nil {
		return err
	}
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
	fmt.Fprintf(out, "%d objects compared by Argo CD, %d out of sync\n", len(desired), len(faults))
	return errors.Join(faults...)
}
