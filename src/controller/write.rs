//! Writes status and events: only what says something new.

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tracing::info;

use super::context::{Context, Remembered};
use super::error::Error;
use super::finalizer::guarded;
use crate::api::FIELD_MANAGER;
use crate::api::v1alpha1::{SendingDomain, SendingDomainStatus};
use crate::status::events::Note;
use crate::telemetry::metrics::ObjectState;

/// Writes `status` if it differs from that of `object`.
///
/// # Errors
/// [`Error::Conflict`] if the object has changed meanwhile.
pub async fn status(
    api: &Api<SendingDomain>,
    object: &SendingDomain,
    status: &SendingDomainStatus,
    context: &Context,
    remembered: &mut Remembered,
) -> Result<(), Error> {
    tell(context, object, Some(status));
    if object.status.as_ref() == Some(status) {
        return Ok(());
    }
    let patch = guarded(object, &json!({ "op": "add", "path": "/status", "value": status }))?;
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let written =
        api.patch_status(&object.name_any(), &params, &Patch::Json::<()>(patch)).await.map_err(Error::of_write)?;
    remembered.written = Some(written);
    Ok(())
}

/// Reports `notes` as events of `object`, and in the log.
pub fn events(context: &Context, object: &SendingDomain, notes: &[Note]) {
    for note in notes {
        info!(reason = note.reason, warning = note.warning, "{}", note.message);
        context.recorder.publish(object.object_ref(&()), note.warning, note.reason, note.action, &note.message);
    }
}

/// Tells the metrics of `object`; `None` when it is gone.
pub fn tell(context: &Context, object: &SendingDomain, status: Option<&SendingDomainStatus>) {
    let namespace = object.namespace().unwrap_or_default();
    context.metrics.object(&namespace, &object.name_any(), status.map(ObjectState::from));
}
