//! The API server and the CRD.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use kube::{Api, Client};
use sending_domain_operator::api::crd::crd;

use super::Finding;
use crate::cluster::Cluster;

/// The oldest minor version of Kubernetes 1 that has every feature of the CRD.
const OLDEST_MINOR: u32 = 32;
const VERSION: &str = "v1alpha1";
const NAME: &str = "sendingdomains.sendingdomain.dev";
const INSTALL: &str =
    "install it with the chart, or with `kubectl apply --server-side -f crds/sendingdomains.yaml` of this version";

pub async fn look(cluster: &Cluster) -> Vec<Finding> {
    let server = server(&cluster.client).await;
    vec![server, definition(cluster).await]
}

async fn server(client: &Client) -> Finding {
    match client.apiserver_version().await {
        Err(error) => Finding::fail(
            format!("the API server does not answer: {error}"),
            "look at --kubeconfig, --context and your login to the cluster",
        ),
        Ok(info) => {
            let minor: u32 = info.minor.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or_default();
            let version = format!("Kubernetes {}.{}", info.major, info.minor);
            if info.major == "1" && minor < OLDEST_MINOR {
                Finding::fail(version, format!("the operator needs Kubernetes 1.{OLDEST_MINOR} or newer"))
            } else {
                Finding::ok(version)
            }
        }
    }
}

async fn definition(cluster: &Cluster) -> Finding {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    match api.get(NAME).await {
        Ok(installed) => compared(&installed),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Finding::fail(format!("there is no CRD {NAME}"), INSTALL)
        }
        // Most people may not read CRDs; whether objects can be listed tells nearly as much.
        Err(kube::Error::Api(status)) if status.code == 403 => match cluster.list(false, None).await {
            Ok(_) => Finding::ok("the CRD is there (you may not read it, so its version was not compared)"),
            Err(error) => Finding::fail(error.to_string(), INSTALL),
        },
        Err(error) => Finding::fail(format!("the CRD cannot be read: {error}"), "try again"),
    }
}

fn compared(installed: &CustomResourceDefinition) -> Finding {
    let conditions = installed.status.as_ref().and_then(|status| status.conditions.as_ref());
    let established = conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Established" && c.status == "True"));
    if !established {
        return Finding::fail(
            format!("the CRD {NAME} is not established"),
            "`kubectl describe crd` says what the API server holds against it",
        );
    }
    let Some(served) = version(installed).filter(|version| version.served) else {
        return Finding::fail(format!("the CRD {NAME} does not serve {VERSION}"), INSTALL);
    };
    let ours = crd();
    let is_same = version(&ours)
        .is_some_and(|ours| (&ours.schema, &ours.selectable_fields) == (&served.schema, &served.selectable_fields));
    if is_same {
        return Finding::ok(format!("the CRD {NAME} is that of version {}", env!("CARGO_PKG_VERSION")));
    }
    Finding::warn(
        format!("the CRD {NAME} is not that of version {} of this plugin", env!("CARGO_PKG_VERSION")),
        format!(
            "if the operator has this version too, {INSTALL}; Helm does not upgrade CRDs that it has not installed itself"
        ),
    )
}

fn version(crd: &CustomResourceDefinition) -> Option<&CustomResourceDefinitionVersion> {
    crd.spec.versions.iter().find(|version| version.name == VERSION)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Level;
    use super::*;

    fn installed() -> CustomResourceDefinition {
        let mut crd = crd();
        crd.status = serde_json::from_value(json!({"conditions": [
            {"type": "Established", "status": "True", "lastTransitionTime": null, "reason": "", "message": ""}]}))
        .unwrap();
        crd
    }

    #[test]
    fn another_schema_is_told_and_the_same_is_not() {
        assert_eq!(compared(&installed()).level, Level::Ok);
        let mut old = installed();
        let schema = old.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        schema.properties.as_mut().unwrap().get_mut("spec").unwrap().properties.as_mut().unwrap().remove("suspend");
        assert_eq!(compared(&old).level, Level::Warn);
        let mut unserved = installed();
        unserved.spec.versions[0].served = false;
        assert_eq!(compared(&unserved).level, Level::Fail);
        assert_eq!(compared(&crd()).level, Level::Fail, "not established");
    }
}
