//! Whether an object may have its domain: what the administrators allow, and who else wants the same domain or the same
//! MAIL FROM domain. The oldest object has it, and one whose verification has failed comes after those that wait; age is
//! decided by the creation time, then by the uid.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::Store;
use kube::{Api, ResourceExt};

use super::Guarded;
use super::context::Context;
use super::error::Error;
use crate::api::condition::{ConditionType, is_true};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{AdoptionPolicy, SendingDomain, SendingDomainSpec, SendingDomainStatus};
use crate::observe::observation::{Awaited, Claim};
use crate::plan::claims::{self, Contender};
use crate::ses::client::Account;

/// Finds out whether `object` may have its domain at the time `now`.
pub async fn claim(
    object: &SendingDomain,
    account: &Account,
    context: &Context,
    now: Timestamp,
) -> Result<Claim, Error> {
    let mut rules = Rules::new(context);
    let others = others(object, context);
    let rivals = others.iter().any(|other| is_same_place(other, object, account, context));
    let mut claim = Claim { refused: rules.refuse(object).await?, rivals, ..Claim::default() };
    if claim.refused.is_some() {
        // Whoever may not have the domain needs not know which of the others may.
        return Ok(claim);
    }
    let me = Contender::of(object, now);
    let mut allowed = Vec::new();
    for other in others {
        let is_refused = rules.refuse(&other).await;
        let contender = Contender::of(&other, now);
        if !is_same_place(&other, object, account, context) {
            if counts(&other, &is_refused) {
                meets_elsewhere(&mut claim, object, &other, contender.is_older(&me));
            }
            continue;
        }
        if matches!(is_refused, Ok(Some(_))) {
            continue;
        }
        // Whether it may have the domain is not known: it comes in its turn, and nobody makes room for it.
        let waits = contender.waits && is_refused.is_ok();
        allowed.push(Rival { contender: Contender { waits, ..contender }, object: other });
    }
    let is_held = me.holds || allowed.iter().any(|rival| rival.contender.holds);
    let me = me.among(is_held);
    let before_me = allowed.into_iter().map(|r| Rival { contender: r.contender.among(is_held), ..r });
    let first = before_me
        .filter(|r| r.contender.is_before(&me))
        .reduce(|one, other| if other.contender.is_before(&one.contender) { other } else { one });
    let Some(first) = first else { return Ok(claim) };
    claim.gave_way = me.has_failed && !first.contender.has_failed;
    if first.object.namespace() == object.namespace() {
        claim.domain_holder_here = Some(first.object.name_any());
    } else {
        claim.domain_held_elsewhere = true;
    }
    if me.has_failed && first.contender.waits && !lacks_its_mail_from(&first, object, context, now, &mut rules).await {
        let adopts = first.object.spec.ses.adoption_policy == AdoptionPolicy::Adopt;
        let namespace = first.object.namespace().unwrap_or_default();
        claim.awaited = Some(Awaited { adopter: adopts.then(|| super::pass::adopter(context, &namespace)) });
    }
    Ok(claim)
}

/// Another object that wants the same domain.
struct Rival {
    contender: Contender,
    object: SendingDomain,
}

/// True if a third object keeps `rival` from the domain by the MAIL FROM domain that it wants.
async fn lacks_its_mail_from(
    rival: &Rival,
    holder: &SendingDomain,
    context: &Context,
    now: Timestamp,
    rules: &mut Rules<'_>,
) -> bool {
    for other in others(&rival.object, context) {
        let stands_in_the_way = other.spec.domain != holder.spec.domain
            && is_mail_from_shared(&other.spec, &rival.object.spec)
            && Contender::of(&other, now).is_older(&rival.contender);
        if stands_in_the_way && counts(&other, &rules.refuse(&other).await) {
            return true;
        }
    }
    false
}

/// False for an object that may not have what it wants, and has nothing of it: one that was allowed once still sends.
fn counts(other: &SendingDomain, refused: &Result<Option<(Reason, String)>, Error>) -> bool {
    let has_identity = other.status.as_ref().is_some_and(SendingDomainStatus::has_identity);
    has_identity || !matches!(refused, Ok(Some(_)))
}

/// What the administrators do not allow. Each namespace is read once, however many objects want the same.
struct Rules<'a> {
    context: &'a Context,
    namespaces: HashMap<String, BTreeMap<String, String>>,
}

impl<'a> Rules<'a> {
    fn new(context: &'a Context) -> Self {
        Self { context, namespaces: HashMap::new() }
    }

    async fn refuse(&mut self, object: &SendingDomain) -> Result<Option<(Reason, String)>, Error> {
        if object.spec.ses.role_arn.is_none() && !self.context.settings.ambient_credentials {
            let message = "The operator lends its own AWS credentials to nobody (--ambient-credentials=false); create the \
                           object anew with spec.ses.roleArn";
            return Ok(Some((Reason::AWSAccessDenied, message.to_owned())));
        }
        if !self.context.settings.require_namespace_claims {
            return Ok(None);
        }
        let name = object.namespace().ok_or(Error::Incomplete("namespace"))?;
        if !self.namespaces.contains_key(&name) {
            let namespaces: Api<Namespace> = Api::all(self.context.kube.clone());
            let namespace = namespaces.get(&name).await?;
            self.namespaces.insert(name.clone(), namespace.metadata.annotations.unwrap_or_default());
        }
        let message = self.namespaces.get(&name).and_then(|rules| claims::not_allowed(rules, &object.spec));
        Ok(message.map(|message| (Reason::DomainNotAllowed, message)))
    }
}

/// The objects that want something that `object` wants.
fn others(object: &SendingDomain, context: &Context) -> Vec<SendingDomain> {
    let is_meant = |other: &SendingDomain| other.uid() != object.uid() && meet(&other.spec, &object.spec);
    let objects = context.stores.iter().flat_map(Store::state);
    objects.filter_map(|other| other.0.as_ref().ok().filter(|other| is_meant(other)).cloned()).collect()
}

/// True if the two want the same identity.
fn is_same_place(one: &SendingDomain, other: &SendingDomain, account: &Account, context: &Context) -> bool {
    one.spec.domain == other.spec.domain && super::pass::account(one, context).is_same_place(account)
}

/// What `other`, whose identity is another, takes from `object`: the MAIL FROM domain, and the DMARC policy of a domain
/// that both have in different places.
fn meets_elsewhere(claim: &mut Claim, object: &SendingDomain, other: &SendingDomain, is_older: bool) {
    claim.dmarc_taken |= is_older && other.spec.domain == object.spec.domain && publishes_dmarc(other);
    if !is_mail_from_shared(&other.spec, &object.spec) {
        // The same domain in another place, with another MAIL FROM domain.
    } else if is_older {
        (claim.mail_from_taken, claim.mail_from_shared) = (true, true);
    } else {
        // A younger one that was refused has nothing yet, and stands in nobody's way.
        claim.mail_from_shared |= other.status.as_ref().is_some_and(SendingDomainStatus::has_identity);
    }
}

/// True if the object publishes a DMARC policy, or is about to: one that may not have its domain does not.
fn publishes_dmarc(object: &SendingDomain) -> bool {
    let is_refused =
        |status: &SendingDomainStatus| !status.has_identity() && is_true(&status.conditions, ConditionType::Stalled);
    object.spec.dmarc.is_some() && !object.status.as_ref().is_some_and(is_refused)
}

/// True if the two want something at the same names. A parent and a child domain do not: the DKIM names carry tokens of
/// their own, and `_dmarc` is below each domain.
fn meet(one: &SendingDomainSpec, other: &SendingDomainSpec) -> bool {
    one.domain == other.domain || is_mail_from_shared(one, other)
}

/// True if both have the same MAIL FROM domain, where SES wants exactly one MX, or one sends from the MAIL FROM domain of
/// the other, which SES advises against: its MX is that of SES's feedback, so that nothing sent from it can be answered.
/// Source: <https://docs.aws.amazon.com/ses/latest/dg/mail-from.html>.
fn is_mail_from_shared(one: &SendingDomainSpec, other: &SendingDomainSpec) -> bool {
    let (mine, theirs) = (one.mail_from_domain(), other.mail_from_domain());
    mine == theirs || mine == other.domain || theirs == one.domain
}

/// How many objects have the same credentials and the same region in their spec as `object`, itself among them.
pub(super) fn fleet(object: &SendingDomain, context: &Context) -> usize {
    let ses = &object.spec.ses;
    let is_alike = |other: &SendingDomain| {
        let theirs = &other.spec.ses;
        // The ExternalId of a role has the namespace in it.
        let same_lender = ses.role_arn.is_none() || other.metadata.namespace == object.metadata.namespace;
        theirs.role_arn == ses.role_arn && theirs.region == ses.region && same_lender && !other.spec.suspend
    };
    let count =
        |store: &Store<Guarded>| store.state().iter().filter_map(|o| o.0.as_ref().ok()).filter(|o| is_alike(o)).count();
    context.stores.iter().map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(domain: &str, subdomain: &str) -> SendingDomainSpec {
        let spec = serde_json::json!({ "domain": domain, "mailFrom": { "subdomain": subdomain } });
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a6_only_names_that_carry_records_of_both_meet() {
        let mail = spec("mail.example.com", "bounce");
        for other in [
            spec("mail.example.com", "bounce"),
            spec("mail.example.com", "return"),
            spec("bounce.mail.example.com", "bounce"),
        ] {
            assert!(meet(&mail, &other) && meet(&other, &mail), "{}", other.domain);
        }
        for other in
            [spec("example.com", "bounce"), spec("a.mail.example.com", "bounce"), spec("example.com", "return")]
        {
            assert!(!meet(&mail, &other) && !meet(&other, &mail), "{}", other.domain);
        }
        assert!(meet(&mail, &spec("example.com", "mail")), "mail.example.com would be its MAIL FROM domain");
    }
}
