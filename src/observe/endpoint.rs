//! The `DNSEndpoint` by which records are handed to ExternalDNS. It is read in each pass: the API server is near.

use std::time::Duration;

use kube::ResourceExt;

use super::observation::{Fault, Observed};
use super::{Sources, Viewpoint};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{DnsProvider, DnsProviderName};
use crate::dns::external_dns::{self, Absence, Found};
use crate::error::ErrorClass;

/// Reads the `DNSEndpoint` of the object, if it wants one or may have left one.
pub(super) async fn observe(from: &Viewpoint<'_>, sources: &Sources<'_>) -> Observed<Option<Found>> {
    let wanted = matches!(from.spec().dns_provider(), DnsProvider::ExternalDns(_));
    if !wanted && !may_have_left_one(from) {
        return Observed::NotConfigured;
    }
    match external_dns::get(sources.kube, from.namespace, &from.object.name_any()).await {
        Ok(found) => Observed::Known(found),
        // Where there is no such kind, there is none to remove.
        Err(Absence::KindMissing) if !wanted || from.ends() => Observed::Known(None),
        Err(Absence::KindMissing) => Observed::Unavailable(kind_missing()),
        Err(Absence::Failed(error)) => Observed::Unavailable(fault(&error)),
    }
}

fn may_have_left_one(from: &Viewpoint<'_>) -> bool {
    let is_it = |provider| provider == DnsProviderName::ExternalDns;
    let dns = from.object.status.as_ref().and_then(|status| status.dns.as_ref());
    dns.is_some_and(|dns| is_it(dns.provider) || dns.previous.iter().any(|place| is_it(place.provider)))
}

fn kind_missing() -> Fault {
    let message = "The cluster has no resource DNSEndpoint (externaldns.k8s.io/v1alpha1); install ExternalDNS with its CRD, and \
                   run it with --source=crd and --managed-record-types=CNAME --managed-record-types=MX --managed-record-types=TXT";
    let class = ErrorClass::Waiting { after: Duration::MAX };
    Fault { reason: Reason::ExternalDNSUnavailable, message: message.to_owned(), class }
}

/// A failed read or write of a `DNSEndpoint` in the words of a condition.
pub fn fault(error: &kube::Error) -> Fault {
    let (message, class) = match error {
        kube::Error::Api(status) if status.code == 404 => return kind_missing(),
        kube::Error::Api(status) if status.code == 403 => (
            "The operator may not write DNSEndpoint objects: its ServiceAccount needs get, create, patch and delete on \
             dnsendpoints.externaldns.k8s.io in this namespace",
            ErrorClass::Terminal,
        ),
        _ => (
            "The DNSEndpoint could not be read or written; it is tried again",
            ErrorClass::Transient { retry_after: None },
        ),
    };
    Fault { reason: Reason::ExternalDNSUnavailable, message: message.to_owned(), class }
}
