//! The Kubernetes API of the operator: types, conditions, reasons and the CRD made from them.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod condition;
pub mod crd;
pub mod dmarc;
pub mod dns;
pub mod duration;
pub mod event;
pub mod reason;
pub mod served;
pub mod status;
pub mod v1alpha1;

/// The API group.
pub const GROUP: &str = "sendingdomain.dev";
/// The finalizer that holds an object until what was created for it is gone.
pub const FINALIZER: &str = "sendingdomain.dev/cleanup";
/// Annotation: any new value reconciles now and re-arms a failed verification.
pub const RECONCILE_AT: &str = "sendingdomain.dev/reconcile-at";
/// Annotation: any new value asks for fresh DKIM tokens.
pub const RECREATE_AT: &str = "sendingdomain.dev/recreate-at";
/// Annotation: `"true"` gives up clean-up at deletion.
pub const FORCE_RELEASE: &str = "sendingdomain.dev/force-release";
/// The name under which the operator writes to the API server and reports events.
pub const FIELD_MANAGER: &str = "sending-domain-operator";

/// What `status.lastHandledReconcileAt` says once the `value` of [`RECONCILE_AT`] is handled: 256 characters of it at most.
pub fn handled_as(value: &str) -> String {
    value.chars().take(256).collect()
}
