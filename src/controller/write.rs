//! Writes status and events: only what says something new.

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};
use tracing::info;

use super::context::{Context, Remembered};
use super::error::Error;
use crate::api::FIELD_MANAGER;
use crate::api::v1alpha1::{SendingDomain, SendingDomainStatus};
use crate::status::events::Note;
use crate::status::was_ready;
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
    let patch = patch(object, status)?;
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let written = api.patch_status(&object.name_any(), &params, &Patch::Merge(patch)).await.map_err(Error::of_write)?;
    remembered.written = Some(written);
    Ok(())
}

/// The merge patch that makes the status of `object` into `status`. Fields that this version does not know, which a newer
/// operator may have written, are not in it and stay. A version that has moved is a conflict, as it is for the finalizer;
/// it is never that of another object of the same name.
fn patch(object: &SendingDomain, status: &SendingDomainStatus) -> Result<Value, Error> {
    let version = object.resource_version().ok_or(Error::Incomplete("resourceVersion"))?;
    let as_json = |status: &SendingDomainStatus| {
        serde_json::to_value(status).map_err(|_| Error::Incomplete("status that can be written"))
    };
    let old = object.status.as_ref().map(as_json).transpose()?.unwrap_or(Value::Null);
    let change = difference(&old, &as_json(status)?);
    Ok(json!({ "metadata": { "resourceVersion": version }, "status": change }))
}

/// The merge patch (RFC 7396) from `old` to `new`: what differs, and null for what is gone.
fn difference(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let differs = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
    let changed = differs.map(|(key, value)| (key.clone(), difference(old.get(key).unwrap_or(&Value::Null), value)));
    Value::Object(gone.chain(changed).collect())
}

/// Reports `notes` as events of `object`, and in the log.
pub fn events(context: &Context, object: &SendingDomain, notes: &[Note]) {
    for note in notes {
        info!(reason = note.reason, warning = note.warning, "{}", note.message);
        context.metrics.event(note.reason);
        context.recorder.publish(object.object_ref(&()), note.warning, note.reason, note.action, &note.message);
    }
}

/// Tells the metrics what has come of a domain between two versions of its status.
pub fn progress(context: &Context, old: &SendingDomainStatus, new: &SendingDomainStatus) {
    if was_ready(old) && !was_ready(new) {
        context.metrics.regressed();
    }
    let first = |status: &SendingDomainStatus| status.verification.as_ref()?.verified_at.as_ref().map(|at| at.0);
    if let (None, Some(verified), Some(attempt)) = (first(old), first(new), &new.verification) {
        let took = verified.duration_since(attempt.started_at.0);
        context.metrics.verified(took.try_into().unwrap_or_default());
    }
}

/// Tells the metrics of `object`; `None` when it is gone.
pub fn tell(context: &Context, object: &SendingDomain, status: Option<&SendingDomainStatus>) {
    let namespace = object.namespace().unwrap_or_default();
    context.metrics.object(
        &namespace,
        &object.name_any(),
        status.map(|status| ObjectState::from(status).of(object.meta())),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g20_only_what_differs_is_written_and_what_is_unknown_stays() {
        let old =
            json!({ "phase": "Pending", "identity": { "region": "r", "error": "e" }, "records": [1, 2], "gone": 1 });
        let new = json!({ "phase": "Pending", "identity": { "region": "r", "dkimStatus": "d" }, "records": [2] });
        let change = difference(&old, &new);
        assert_eq!(change, json!({ "identity": { "error": null, "dkimStatus": "d" }, "records": [2], "gone": null }));
        let mut stored = old;
        stored["forecast"] = json!("of a newer version");
        stored["identity"]["rating"] = json!(5);
        json_patch::merge(&mut stored, &change);
        let mut wanted = new;
        wanted["forecast"] = json!("of a newer version");
        wanted["identity"]["rating"] = json!(5);
        assert_eq!(stored, wanted);
    }
}
