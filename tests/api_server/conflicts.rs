//! G2: what a pass makes of an object that has changed, or is gone, since it was looked at.

use kube::Api;
use kube::api::{Patch, PatchParams};
use sending_domain_operator::api::v1alpha1::SendingDomain;
use sending_domain_operator::controller::error::Error;
use sending_domain_operator::controller::finalizer;
use serde_json::json;

use crate::plane::{client, namespace, object};

const NAMESPACE: &str = "conflicts";

async fn annotated(api: &Api<SendingDomain>, name: &str, value: &str) -> SendingDomain {
    let patch = json!({ "metadata": { "annotations": { "example.com/edited": value } } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
}

#[tokio::test]
async fn g2_an_object_that_changed_or_went_since_it_was_read_is_a_conflict_and_read_again() {
    namespace(NAMESPACE).await;
    let api: Api<SendingDomain> = Api::namespaced(client().await, NAMESPACE);
    let manifest: SendingDomain =
        serde_json::from_value(object("edited", &json!({ "domain": "mail.example.com" }))).unwrap();
    let first = api.create(&kube::api::PostParams::default(), &manifest).await.unwrap();

    // 422: the test of the patch fails, for another version is stored.
    annotated(&api, "edited", "once").await;
    let added = finalizer::add(&api, &first).await;
    assert!(matches!(added, Err(Error::Conflict)), "{added:?}");
    let now = api.get("edited").await.unwrap();
    assert!(!finalizer::is_set(&now));
    // Read again, it goes.
    let with_finalizer = finalizer::add(&api, &now).await.unwrap();
    assert!(finalizer::is_set(&with_finalizer));

    // 409: the version in a merge patch of status has moved.
    annotated(&api, "edited", "twice").await;
    let version = with_finalizer.metadata.resource_version.clone();
    let patch = json!({ "metadata": { "resourceVersion": version }, "status": { "observedGeneration": 1 } });
    let refused = api.patch_status("edited", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 409), "{refused}");
    assert!(matches!(Error::of_write(refused), Error::Conflict));
    assert!(matches!(finalizer::remove(&api, &with_finalizer).await, Err(Error::Conflict)));

    // 404: gone. And of another object of the same name nothing is touched.
    let last = api.get("edited").await.unwrap();
    finalizer::remove(&api, &last).await.unwrap();
    api.delete("edited", &kube::api::DeleteParams::default()).await.unwrap();
    assert!(matches!(finalizer::remove(&api, &last).await, Err(Error::Conflict)));
    let second = api.create(&kube::api::PostParams::default(), &manifest).await.unwrap();
    let second = finalizer::add(&api, &second).await.unwrap();
    assert!(matches!(finalizer::remove(&api, &last).await, Err(Error::Conflict)));
    let kept = api.get("edited").await.unwrap();
    assert!(finalizer::is_set(&kept) && kept.metadata.uid == second.metadata.uid);
    finalizer::remove(&api, &kept).await.unwrap();

    // What the schema refuses is no conflict, however often it is tried.
    let invalid = json!({ "spec": { "domain": "other.example.com" } });
    let refused = api.patch("edited", &PatchParams::default(), &Patch::Merge(invalid)).await.unwrap_err();
    assert!(matches!(Error::of_write(refused), Error::Kube(_)));
}

#[test]
fn g2_a_conflict_is_routine_and_tried_again_at_once_and_then_less_often() {
    assert!(Error::Conflict.is_routine());
    let waits: Vec<_> = (0..6).map(|attempts| Error::Conflict.retry(attempts)).collect();
    assert!(waits[..3].iter().all(|wait| wait.as_millis() == 200), "{waits:?}");
    assert!(waits[3..].iter().all(|wait| wait.as_millis() >= 500), "no hot loop: {waits:?}");
}
