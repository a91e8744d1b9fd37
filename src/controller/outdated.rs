//! Tells of a CustomResourceDefinition that is older than this operator.

use std::time::Duration;

use axum::http::Request;
use kube::Resource;
use serde_json::Value;
use tracing::{debug, error};

use crate::api::crd::crd;
use crate::api::served::{missing_fields, schema_in};
use crate::api::v1alpha1::SendingDomain;

/// How soon it is asked again when the API server could not say.
const AGAIN: Duration = Duration::from_mins(1);
/// How often it is told while nobody has mended it.
const TOLD: Duration = Duration::from_mins(10);

/// Compares the schema that the API server has with our own, until it has everything. Reads only what every user of the
/// cluster may read.
pub async fn watch(kube: kube::Client) {
    loop {
        match missing(&kube).await {
            Ok(missing) if missing.is_empty() => return,
            Ok(missing) => {
                error!(
                    missing = missing.join(", "),
                    "the CustomResourceDefinition in the cluster is older than this operator: the API server drops these fields; \
                     apply crds/sendingdomains.yaml of this version"
                );
                tokio::time::sleep(TOLD).await;
            }
            Err(error) => {
                debug!(%error, "the API server does not tell the schema of SendingDomains yet");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn missing(kube: &kube::Client) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let own = serde_json::to_value(crd())?;
    let own = &own["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let path = format!("/openapi/v3/apis/{}", SendingDomain::api_version(&()));
    let document: Value = kube.request(Request::get(path).body(Vec::new())?).await?;
    let served = schema_in(&document, &SendingDomain::kind(&())).ok_or("no such kind in its document")?;
    Ok(missing_fields(own, served))
}
