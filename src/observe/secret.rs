//! The API token, read by name from a Secret of the object's own namespace. Its value never leaves this module but as an
//! [`ApiToken`].

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::observation::Fault;
use crate::api::reason::Reason;
use crate::api::v1alpha1::SecretKeyRef;
use crate::dns::cloudflare::ApiToken;
use crate::error::ErrorClass;
use crate::text::printable;

/// Types of Secret that hold credentials of the cluster, and are never sent anywhere.
const REFUSED_TYPES: [&str; 7] = [
    "kubernetes.io/service-account-token",
    "kubernetes.io/dockercfg",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/ssh-auth",
    "kubernetes.io/tls",
    "bootstrap.kubernetes.io/token",
    "helm.sh/release.v1",
];

/// Reads the token.
pub async fn read(client: &kube::Client, namespace: &str, reference: &SecretKeyRef) -> Result<ApiToken, Fault> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = api.get_opt(&reference.name).await.map_err(|error| unreadable(reference, &error))?;
    let secret = secret.ok_or_else(|| {
        not_found(format!(
            "There is no Secret {0} in this namespace; create it with the key {1}",
            reference.name, reference.key
        ))
    })?;
    Ok(token(&secret, reference)?.on_behalf_of(namespace))
}

/// The token in `secret`, which is none if the Secret is of a type that holds something else.
pub fn token(secret: &Secret, reference: &SecretKeyRef) -> Result<ApiToken, Fault> {
    let SecretKeyRef { name, key } = reference;
    let kind = secret.type_.as_deref().unwrap_or("Opaque");
    if REFUSED_TYPES.contains(&kind) || kind.starts_with("helm.sh/") {
        let kind = printable(kind, 64);
        return Err(invalid(format!(
            "The Secret {name} is of type {kind}, which is never sent to a DNS provider; use one of type Opaque"
        )));
    }
    let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        return Err(not_found(format!(
            "The Secret {name} has no key {key}; add it with the Cloudflare API token as its value"
        )));
    };
    ApiToken::parse(&value.0)
        .map_err(|error| invalid(format!("The key {key} of the Secret {name} is no API token: {error}")))
}

fn not_found(message: String) -> Fault {
    Fault { reason: Reason::SecretNotFound, message, class: ErrorClass::Waiting { after: Duration::MAX } }
}

fn invalid(message: String) -> Fault {
    Fault { reason: Reason::SecretInvalid, message, class: ErrorClass::Terminal }
}

fn unreadable(reference: &SecretKeyRef, error: &kube::Error) -> Fault {
    let name = &reference.name;
    match error {
        kube::Error::Api(status) if status.code == 403 => not_found(format!(
            "The operator may not read the Secret {name}: its ServiceAccount needs the verb get on secrets in this namespace"
        )),
        _ => Fault {
            reason: Reason::SecretUnavailable,
            message: format!("The Secret {name} could not be read from the API server; it is tried again"),
            class: ErrorClass::Transient { retry_after: None },
        },
    }
}
