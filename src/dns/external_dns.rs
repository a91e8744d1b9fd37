//! Records handed to ExternalDNS as a `DNSEndpoint` (`externaldns.k8s.io/v1alpha1`) that carries the mark of the
//! SendingDomain: what the object shall be, and the thin client that reads, applies and deletes it.
//!
//! Source of the format: <https://kubernetes-sigs.github.io/external-dns/latest/docs/sources/crd/>.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, OwnerReference};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::record::WantedRecord;
use crate::api::FIELD_MANAGER;
use crate::api::v1alpha1::ExternalDnsSpec;
use crate::ownership::Mark;

/// One record as ExternalDNS takes it. Read, it may be anybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The full name.
    pub dns_name: String,
    /// CNAME, MX or TXT; empty in an entry of others that has none, which the CRD allows and which hides no other entry.
    #[serde(default)]
    pub record_type: String,
    /// The values; an MX as `10 host`.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Seconds.
    #[serde(default, rename = "recordTTL", skip_serializing_if = "Option::is_none")]
    pub record_ttl: Option<i64>,
}

/// What is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// Labels, for ExternalDNS's `--label-filter`.
    pub labels: BTreeMap<String, String>,
    /// The records.
    pub endpoints: Vec<Endpoint>,
    /// The mark of the object that it is made for.
    pub mark: String,
    /// Whether the cluster's garbage collector shall take it away with the object.
    pub goes_with_owner: bool,
}

/// A `DNSEndpoint` as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The UIDs of its owners.
    pub owners: Vec<String>,
    /// Its resource version, for removing just what was seen.
    pub version: Option<String>,
    /// True if it is being deleted, and somebody's finalizer holds it.
    pub is_going: bool,
    /// What it hands over.
    pub content: HandOver,
    /// The keys of the labels that we have put, by the API server's account of who manages which field.
    pub own_labels: BTreeSet<String>,
}

impl HandOver {
    /// What hands `wanted` over.
    pub fn new(spec: &ExternalDnsSpec, wanted: &[WantedRecord], mark: &Mark, goes_with_owner: bool) -> Self {
        let ttl = spec.record_ttl_seconds.map(i64::from);
        let endpoint = |w: &WantedRecord| Endpoint {
            dns_name: w.name.to_string(),
            record_type: w.data.record_type().as_str().to_owned(),
            targets: vec![w.data.to_string()],
            record_ttl: ttl,
        };
        Self {
            labels: spec.labels.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect(),
            endpoints: wanted.iter().map(endpoint).collect(),
            mark: mark.comment(),
            goes_with_owner,
        }
    }

    /// True if `found` hands over just this for the object `uid`. Labels of others do not count; one that we have put and
    /// that is wanted no more goes with the next apply.
    pub fn is_in(&self, found: &Found, uid: &str) -> bool {
        self.endpoints == found.content.endpoints
            && self.mark == found.content.mark
            && self.goes_with_owner == found.is_owned_by(uid)
            && self.labels.iter().all(|(key, value)| found.content.labels.get(key) == Some(value))
            && found.own_labels.iter().all(|key| self.labels.contains_key(key))
    }
}

impl Found {
    /// True if it goes with the object `uid`.
    pub fn is_owned_by(&self, uid: &str) -> bool {
        self.owners.iter().any(|owner| owner == uid)
    }

    /// True if it was made for the object `uid`, or for one of the same namespace and name that was kept.
    pub fn is_ours(&self, uid: &str, mark: &Mark) -> bool {
        self.is_owned_by(uid) || mark.is_in_comment(Some(&self.content.mark))
    }
}

/// Annotation: the mark of the object that a `DNSEndpoint` was made for.
pub const MARK: &str = "sendingdomain.dev/mark";

/// Why the cluster has no answer.
#[derive(Debug)]
pub enum Absence {
    /// The cluster does not know the kind `DNSEndpoint`.
    KindMissing,
    /// The API server refused or did not answer.
    Failed(kube::Error),
}

/// The `DNSEndpoint` named `name`; `None` if there is none.
pub async fn get(client: &kube::Client, namespace: &str, name: &str) -> Result<Option<Found>, Absence> {
    match api(client, namespace).get(name).await {
        Ok(object) => Ok(Some(read(&object))),
        // A missing object is named in the answer; a missing kind is a path that does not exist.
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let names_object = status.details.as_ref().is_some_and(|details| details.name == name);
            if names_object { Ok(None) } else { Err(Absence::KindMissing) }
        }
        Err(error) => Err(Absence::Failed(error)),
    }
}

/// Applies `content` as the `DNSEndpoint` named like its owner.
pub async fn apply(
    client: &kube::Client,
    namespace: &str,
    owner: &OwnerReference,
    content: &HandOver,
) -> Result<(), kube::Error> {
    let owners: &[&OwnerReference] = if content.goes_with_owner { &[owner] } else { &[] };
    let object = json!({
        "apiVersion": "externaldns.k8s.io/v1alpha1",
        "kind": "DNSEndpoint",
        "metadata": {
            "name": owner.name,
            "namespace": namespace,
            "labels": content.labels,
            "annotations": { MARK: content.mark },
            "ownerReferences": owners,
        },
        "spec": { "endpoints": content.endpoints },
    });
    // The plan has seen whose it is: what else changed a field of ours is corrected.
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api(client, namespace).patch(&owner.name, &params, &Patch::Apply(&object)).await.map(drop)
}

/// Deletes the `DNSEndpoint` named `name`, if it is still of this version. One that is gone already is no error.
pub async fn delete(
    client: &kube::Client,
    namespace: &str,
    name: &str,
    version: Option<String>,
) -> Result<(), kube::Error> {
    let preconditions = version.map(|version| Preconditions { resource_version: Some(version), uid: None });
    let params = DeleteParams { preconditions, ..DeleteParams::default() };
    match api(client, namespace).delete(name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

fn api(client: &kube::Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("externaldns.k8s.io", "v1alpha1", "DNSEndpoint");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind, "dnsendpoints"))
}

fn read(object: &DynamicObject) -> Found {
    // What cannot be read is not what is wanted, and is applied anew.
    let endpoints = object.data.get("spec").and_then(|s| s.get("endpoints")).cloned().unwrap_or_default();
    Found {
        owners: object.owner_references().iter().map(|o| o.uid.clone()).collect(),
        version: object.resource_version(),
        is_going: object.metadata.deletion_timestamp.is_some(),
        content: HandOver {
            labels: object.labels().clone(),
            endpoints: serde_json::from_value(endpoints).unwrap_or_default(),
            mark: object.annotations().get(MARK).cloned().unwrap_or_default(),
            goes_with_owner: !object.owner_references().is_empty(),
        },
        own_labels: own_labels(object),
    }
}

/// Source of the format: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>.
fn own_labels(object: &DynamicObject) -> BTreeSet<String> {
    let is_own = |entry: &&ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply")
    };
    let fields = object.managed_fields().iter().filter(is_own).filter_map(|entry| entry.fields_v1.as_ref());
    let labels = fields.filter_map(|fields| fields.0.get("f:metadata")?.get("f:labels")?.as_object());
    labels.flat_map(|labels| labels.keys()).filter_map(|key| key.strip_prefix("f:")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_lacks_something_hides_no_other() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "externaldns.k8s.io/v1alpha1", "kind": "DNSEndpoint", "metadata": { "name": "a" },
            "spec": { "endpoints": [
                { "dnsName": "x.example", "recordType": "CNAME", "targets": ["y.example"], "providerSpecific": [] },
                { "dnsName": "theirs.example" },
            ] },
        }))
        .unwrap();
        let names: Vec<String> = read(&object).content.endpoints.into_iter().map(|e| e.dns_name).collect();
        assert_eq!(names, ["x.example", "theirs.example"]);
    }

    #[test]
    fn a_label_of_ours_that_is_wanted_no_more_is_a_change_and_one_of_others_is_none() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "externaldns.k8s.io/v1alpha1", "kind": "DNSEndpoint",
            "metadata": {
                "name": "a", "labels": { "ours": "1", "theirs": "1" },
                "managedFields": [
                    { "manager": FIELD_MANAGER, "operation": "Apply", "apiVersion": "externaldns.k8s.io/v1alpha1",
                      "fieldsType": "FieldsV1", "fieldsV1": { "f:metadata": { "f:labels": { "f:ours": {} } } } },
                    { "manager": "kubectl", "operation": "Update", "apiVersion": "externaldns.k8s.io/v1alpha1",
                      "fieldsType": "FieldsV1", "fieldsV1": { "f:metadata": { "f:labels": { ".": {}, "f:theirs": {} } } } },
                ],
            },
            "spec": { "endpoints": [] },
        }))
        .unwrap();
        let found = read(&object);
        assert_eq!(found.own_labels, ["ours".to_owned()].into());
        let wanted = |key: Option<&str>| HandOver {
            labels: key.map(|key| (key.to_owned(), "1".to_owned())).into_iter().collect(),
            endpoints: Vec::new(),
            mark: String::new(),
            goes_with_owner: false,
        };
        assert!(wanted(Some("ours")).is_in(&found, "u"));
        assert!(!wanted(None).is_in(&found, "u"));
    }
}
