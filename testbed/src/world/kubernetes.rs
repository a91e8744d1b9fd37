//! What a user, or a test in a user's place, does through the API server.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{Result, World, WorldError, object};

const POLL: Duration = Duration::from_millis(50);
const FIELD_MANAGER: &str = "testbed";

impl World {
    /// Makes a namespace of a unique name.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub async fn namespace(&self) -> Result<String> {
        let name = format!("test-{:08x}-{}", rand::random::<u32>(), self.next_number());
        let namespaces: Api<Namespace> = Api::all(self.client().clone());
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .map_err(WorldError::kube(format!("create namespace {name}")))?;
        Ok(name)
    }

    /// Makes a Secret with one key, or gives an existing one this and no other key.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub async fn create_secret(&self, namespace: &str, name: &str, key: &str, value: impl AsRef<[u8]>) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client().clone(), namespace);
        // Not `stringData`, which no manager owns: applied again, a key of an earlier call would stay.
        let value = ByteString(value.as_ref().to_vec());
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {key: value},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        secrets
            .patch(name, &params, &Patch::Apply(&secret))
            .await
            .map_err(WorldError::kube(format!("apply secret {namespace}/{name}")))?;
        Ok(())
    }

    /// Deletes a Secret.
    ///
    /// # Errors
    /// If there is none.
    pub async fn delete_secret(&self, namespace: &str, name: &str) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client().clone(), namespace);
        secrets
            .delete(name, &DeleteParams::default())
            .await
            .map_err(WorldError::kube(format!("delete secret {namespace}/{name}")))?;
        Ok(())
    }

    /// The SendingDomains of a namespace, for what has no helper here.
    pub fn domains(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client().clone(), namespace, &object::kind())
    }

    /// Creates a SendingDomain and answers what was stored.
    ///
    /// # Errors
    /// If the API server refuses it, with its words.
    pub async fn create(&self, namespace: &str, manifest: &Value) -> Result<Value> {
        let what = || format!("create {namespace}/{}", manifest["metadata"]["name"]);
        let object: DynamicObject = serde_json::from_value(manifest.clone())
            .map_err(kube::Error::SerdeError)
            .map_err(WorldError::kube(what()))?;
        let created = self.domains(namespace).create(&PostParams::default(), &object).await;
        Ok(as_json(&created.map_err(WorldError::kube(what()))?))
    }

    /// The SendingDomain, or `None` if there is none.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<Value>> {
        let found = self.domains(namespace).get_opt(name).await;
        let found = found.map_err(WorldError::kube(format!("get {namespace}/{name}")))?;
        Ok(found.as_ref().map(as_json))
    }

    /// Changes a SendingDomain by a JSON merge patch and answers what is stored then.
    ///
    /// # Errors
    /// If the API server refuses it, with its words.
    pub async fn patch(&self, namespace: &str, name: &str, patch: &Value) -> Result<Value> {
        let patched = self
            .domains(namespace)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map_err(WorldError::kube(format!("patch {namespace}/{name}")))?;
        Ok(as_json(&patched))
    }

    /// Sets an annotation.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub async fn annotate(&self, namespace: &str, name: &str, annotation: &str, value: &str) -> Result<Value> {
        let patch = json!({"metadata": {"annotations": {annotation: value}}});
        self.patch(namespace, name, &patch).await
    }

    /// Waits until `condition` holds of a SendingDomain and answers it as it is then.
    ///
    /// # Errors
    /// [`WorldError::TimedOut`], with the last object and the ends of the operators' logs.
    pub async fn wait_for(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        condition: impl Fn(&Value) -> bool,
        limit: Duration,
    ) -> Result<Value> {
        let started = Instant::now();
        loop {
            let last = self.get(namespace, name).await?;
            if let Some(object) = last.as_ref().filter(|object| condition(object)) {
                return Ok(object.clone());
            }
            if started.elapsed() > limit {
                return Err(self.timed_out(namespace, name, what, limit, last.as_ref()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Deletes a SendingDomain and does not wait for its end.
    ///
    /// # Errors
    /// If there is none.
    pub async fn delete(&self, namespace: &str, name: &str) -> Result<()> {
        let deleted = self.domains(namespace).delete(name, &DeleteParams::default()).await;
        deleted.map_err(WorldError::kube(format!("delete {namespace}/{name}")))?;
        Ok(())
    }

    /// Waits until a SendingDomain is gone.
    ///
    /// # Errors
    /// [`WorldError::TimedOut`], with the last object and the ends of the operators' logs.
    pub async fn wait_gone(&self, namespace: &str, name: &str, limit: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let Some(last) = self.get(namespace, name).await? else {
                return Ok(());
            };
            if started.elapsed() > limit {
                return Err(self.timed_out(namespace, name, "its end", limit, Some(&last)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Deletes a SendingDomain and waits until it is gone.
    ///
    /// # Errors
    /// As [`World::delete`] and [`World::wait_gone`].
    pub async fn delete_and_wait(&self, namespace: &str, name: &str, limit: Duration) -> Result<()> {
        self.delete(namespace, name).await?;
        self.wait_gone(namespace, name, limit).await
    }

    /// The Events of a namespace (`events.k8s.io/v1`), oldest first.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn events(&self, namespace: &str) -> Result<Vec<Event>> {
        let events: Api<Event> = Api::namespaced(self.client().clone(), namespace);
        let listed = events.list(&ListParams::default()).await;
        let mut listed = listed.map_err(WorldError::kube(format!("list events in {namespace}")))?.items;
        listed.sort_by_key(|event| (event.event_time.clone().map(|time| time.0), event.name_any()));
        Ok(listed)
    }

    fn timed_out(&self, namespace: &str, name: &str, what: &str, waited: Duration, last: Option<&Value>) -> WorldError {
        let mut details = match last {
            Some(object) => format!("the object at the end:\n{}", as_yaml(object)),
            None => "there is no such object\n".to_owned(),
        };
        let _ = write!(details, "{}", self.log_tails());
        WorldError::TimedOut { what: format!("{namespace}/{name}: {what}"), waited, details }
    }
}

fn as_json(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// As `kubectl get -o yaml` shows it, without the field managers that nobody reads.
fn as_yaml(object: &Value) -> String {
    let mut shown = object.clone();
    if let Some(metadata) = shown["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    serde_yaml::to_string(&shown).unwrap_or_else(|_| shown.to_string())
}
