//! The finalizer. Patches test the uid and the version of the object: a slow pass over a deleted object must not touch one
//! that was created under the same name since, which kube's own helper does not guard against.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::Error;
use crate::api::{FIELD_MANAGER, FINALIZER};

/// An object as it is read and patched: one that this version can read in full, or of which it reads the metadata only.
pub trait Stored: Resource + Clone + Debug + DeserializeOwned {}

impl<K: Resource + Clone + Debug + DeserializeOwned> Stored for K {}

/// True if the object has our finalizer.
pub fn is_set(object: &impl Resource) -> bool {
    object.finalizers().iter().any(|f| f == FINALIZER)
}

/// Adds the finalizer.
///
/// # Errors
/// [`Error::Conflict`] if the object has changed meanwhile.
pub async fn add<K: Stored>(api: &Api<K>, object: &K) -> Result<K, Error> {
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
pub async fn remove<K: Stored>(api: &Api<K>, object: &K) -> Result<(), Error> {
    let Some(index) = object.finalizers().iter().position(|f| f == FINALIZER) else {
        return Ok(());
    };
    patch(api, object, json!({ "op": "remove", "path": format!("/metadata/finalizers/{index}") })).await?;
    Ok(())
}

async fn patch<K: Stored>(api: &Api<K>, object: &K, change: Value) -> Result<K, Error> {
    let patch = guarded(object, &change)?;
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(&object.name_any(), &params, &Patch::Json::<()>(patch)).await.map_err(Error::of_write)
}

/// `change`, if the object is still the very one that was looked at.
fn guarded(object: &impl Resource, change: &Value) -> Result<json_patch::Patch, Error> {
    let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
    let version = object.resource_version().ok_or(Error::Incomplete("resourceVersion"))?;
    serde_json::from_value(json!([
        { "op": "test", "path": "/metadata/uid", "value": uid },
        { "op": "test", "path": "/metadata/resourceVersion", "value": version },
        change,
    ]))
    .map_err(|_| Error::Incomplete("valid patch"))
}
