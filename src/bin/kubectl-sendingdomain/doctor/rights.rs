//! Who may do what: you, and the operator's ServiceAccount.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::PostParams;
use sending_domain_operator::api::v1alpha1::{DnsProvider, SendingDomain};
use serde::Deserialize;

use super::Finding;
use crate::args::DoctorArgs;
use crate::cluster::{Cluster, OPERATOR_LABEL};

/// The rights that ship with the operator, so that this list can never be another.
const ROLE: &str = include_str!("../../../../config/rbac/role.yaml");
const GROUP: &str = "sendingdomain.dev";

/// A right as RBAC has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Right {
    group: String,
    resource: String,
    verb: String,
    /// The one object that is asked for, where the operator asks for one.
    name: Option<String>,
}

impl Right {
    fn is_optional(&self) -> bool {
        // For objects with spec.dns.externalDNS only.
        self.group == "externaldns.k8s.io"
    }

    fn attributes(&self, namespace: &str) -> ResourceAttributes {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        // Of a namespace the API server asks about itself within itself, so that a Role in it can allow that.
        let name = (resource == "namespaces").then(|| namespace.to_owned());
        ResourceAttributes {
            group: Some(self.group.clone()),
            resource: Some(resource.to_owned()),
            subresource: (!subresource.is_empty()).then(|| subresource.to_owned()),
            verb: Some(self.verb.clone()),
            namespace: Some(namespace.to_owned()),
            name: self.name.clone().or(name),
            ..ResourceAttributes::default()
        }
    }

    fn words(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{} {}{dot}{}{name}", self.verb, self.resource, self.group)
    }
}

pub async fn look(cluster: &Cluster, objects: &[SendingDomain], args: &DoctorArgs) -> Vec<Finding> {
    let mut findings = vec![yours(cluster).await, operators(cluster, objects, args).await];
    findings.extend(deployment(cluster, args).await);
    findings
}

/// What the commands of this plugin need.
async fn yours(cluster: &Cluster) -> Finding {
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let mut missing = Vec::new();
    for verb in ["get", "list", "watch", "patch"] {
        let right =
            Right { group: GROUP.to_owned(), resource: "sendingdomains".to_owned(), verb: verb.to_owned(), name: None };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(right.attributes(&cluster.namespace)),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        match api.create(&PostParams::default(), &review).await {
            Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed) => {}
            Ok(_) => missing.push(verb),
            Err(error) => {
                return Finding::warn(
                    format!("your rights cannot be asked for: {error}"),
                    "`kubectl auth can-i --list` may tell more",
                );
            }
        }
    }
    let namespace = &cluster.namespace;
    if missing.is_empty() {
        return Finding::ok(format!("you may get, list, watch and patch sendingdomains in {namespace}"));
    }
    let what = format!("you may not {} sendingdomains in {namespace}", missing.join(", "));
    let advice =
        "ask for the ClusterRole sending-domain-operator-viewer or -editor there (they are part of view and edit)";
    if missing == ["patch"] {
        return Finding::warn(what, format!("reconcile and recreate need patch; {advice}"));
    }
    Finding::fail(what, advice)
}

/// What the operator needs, by the role that ships with it.
async fn operators(cluster: &Cluster, objects: &[SendingDomain], args: &DoctorArgs) -> Finding {
    let api: Api<SubjectAccessReview> = Api::all(cluster.client.clone());
    let user = format!("system:serviceaccount:{}:{}", args.operator_namespace, args.operator_service_account);
    let mut missing = Vec::new();
    for right in needed(objects) {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.clone()),
                groups: Some(vec![
                    "system:serviceaccounts".to_owned(),
                    format!("system:serviceaccounts:{}", args.operator_namespace),
                    "system:authenticated".to_owned(),
                ]),
                resource_attributes: Some(right.attributes(&cluster.namespace)),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        match api.create(&PostParams::default(), &review).await {
            Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed) => {}
            Ok(_) => missing.push(right),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                return Finding::warn(
                    "the rights of the operator were not looked at: you may not create subjectaccessreviews",
                    "have somebody run this who may, such as an administrator",
                );
            }
            Err(error) => {
                return Finding::warn(format!("the rights of the operator cannot be asked for: {error}"), "try again");
            }
        }
    }
    let words = |rights: &[Right]| rights.iter().map(Right::words).collect::<Vec<_>>().join(", ");
    if missing.is_empty() {
        return Finding::ok(format!("{user} may do all that the operator needs in {}", cluster.namespace));
    }
    let what = format!("{user} may not: {}", words(&missing));
    if missing.iter().all(Right::is_optional) {
        return Finding::warn(what, "needed only for objects with spec.dns.externalDNS");
    }
    Finding::fail(
        what,
        "bind the ClusterRole sending-domain-operator to it, or name the ServiceAccount by --operator-namespace and --operator-service-account",
    )
}

/// Every right, as the operator uses it: it reads the Secrets that objects name and no others, so that a Role may name them.
fn needed(objects: &[SendingDomain]) -> Vec<Right> {
    let secrets: BTreeSet<&str> = objects
        .iter()
        .filter_map(|object| match object.spec.dns_provider() {
            DnsProvider::Cloudflare(cloudflare) => Some(cloudflare.api_token_secret_ref.name.as_str()),
            _ => None,
        })
        .collect();
    let named = |right: Right| -> Vec<Right> {
        if right.resource != "secrets" || secrets.is_empty() {
            return vec![right];
        }
        secrets.iter().map(|name| Right { name: Some((*name).to_owned()), ..right.clone() }).collect()
    };
    role().into_iter().flat_map(named).collect()
}

/// Every right of the shipped role.
fn role() -> Vec<Right> {
    let roles = serde_yaml::Deserializer::from_str(ROLE).filter_map(|document| ClusterRole::deserialize(document).ok());
    let mut rights = Vec::new();
    for rule in roles.flat_map(|role| role.rules.unwrap_or_default()) {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let right = |verb: &String| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name: None,
                };
                rights.extend(rule.verbs.iter().map(right));
            }
        }
    }
    rights
}

/// Whether it runs; nothing if you may not know.
async fn deployment(cluster: &Cluster, args: &DoctorArgs) -> Option<Finding> {
    let namespace = &args.operator_namespace;
    let deployments = cluster.operators(namespace).await.ok()?;
    if deployments.is_empty() {
        return Some(Finding::warn(
            format!("there is no Deployment of the operator in {namespace}"),
            "name its namespace by --operator-namespace, unless it runs somewhere else",
        ));
    }
    let available_of =
        |deployment: &Deployment| deployment.status.as_ref().and_then(|status| status.available_replicas);
    let available: i32 = deployments.iter().filter_map(available_of).sum();
    Some(if available > 0 {
        Finding::ok(format!("the operator runs in {namespace} ({available} available)"))
    } else {
        Finding::fail(
            format!("no replica of the operator in {namespace} is available"),
            format!(
                "`kubectl -n {namespace} describe pods` and `kubectl -n {namespace} logs -l {OPERATOR_LABEL}` tell why"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_role_is_what_is_asked_for() {
        let words: Vec<String> = role().iter().map(Right::words).collect();
        for needed in ["patch sendingdomains/status.sendingdomain.dev", "get secrets", "create events.events.k8s.io"] {
            assert!(words.contains(&needed.to_owned()), "{needed}: {words:?}");
        }
        let status = role().into_iter().find(|right| right.resource == "sendingdomains/status").unwrap();
        let attributes = status.attributes("team");
        assert_eq!(
            (attributes.resource.as_deref(), attributes.subresource.as_deref()),
            (Some("sendingdomains"), Some("status"))
        );
        let own = role().into_iter().find(|right| right.resource == "namespaces").unwrap().attributes("team");
        assert_eq!((own.namespace.as_deref(), own.name.as_deref()), (Some("team"), Some("team")));
    }
}
