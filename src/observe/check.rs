//! One look at the records of a domain, with causes, from wherever this runs: what `kubectl sendingdomain check` shows.
//! Nothing but DNS is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{self, StreamExt};
use k8s_openapi::jiff::Timestamp;

use super::evidence::Inquiry;
use super::kept::Kept;
use super::observation::{Claim, Lookups, Observation, Observed, Standing};
use crate::api::v1alpha1::RecordStatus;
use crate::dns::lookup::Resolver;
use crate::dns::record::{DnsName, WantedRecord};
use crate::status;
use crate::status::schedule::Pace;

/// How many records are asked for at once.
const AT_ONCE: usize = 4;
/// Evidence is kept for as long as this one look takes, and not beyond it.
const ONE_LOOK: Duration = Duration::from_hours(1);

/// Looks `wanted` up, gathers what tells the causes apart, and says of each record what status would say of it.
pub async fn check(
    resolver: &Resolver,
    domain: &DnsName,
    wanted: &[WantedRecord],
    now: Timestamp,
) -> Vec<RecordStatus> {
    let lookups = look_up(resolver, wanted).await;
    let inquiry = Inquiry {
        resolver,
        domain: domain.clone(),
        wanted,
        lookups: &lookups,
        dmarc: None,
        // Whether SES has verified the domain is not known here: what resolvers see of the found ones matters too.
        ready: false,
        pace: Pace { pending: ONE_LOOK, verified: ONE_LOOK },
        now,
    };
    let evidence = inquiry.on_records(&mut Kept::default()).await;
    let seen = Observation {
        identity: Observed::NotConfigured,
        zone: Observed::NotConfigured,
        endpoint: Observed::NotConfigured,
        left: Vec::new(),
        served: BTreeMap::new(),
        lookups,
        evidence,
        dns_check: true,
        claim: Claim::default(),
        standing: Standing::default(),
    };
    status::looked_up(wanted, domain, &seen)
}

async fn look_up(resolver: &Resolver, wanted: &[WantedRecord]) -> Lookups {
    let questions: Vec<_> = wanted
        .iter()
        .map(|record| {
            let question = (record.name.clone(), record.data.record_type());
            async move {
                let lookup = resolver.ask(&question.0, question.1).await;
                (question, lookup)
            }
            .boxed()
        })
        .collect();
    stream::iter(questions).buffer_unordered(AT_ONCE).collect().await
}
