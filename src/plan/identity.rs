//! What to do about the SES identity: create it, adopt it or refuse it, keep it as the spec wants it, and have SES look
//! again after it has given up.

use k8s_openapi::jiff::Timestamp;

use super::rearm::Part;
use super::{Action, Blocker, Plan, Subject, claims, tags};
use crate::api::condition::ConditionType::{IdentityReady, MailFromVerified};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{AdoptionPolicy, IdentityOrigin, OnMxFailure, RecordPurpose};
use crate::dns::judge;
use crate::observe::observation::{Observation, Observed};
use crate::ownership::{Ownership, TAG_CONFIGURATION_SET, TAG_RECREATE_AT, tag_value};
use crate::ses::client::NewIdentity;
use crate::ses::identity::{DKIM_TOKENS, Identity, SesStatus};

/// The tag by which the owner of an identity releases it for adoption: its value is `<owner-id>/<namespace>`.
pub const TAG_ADOPTABLE_BY: &str = "sendingdomain.dev/adoptable-by";

/// Plans towards an identity that exists and is ours; returns it if it is.
pub fn plan_identity<'a>(subject: &Subject<'_>, seen: &'a Observation, plan: &mut Plan) -> Option<&'a Identity> {
    match &seen.identity {
        Observed::Unavailable(fault) => {
            plan.blockers.push(Blocker::from_fault(IdentityReady, fault));
            None
        }
        Observed::NotConfigured => None,
        Observed::Known(None) => {
            if let Some(fault) = &seen.standing.identity {
                plan.blockers.push(Blocker::from_fault(IdentityReady, fault));
            } else {
                plan.actions.push(Action::CreateIdentity(new_identity(subject)));
            }
            None
        }
        Observed::Known(Some(identity)) => match subject.mark.ownership(&identity.tags) {
            Ownership::Ours(_) => Some(identity),
            Ownership::Foreign | Ownership::Unmarked => {
                adopt_or_refuse(subject, seen, identity, plan);
                None
            }
        },
    }
}

fn new_identity(subject: &Subject<'_>) -> NewIdentity {
    let ses = &subject.spec.ses;
    let mut tags = subject.mark.tags(IdentityOrigin::Created, subject.recreate_at);
    tags.extend(tags::at_creation(&ses.tags));
    tags.extend(ses.configuration_set.clone().map(|name| (TAG_CONFIGURATION_SET.to_owned(), name)));
    NewIdentity { tags, configuration_set: ses.configuration_set.clone(), key_length: ses.dkim_key_length }
}

fn adopt_or_refuse(subject: &Subject<'_>, seen: &Observation, identity: &Identity, plan: &mut Plan) {
    let domain = &subject.spec.domain;
    let released = identity.tags.get(TAG_ADOPTABLE_BY).is_some_and(|adopter| adopter == subject.adopter);
    let unmarked = subject.mark.ownership(&identity.tags) == Ownership::Unmarked;
    let (reason, message) = if subject.spec.ses.adoption_policy != AdoptionPolicy::Adopt
        || !(released || (unmarked && subject.allow_adoption))
    {
        if subject.mark.is_sibling_of(&identity.tags) {
            let message = format!(
                "The SES identity of {domain} carries the mark of another SendingDomain, which has the domain; delete that one \
                 first. If there is none any more, since it was deleted and kept its identity, give this one its namespace \
                 and name, or tag the identity {TAG_ADOPTABLE_BY}={} and set spec.ses.adoptionPolicy to Adopt",
                subject.adopter
            );
            return plan.blockers.push(Blocker::new(IdentityReady, Reason::DomainConflict, message));
        }
        let message = format!(
            "SES already has an identity for {domain} that this object did not create, and it is left alone. To take it over, \
             tag it {TAG_ADOPTABLE_BY}={} and set spec.ses.adoptionPolicy to Adopt; else delete it or use another domain",
            subject.adopter
        );
        (Reason::IdentityNotOwned, message)
    } else if identity.brings_own_dkim() {
        let message = format!(
            "The identity of {domain} signs with DKIM keys of its own (BYODKIM), which the operator does not manage; switch \
             it to Easy DKIM first"
        );
        (Reason::UnsupportedDKIMOrigin, message)
    } else if let Some(fault) = &seen.standing.identity {
        (fault.reason, fault.message.clone())
    } else {
        plan.actions
            .push(Action::AdoptIdentity { tags: subject.mark.tags(IdentityOrigin::Adopted, subject.recreate_at) });
        return;
    };
    plan.blockers.push(Blocker::new(IdentityReady, reason, message));
}

/// Plans what brings an identity of ours to its verification.
pub fn plan_verification(
    subject: &Subject<'_>,
    identity: &Identity,
    seen: &Observation,
    now: Timestamp,
    plan: &mut Plan,
) {
    if identity.brings_own_dkim() {
        let message = "The identity signs with DKIM keys of its own (BYODKIM), which the operator does not manage; switch it \
                       to Easy DKIM";
        plan.blockers.push(Blocker::new(IdentityReady, Reason::UnsupportedDKIMOrigin, message));
    } else if identity.dkim.tokens.len() != DKIM_TOKENS {
        let message =
            "SES has created the identity and has not handed out its three DKIM tokens yet; they are read again";
        plan.blockers.push(Blocker::new(IdentityReady, Reason::WaitingForSES, message));
    }
    if let Some(fault) = &seen.standing.identity {
        plan.blockers.push(Blocker::from_fault(IdentityReady, fault));
        // What was asked for comes once the fault is over.
        plan.postponed |= subject.reconcile_requested && Part::Dkim.has_failed(identity);
    } else {
        if recreation_is_due(subject, identity) {
            // The next pass sees no identity and makes a new one; the old records go once the new ones are in use.
            plan.actions.push(Action::DeleteIdentity);
            return;
        }
        if !identity.dkim.signing_enabled && !identity.dkim.tokens.is_empty() {
            plan.actions.push(Action::EnableSigning);
        }
        let is_put_off = |part: &Part| part.has_failed(identity) && part.was_rearmed_just_now(subject, now);
        plan.postponed |= subject.reconcile_requested && Part::ALL.iter().any(is_put_off);
        if Part::Dkim.is_due(subject, identity, seen, now, plan) {
            plan.actions.push(Action::RestartDkim);
        }
    }
    plan_mail_from(subject, identity, seen, now, plan);
}

/// True if the user asks for fresh tokens with a value that the identity was not created with. The tag decides and not
/// status, so that a cluster that was lost with the annotation in Git destroys nothing.
fn recreation_is_due(subject: &Subject<'_>, identity: &Identity) -> bool {
    let asked = subject.recreate_at.map(tag_value);
    asked.is_some_and(|value| identity.tags.get(TAG_RECREATE_AT) != Some(&value))
        && subject.mark.ownership(&identity.tags) == Ownership::Ours(IdentityOrigin::Created)
}

fn plan_mail_from(subject: &Subject<'_>, identity: &Identity, seen: &Observation, now: Timestamp, plan: &mut Plan) {
    if seen.claim.mail_from_shared {
        return plan.blockers.push(claims::mail_from_conflict(MailFromVerified));
    }
    let domain = subject.spec.mail_from_domain();
    let on_mx_failure = subject.spec.mail_from.on_mx_failure;
    let adopted = subject.mark.ownership(&identity.tags) == Ownership::Ours(IdentityOrigin::Adopted);
    // While SES has not found the MX of a MAIL FROM domain, RejectMessage has it refuse all mail of the domain. One that
    // sends already gets a new MAIL FROM domain without, and with once SES has looked.
    // Source: <https://docs.aws.amazon.com/ses/latest/dg/mail-from.html>.
    let would_refuse = on_mx_failure == OnMxFailure::RejectMessage && identity.is_dkim_verified();
    let is_same = identity.mail_from.as_ref().is_some_and(|current| current.domain.eq_ignore_ascii_case(&domain));
    let on_mx_failure = if would_refuse && !is_same { OnMxFailure::UseDefaultValue } else { on_mx_failure };
    let wanted = match &identity.mail_from {
        None => !adopted || mail_from_resolves(seen, plan),
        // A working MAIL FROM domain is left only for one that works.
        Some(current) if !current.domain.eq_ignore_ascii_case(&domain) => mail_from_resolves(seen, plan),
        Some(current) => {
            let is_looked_for = current.status == SesStatus::Pending;
            (current.on_mx_failure != on_mx_failure && !(would_refuse && is_looked_for))
                || Part::MailFrom.is_due(subject, identity, seen, now, plan)
        }
    };
    match &seen.standing.mail_from {
        Some(fault) if wanted => {
            plan.postponed |= subject.reconcile_requested;
            plan.blockers.push(Blocker::from_fault(MailFromVerified, fault));
        }
        _ if wanted => plan.actions.push(Action::SetMailFrom { domain, on_mx_failure }),
        _ => {}
    }
}

fn mail_from_resolves(seen: &Observation, plan: &Plan) -> bool {
    let mut required = plan.wanted.iter().filter(|w| matches!(w.purpose, RecordPurpose::Spf | RecordPurpose::BounceMx));
    if seen.dns_check {
        return required.all(|w| judge::is_worth_trying(w, &seen.lookups));
    }
    // Without look-ups nobody knows better than SES; but what the zone lacks cannot be in DNS.
    match &seen.zone {
        Observed::Known(view) => {
            required.all(|w| view.records.iter().any(|r| r.name == w.name && r.data.as_ref() == Some(&w.data)))
        }
        Observed::Unavailable(_) => false,
        Observed::NotConfigured => true,
    }
}
