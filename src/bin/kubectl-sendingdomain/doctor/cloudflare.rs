//! Cloudflare as the tokens see it that SendingDomains name. A token is never shown, not even a part of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use sending_domain_operator::api::v1alpha1::{DnsProvider, SecretKeyRef, SendingDomain};
use sending_domain_operator::dns::cloudflare::{
    ApiToken, BaseUrl, Client, Error, Kind, TokenStatus, Zone, ZonePick, pick_zone,
};
use sending_domain_operator::dns::record::DnsName;
use sending_domain_operator::observe::secret;

use super::Finding;
use crate::cluster::Cluster;

const VARIABLE: &str = "CLOUDFLARE_API_TOKEN";
const TEMPLATE: &str =
    "make one with the template Edit zone DNS, add Zone Read to it, and limit it to the zones that are needed";
/// Far below what Cloudflare allows.
const REQUESTS: u32 = 200;

pub async fn look(cluster: Option<&Cluster>, objects: &[SendingDomain], base: &BaseUrl) -> Vec<Finding> {
    let client = match Client::new(base.clone(), REQUESTS) {
        Ok(client) => client,
        Err(error) => return vec![Finding::fail(error.to_string(), "this is a defect of the plugin")],
    };
    let mut findings = Vec::new();
    for (reference, places) in secrets(objects) {
        let Some(cluster) = cluster else { break };
        match token(cluster, reference).await {
            Ok(token) => {
                findings.extend(try_token(&client, &format!("Secret {}", reference.name), &token, &places).await);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if let Some(value) = std::env::var_os(VARIABLE) {
        match ApiToken::parse(value.as_encoded_bytes()) {
            Ok(token) => findings.extend(try_token(&client, &format!("${VARIABLE}"), &token, &[]).await),
            Err(error) => findings.push(Finding::fail(format!("${VARIABLE}: {error}"), TEMPLATE)),
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("nothing to try: no SendingDomain of the namespace names a token"));
    }
    findings
}

/// A domain, and the zone that its object names, if it names one.
type Place<'a> = (DnsName, Option<&'a str>);

/// The Secrets that objects name, each with what it is for.
fn secrets(objects: &[SendingDomain]) -> Vec<(&SecretKeyRef, Vec<Place<'_>>)> {
    let mut secrets: BTreeMap<(&str, &str), (&SecretKeyRef, Vec<Place<'_>>)> = BTreeMap::new();
    for object in objects {
        if let DnsProvider::Cloudflare(cloudflare) = object.spec.dns_provider() {
            let reference = &cloudflare.api_token_secret_ref;
            let (_, places) =
                secrets.entry((&reference.name, &reference.key)).or_insert_with(|| (reference, Vec::new()));
            places.push((DnsName::new(&object.spec.domain), cloudflare.zone_id.as_deref()));
        }
    }
    secrets.into_values().collect()
}

async fn token(cluster: &Cluster, reference: &SecretKeyRef) -> Result<ApiToken, Finding> {
    let SecretKeyRef { name: secret, key } = reference;
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let namespace = &cluster.namespace;
    let found = api.get(secret).await.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 404 => Finding::fail(
            format!("Secret {secret} is not in {namespace}"),
            format!("kubectl -n {namespace} create secret generic {secret} --from-file={key}=token.txt"),
        ),
        kube::Error::Api(status) if status.code == 403 => Finding::warn(
            format!("Secret {secret} was not tried: you may not read it"),
            "the status of the SendingDomain tells what Cloudflare says to the operator",
        ),
        other => Finding::warn(format!("Secret {secret} cannot be read: {other}"), "try again"),
    })?;
    // What the operator itself would say of it.
    secret::token(&found, reference).map_err(|fault| Finding::fail(fault.message, TEMPLATE))
}

async fn try_token(client: &Client, place: &str, token: &ApiToken, domains: &[Place<'_>]) -> Vec<Finding> {
    let zones = client.zones(token).await;
    let mut findings = vec![standing(client, place, token, zones.as_deref().unwrap_or_default()).await];
    match zones {
        Err(error) => findings.push(failed(place, &error)),
        Ok(zones) => {
            if domains.is_empty() {
                findings.push(Finding::ok(format!("{place}: sees {} zones", zones.len())));
            }
            for (domain, named) in domains {
                findings.push(zone(client, place, token, &zones, domain, *named).await);
            }
        }
    }
    findings
}

/// What Cloudflare says of the token itself. A token of an account is asked for at that account.
async fn standing(client: &Client, place: &str, token: &ApiToken, zones: &[Zone]) -> Finding {
    let account = zones.iter().find_map(|zone| zone.account_id.as_ref());
    let first = if token.is_account_owned() == Some(true) { account } else { None };
    let mut answer = client.verify(token, first).await;
    if answer.is_err() && first.is_none() && account.is_some() {
        answer = client.verify(token, account).await;
    }
    match answer {
        Ok(TokenStatus::Active) => Finding::ok(format!("{place}: the token is active")),
        Ok(TokenStatus::Disabled) => {
            Finding::fail(format!("{place}: the token is disabled"), "enable it at Cloudflare, or put a new one in")
        }
        Ok(TokenStatus::Expired(_)) => Finding::fail(format!("{place}: the token has expired"), TEMPLATE),
        Ok(TokenStatus::NotYet(from)) => Finding::fail(
            format!("{place}: the token is valid from {from} only"),
            "wait, or change its dates at Cloudflare",
        ),
        Ok(TokenStatus::Other) => Finding::warn(
            format!("{place}: Cloudflare gives the token a status that is not known here"),
            "look at it in the dashboard",
        ),
        Err(error) if !zones.is_empty() && error.kind == Kind::InvalidToken => Finding::warn(
            format!("{place}: the token sees zones, and Cloudflare does not tell more of it"),
            "nothing to do",
        ),
        Err(error) => failed(place, &error),
    }
}

/// The zone for `domain`: the one that is `named`, else the one that the operator would find.
async fn zone(
    client: &Client,
    place: &str,
    token: &ApiToken,
    zones: &[Zone],
    domain: &DnsName,
    named: Option<&str>,
) -> Finding {
    let only: Vec<Zone>;
    let zones = match named {
        Some(id) => {
            only = zones.iter().filter(|zone| zone.id.as_str() == id).cloned().collect();
            if only.is_empty() {
                return Finding::fail(
                    format!("{place}: the token sees no zone {id}, which spec.dns.cloudflare.zoneID of {domain} names"),
                    TEMPLATE,
                );
            }
            &only
        }
        None => zones,
    };
    match pick_zone(zones, domain) {
        ZonePick::Found(zone) => match client.records(token, &zone.id, domain).await {
            // Whether it may also edit shows only when it does.
            Ok(_) => Finding::ok(format!(
                "{place}: reads zone {} for {domain} (whether it may edit shows in the status)",
                zone.name
            )),
            Err(error) => failed(place, &error),
        },
        ZonePick::NotActive(zone) => Finding::fail(
            format!("{place}: zone {} for {domain} is not active at Cloudflare", zone.name),
            "have the registrar delegate it to the name servers that Cloudflare shows",
        ),
        ZonePick::Ambiguous(_) => {
            Finding::fail(format!("{place}: several zones serve {domain}"), "name one in spec.dns.cloudflare.zoneID")
        }
        ZonePick::None => Finding::fail(format!("{place}: the token sees no zone of {domain}"), TEMPLATE),
    }
}

fn failed(place: &str, error: &Error) -> Finding {
    let advice = match error.kind {
        Kind::InvalidToken | Kind::ZoneNotAccessible | Kind::PermissionDenied => TEMPLATE,
        Kind::RateLimited => "wait five minutes: the operator has the same limit",
        _ => "https to the Cloudflare API has to be open; see https://www.cloudflarestatus.com",
    };
    Finding::fail(format!("{place}: {error}"), advice)
}
