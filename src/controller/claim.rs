//! Whether an object may have its domain: what the administrators allow, and who else wants the same domain or the same
//! MAIL FROM domain. The oldest object has it, and one whose verification has failed comes after those that wait; age is
//! decided by the creation time, then by the uid.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::Store;
use kube::{Api, ResourceExt};

use super::Guarded;
use super::context::Context;
use super::error::Error;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{AdoptionPolicy, SendingDomain, SendingDomainSpec};
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
    let (mut claim, rivals) = rivals(object, account, context, now);
    claim.refused = refused(object, context).await?;
    let mut allowed = Vec::new();
    for rival in rivals {
        match refused(&rival.object, context).await {
            Ok(Some(_)) => {}
            Ok(None) => allowed.push(rival),
            // Whether it may have the domain is not known: it comes in its turn, and nobody makes room for it.
            Err(_) => allowed.push(Rival { contender: Contender { waits: false, ..rival.contender }, ..rival }),
        }
    }
    let me = Contender::of(object, now);
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
    if me.has_failed && first.contender.waits && !lacks_its_mail_from(&first, object, context, now) {
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
fn lacks_its_mail_from(rival: &Rival, holder: &SendingDomain, context: &Context, now: Timestamp) -> bool {
    let stands_in_the_way = |other: &SendingDomain| {
        other.spec.domain != holder.spec.domain
            && is_mail_from_shared(&other.spec, &rival.object.spec)
            && Contender::of(other, now).is_older(&rival.contender)
    };
    context.stores.iter().flat_map(Store::state).any(|other| other.0.as_ref().is_ok_and(stands_in_the_way))
}

/// What the administrators do not allow.
async fn refused(object: &SendingDomain, context: &Context) -> Result<Option<(Reason, String)>, Error> {
    if object.spec.ses.role_arn.is_none() && !context.settings.ambient_credentials {
        let message = "The operator lends its own AWS credentials to nobody (--ambient-credentials=false); create the object \
                       anew with spec.ses.roleArn";
        return Ok(Some((Reason::AWSAccessDenied, message.to_owned())));
    }
    if context.settings.require_namespace_claims { refused_by_namespace(object, context).await } else { Ok(None) }
}

async fn refused_by_namespace(object: &SendingDomain, context: &Context) -> Result<Option<(Reason, String)>, Error> {
    let name = object.namespace().ok_or(Error::Incomplete("namespace"))?;
    let namespaces: Api<Namespace> = Api::all(context.kube.clone());
    let namespace = namespaces.get(&name).await?;
    Ok(claims::not_allowed(namespace.annotations(), &object.spec).map(|message| (Reason::DomainNotAllowed, message)))
}

/// Finds the objects that want what `object` wants: those that want the same MAIL FROM domain are told, those that want the
/// same domain are answered.
fn rivals(object: &SendingDomain, account: &Account, context: &Context, now: Timestamp) -> (Claim, Vec<Rival>) {
    let mut claim = Claim::default();
    let me = Contender::of(object, now);
    let mut rivals = Vec::new();
    for other in context.stores.iter().flat_map(Store::state) {
        let Ok(other) = &other.0 else { continue };
        if other.uid() == object.uid() || !meet(&other.spec, &object.spec) {
            continue;
        }
        let contender = Contender::of(other, now);
        if other.spec.domain == object.spec.domain && super::pass::account(other, context).is_same_place(account) {
            claim.rivals = true;
            rivals.push(Rival { contender, object: other.clone() });
        } else if !is_mail_from_shared(&other.spec, &object.spec) {
            // The same domain in another place, with another MAIL FROM domain.
        } else if contender.is_older(&me) {
            (claim.mail_from_taken, claim.mail_from_shared) = (true, true);
        } else {
            // A younger one that was refused has nothing yet, and stands in nobody's way.
            claim.mail_from_shared |= other.status.as_ref().is_some_and(|s| s.identity.is_some());
        }
    }
    (claim, rivals)
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
