//! The finalizer. Patches test the uid and the version of the object: a slow pass over a deleted object must not touch one
//! that was created under the same name since, which kube's own helper does not guard against.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::error::Error;
use crate::api::v1alpha1::SendingDomain;
use crate::api::{FIELD_MANAGER, FINALIZER};

/// True if the object has our finalizer.
pub fn is_set(object: &SendingDomain) -> bool {
    object.finalizers().iter().any(|f| f == FINALIZER)
}

/// Adds the finalizer.
///
/// # Errors
/// [`Error::Conflict`] if the object has changed meanwhile.
pub async fn add(api: &Api<SendingDomain>, object: &SendingDomain) -> Result<SendingDomain, Error> {
    let change = if object.finalizers().is_empty() {
        json!({ "op": "add", "path": "/metadata/finalizers", "value": [FINALIZER] })
    } else {
        json!({ "op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER })
    };
    patch(api, object, change).await
}

/// Removes the finalizer, which lets the object go.
///
/// # Errors
/// [`Error::Conflict`] if the object has changed meanwhile.
pub async fn remove(api: &Api<SendingDomain>, object: &SendingDomain) -> Result<(), Error> {
    let Some(index) = object.finalizers().iter().position(|f| f == FINALIZER) else {
        return Ok(());
    };
    patch(api, object, json!({ "op": "remove", "path": format!("/metadata/finalizers/{index}") })).await?;
    Ok(())
}

async fn patch(api: &Api<SendingDomain>, object: &SendingDomain, change: Value) -> Result<SendingDomain, Error> {
    let patch = guarded(object, &change)?;
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(&object.name_any(), &params, &Patch::Json::<()>(patch)).await.map_err(Error::of_write)
}

/// `change`, if the object is still the very one that was looked at.
pub(super) fn guarded(object: &SendingDomain, change: &Value) -> Result<json_patch::Patch, Error> {
    let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
    let version = object.resource_version().ok_or(Error::Incomplete("resourceVersion"))?;
    serde_json::from_value(json!([
        { "op": "test", "path": "/metadata/uid", "value": uid },
        { "op": "test", "path": "/metadata/resourceVersion", "value": version },
        change,
    ]))
    .map_err(|_| Error::Incomplete("valid patch"))
}
