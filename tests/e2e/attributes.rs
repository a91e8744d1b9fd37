//! What can be changed on an identity that is made: tags, configuration set, DKIM keys, MAIL FROM; and the role by which
//! it is managed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::ses::{Failure, Operation};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig, SECRET, ZONE};

/// The tags of the identity without the operator's own.
fn tags(rig: &Rig) -> BTreeMap<String, String> {
    let tags = rig.identity().map(|identity| identity.tags).unwrap_or_default();
    tags.into_iter().filter(|(key, _)| !key.starts_with("sendingdomain.dev/")).collect()
}

async fn until_at_ses(what: &str, condition: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn map(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn tags_are_added_changed_and_removed_and_those_of_people_stay() {
    let rig = Rig::start().await;
    let mut manifest = object::manual(NAME, DOMAIN);
    manifest["spec"]["ses"] = json!({ "tags": { "team": "mail", "stage": "test" } });
    rig.create(&manifest).await;
    rig.until("records", |o| object::records(o).len() == 5).await;
    assert_eq!(tags(&rig), map(&[("team", "mail"), ("stage", "test")]));
    let ours = rig.identity().unwrap().tags;
    let mut by_hand = ours.clone();
    by_hand.extend(map(&[("cost-centre", "7"), ("team", "marketing")]));
    rig.world.ses().region(REGION).set_tags(DOMAIN, &by_hand);
    let all = map(&[("team", "mail"), ("stage", "prod"), ("owner", "me"), ("cost-centre", "7")]);
    rig.patch(&json!({ "spec": { "ses": { "tags": { "stage": "prod", "owner": "me" } } } })).await;
    until_at_ses("three tags of the spec and one of a person", || tags(&rig) == all).await;
    rig.expect_event("Normal", "TagsChanged").await;
    rig.patch(&json!({ "spec": { "ses": { "tags": null } } })).await;
    until_at_ses("only the tag of a person", || tags(&rig) == map(&[("cost-centre", "7")])).await;
    let identity = rig.identity().unwrap();
    for key in ["owner", "object", "origin"].map(|key| format!("sendingdomain.dev/{key}")) {
        assert_eq!(identity.tags[&key], ours[&key]);
    }
    rig.finish().await;
}

#[tokio::test]
async fn a_configuration_set_that_is_missing_is_named_and_taken_when_it_appears() {
    let rig = Rig::start().await;
    let mut manifest = object::manual(NAME, DOMAIN);
    manifest["spec"]["ses"] = json!({ "configurationSet": "first" });
    rig.create(&manifest).await;
    let missing = rig.reason("ConfigurationSetNotFound").await;
    assert!(object::message(&missing, "Ready").contains("named first"), "{missing}");
    let region = rig.world.ses().region(REGION);
    region.create_configuration_set("first");
    rig.until("records", |o| object::records(o).len() == 5).await;
    assert_eq!(rig.identity().unwrap().configuration_set.as_deref(), Some("first"));
    // The same for an identity that is there.
    rig.patch(&json!({ "spec": { "ses": { "configurationSet": "second" } } })).await;
    let missing = rig.reason("ConfigurationSetNotFound").await;
    assert!(object::message(&missing, "IdentityReady").contains("named second"), "{missing}");
    region.create_configuration_set("second");
    let set = || rig.identity().and_then(|identity| identity.configuration_set);
    until_at_ses("the second set", || set().as_deref() == Some("second")).await;
    rig.patch(&json!({ "spec": { "ses": { "configurationSet": null } } })).await;
    until_at_ses("no set", || set().is_none()).await;
    rig.finish().await;
}

#[tokio::test]
async fn dkim_keys_of_another_length_are_verified_before_the_old_records_go() {
    let rig = Rig::start().await;
    let first = rig.verified_cloudflare().await;
    let old = rig.identity().unwrap().tokens;
    let kept = |rig: &Rig, tokens: &[String]| {
        let names: Vec<String> = rig.ours().into_keys().map(|(name, _)| name).collect();
        tokens.iter().filter(|token| names.contains(&format!("{token}._domainkey.{DOMAIN}"))).count()
    };
    // SES does not look until it is told to.
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.patch(&json!({ "spec": { "ses": { "dkimKeyLength": "RSA1024" } } })).await;
    let is_new = |o: &Value| {
        o["status"]["identity"]["dkimTokens"] != first["status"]["identity"]["dkimTokens"]
            && object::count(o, "Found") == 5
    };
    let pending = rig.until("the new records", is_new).await;
    assert!(!object::is_ready(&pending), "{}", pending["status"]);
    assert_eq!(pending["status"]["identity"]["verificationStatus"], "SUCCESS");
    assert_eq!(kept(&rig, &old), 3, "SES goes on signing with the old keys");
    rig.world.ses().look_now().await;
    rig.ready().await;
    until_at_ses("the old records gone", || kept(&rig, &old) == 0).await;
    let identity = rig.identity().unwrap();
    assert_eq!((identity.key_length.as_str(), kept(&rig, &identity.tokens)), ("RSA_1024_BIT", 3));
    // Back again on the same day is refused by SES, and not asked for in every pass.
    rig.reset_calls();
    rig.patch(&json!({ "spec": { "ses": { "dkimKeyLength": "RSA2048" } } })).await;
    let refused = rig.until("refused", |o| object::message(o, "IdentityReady").contains("once per day")).await;
    assert_eq!(object::condition_status(&refused, "Reconciling"), "True");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let asked = rig.world.ses().calls();
    let asked = asked.iter().filter(|c| c.operation == Operation::PutEmailIdentityDkimSigningAttributes).count();
    assert_eq!(asked, 1);
    rig.finish().await;
}

#[tokio::test]
async fn an_adopted_identity_is_left_without_our_tags() {
    let rig = Rig::start().await;
    let released = format!("{}/{}", rig.operator.owner_id(), rig.namespace);
    let before = map(&[("sendingdomain.dev/adoptable-by", &released), ("team", "mail"), ("stage", "prod")]);
    rig.world.ses().region(REGION).put_foreign_identity(DOMAIN, &before, true).unwrap();
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(rig.world.token()).await;
    let mut manifest = object::cloudflare(NAME, DOMAIN, SECRET);
    manifest["spec"]["ses"] = json!({ "adoptionPolicy": "Adopt", "tags": { "team": "mail", "owner": "me" } });
    rig.create(&manifest).await;
    rig.ready().await;
    until_at_ses("the tag of the spec", || tags(&rig).contains_key("owner")).await;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert_eq!(rig.identity().unwrap().tags, before);
    rig.finish().await;
}

#[tokio::test]
async fn a_mail_from_domain_that_ses_takes_only_when_verified_is_set_then() {
    let rig = Rig::start().await;
    rig.world.ses().configure(|settings| settings.mail_from_needs_verified = true);
    rig.apply_manual().await;
    let waiting =
        rig.until("refused", |o| object::message(o, "MailFromVerified").contains("once SES has verified")).await;
    assert_eq!(object::condition_status(&waiting, "Reconciling"), "True");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = rig.world.ses().calls();
    let asked = asked.iter().filter(|c| c.operation == Operation::PutEmailIdentityMailFromAttributes).count();
    assert!(asked <= 2, "asked {asked} times");
    rig.world.publish(&waiting).unwrap();
    rig.ready().await;
    rig.patch(&json!({ "spec": { "mailFrom": { "onMxFailure": "RejectMessage" } } })).await;
    let behavior = || rig.identity().unwrap().behavior_on_mx_failure;
    until_at_ses("RejectMessage", || behavior() == "REJECT_MESSAGE").await;
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn another_mail_from_name_is_used_when_its_records_resolve_and_the_old_ones_go_last() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    // SES looks when it is told to, so that every step can be seen.
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    let name = |subdomain: &str| format!("{subdomain}.{DOMAIN}");
    let written = |subdomain: &str| rig.ours().into_keys().filter(|(owner, _)| *owner == name(subdomain)).count();
    let used = || rig.identity().and_then(|identity| identity.mail_from_domain);
    rig.patch(&json!({ "spec": { "mailFrom": { "subdomain": "return" } } })).await;
    until_at_ses("the new name", || {
        let switched = used() == Some(name("return"));
        assert!(switched || written("bounce") == 2, "the records of the name in use are gone");
        assert!(!switched || written("return") == 2, "SES uses a name without records");
        switched
    })
    .await;
    // SES starts over with a new name, and so says the status; DKIM is not touched.
    let pending = rig.until("pending", |o| object::reason(o, "MailFromVerified") == "WaitingForSES").await;
    assert!(!object::is_ready(&pending), "{}", pending["status"]);
    assert_eq!(object::condition_status(&pending, "DKIMVerified"), "True");
    rig.world.ses().look_now().await;
    rig.ready().await;
    until_at_ses("the old records gone", || written("bounce") == 0).await;
    assert_eq!((written("return"), rig.ours().len()), (2, 5));
    rig.finish().await;
}

#[tokio::test]
async fn f5_a_role_is_assumed_with_the_external_id_of_its_namespace_or_not_at_all() {
    let rig = Rig::start().await;
    let arn = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let ses = rig.world.ses();
    ses.add_role(&arn("one"), Some("somebody-else/ns"));
    rig.world.manual_zone(ZONE).unwrap();
    let mut manifest = object::manual(NAME, DOMAIN);
    manifest["spec"]["ses"] = json!({ "roleArn": arn("one"), "region": REGION });
    rig.create(&manifest).await;
    let refused = rig.reason("AWSAccessDenied").await;
    let id = format!("{}/{}", rig.operator.owner_id(), rig.namespace);
    let message = object::message(&refused, "Ready");
    assert!(message.contains(&id) && message.contains(&arn("one")), "{message}");
    ses.add_role(&arn("one"), Some(&id));
    rig.until("records", |o| object::records(o).len() == 5).await;
    let there = ses.account_region("111122223333", REGION);
    assert!(there.identity(DOMAIN).is_some() && rig.identity().is_none());
    // Another role of the account takes over.
    ses.add_role(&arn("two"), Some(&id));
    ses.remove_role(&arn("one"));
    rig.patch(&json!({ "spec": { "ses": { "roleArn": arn("two"), "tags": { "by": "two" } } } })).await;
    until_at_ses("a tag by the other role", || there.identity(DOMAIN).is_some_and(|i| i.tags.contains_key("by"))).await;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert!(there.identity(DOMAIN).is_none());
    rig.finish().await;
}

#[tokio::test]
async fn f1_f2_f3_answers_that_the_next_pass_sets_right_make_no_noise() {
    let rig = Rig::start().await;
    let ses = rig.world.ses();
    ses.fail_next_for(Operation::CreateEmailIdentity, 1, Failure::concurrent_modification());
    let throttled = Failure::code(429, "TooManyRequestsException", "Too many requests");
    ses.fail_next_for(Operation::CreateEmailIdentity, 1, throttled);
    let exists = Failure::CommitThenCode {
        status: 400,
        code: "AlreadyExistsException".to_owned(),
        message: "Email identity already exist.".to_owned(),
    };
    ses.fail_next_for(Operation::CreateEmailIdentity, 1, exists);
    rig.verified_manual().await;
    let events = rig.world.events(&rig.namespace).await.unwrap();
    let warnings: Vec<_> = events.iter().filter(|e| e.type_.as_deref() == Some("Warning")).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(ses.identities().len(), 1);
    rig.finish().await;
}

#[tokio::test]
async fn f4_f11_a_suspended_account_and_a_closed_region_are_told_and_recover() {
    let rig = Rig::start().await;
    let ses = rig.world.ses();
    let suspended = Failure::code(400, "AccountSuspendedException", "Account is suspended.");
    ses.fail_next_for(Operation::CreateEmailIdentity, 1, suspended);
    rig.apply_manual().await;
    let told = rig.reason("AWSAccountSuspended").await;
    assert_eq!(object::condition_status(&told, "Stalled"), "True");
    ses.fail_next_for(Operation::GetEmailIdentity, 1, Failure::code(403, "OptInRequired", "Not subscribed."));
    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", "1").await.unwrap();
    let told = rig.reason("RegionUnavailable").await;
    assert!(object::message(&told, "Ready").contains(REGION), "{told}");
    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", "2").await.unwrap();
    rig.until("records", |o| object::records(o).len() == 5).await;
    rig.finish().await;
}
