//! Looks the records up in DNS, and asks around those that are not right.

use futures::stream::{self, StreamExt};

use super::evidence::Inquiry;
use super::memory::Memory;
use super::observation::{Claim, Lookups, Question};
use super::{Sources, Viewpoint, left};
use crate::api::v1alpha1::{DnsProvider, PreviousPlace, RecordPurpose, RecordState};
use crate::dns::evidence::Evidence;
use crate::dns::judge;
use crate::dns::lookup::{Lookup, Resolver};
use crate::dns::record::{DnsName, WantedRecord};
use crate::plan::desired;
use crate::ses;

/// The look-ups of the records of `identity`, and what was gathered on those that are not right.
pub(super) async fn observe(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
    identity: &ses::identity::Identity,
    claim: &Claim,
) -> (Lookups, Evidence) {
    let wanted = desired::records_to_have(from.spec(), identity, claim, &from.account.region);
    let Some(resolver) = sources.resolver else {
        // Nobody looks, so nothing keeps SES from finding the records.
        memory.looked_up(is_complete(&wanted), false, from.now);
        return (Lookups::new(), Evidence::default());
    };
    // Whoever waits for the list of records gets it first: silent name servers can draw the look-ups out. Not where nothing
    // but a look into DNS tells what may be handed over.
    let hands_over = matches!(from.spec().dns_provider(), DnsProvider::ExternalDns(_));
    let is_listed = hands_over || from.object.status.as_ref().is_some_and(|s| !s.records.is_empty());
    if !is_listed && !identity.is_dkim_verified() && memory.puts_first_look_off() {
        return (Lookups::new(), Evidence::default());
    }
    let lookups = look_at(from, resolver, memory, &wanted).await;
    let inquiry = Inquiry {
        resolver,
        domain: DnsName::new(&from.spec().domain),
        wanted: &wanted,
        lookups: &lookups,
        dmarc: from.spec().dmarc.as_ref(),
        ready: from.ready,
        pace: from.pace,
        now: from.now,
    };
    let evidence = inquiry.gather(memory.evidence()).await;
    (lookups, evidence)
}

async fn look_at(from: &Viewpoint<'_>, resolver: &Resolver, memory: &mut Memory, wanted: &[WantedRecord]) -> Lookups {
    let questions: Vec<Question> = wanted.iter().map(|w| (w.name.clone(), w.data.record_type())).collect();
    // While something is to be taken away elsewhere, only what DNS says now counts. What was told to be left behind is
    // looked at again as rarely as everything else of a Ready object.
    let places = from.places().left;
    let settled = from.ready && places.iter().all(PreviousPlace::is_left_behind);
    if let Some(lookups) = memory.lookups(&questions, settled, from.now, from.pace) {
        return lookups.clone();
    }
    let names = wanted.iter().filter(|w| w.required && !places.is_empty()).map(|w| w.name.clone());
    // Before the questions, which then go to just those name servers and not to what was remembered.
    let served = left::who_serves(resolver, names).await;
    let before = memory.last_lookups();
    let compared = |(question, lookup): (Question, Lookup)| {
        let compared = lookup.compared_with(before.and_then(|before| before.get(&question)));
        (question, compared)
    };
    let lookups: Lookups = look_up(resolver, questions).await.into_iter().map(compared).collect();
    let wrong =
        |w: &WantedRecord| matches!(judge::judge(w, &lookups).state, RecordState::Missing | RecordState::Incorrect);
    let lost = wanted.iter().filter(|w| w.required).any(wrong);
    memory.looked_up(is_complete(wanted) && !lost, lost, from.now);
    memory.lookups_read(lookups.clone(), from.now);
    memory.served_read(served);
    lookups
}

/// True if the DKIM records are among the wanted ones: they are left out until SES has handed out its tokens.
pub(super) fn is_complete(wanted: &[WantedRecord]) -> bool {
    wanted.iter().filter(|w| w.purpose == RecordPurpose::Dkim).count() == ses::identity::DKIM_TOKENS
}

/// How many questions of one object are under way at once.
pub(super) const QUESTIONS: usize = 8;

async fn look_up(resolver: &Resolver, questions: Vec<Question>) -> Lookups {
    stream::iter(questions)
        .map(|(name, record_type)| async move {
            let answer = resolver.ask(&name, record_type).await;
            ((name, record_type), answer)
        })
        .buffer_unordered(QUESTIONS)
        .collect()
        .await
}
