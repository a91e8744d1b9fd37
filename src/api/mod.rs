//! The Kubernetes API of the operator.

pub mod v1alpha1;
