//! Making, changing, tagging and deleting identities.

use aws_sdk_sesv2::types::{BehaviorOnMxFailure, DkimSigningAttributes, DkimSigningKeyLength, IdentityType, Tag};
use testbed::ses::{HostedZone, Status};

use crate::{Bed, DOMAIN, REGION, bed, pairs, refusal, refused, three};

const ARN: &str = "arn:aws:ses:eu-west-1:123456789012:identity/mail.example.com";

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

#[tokio::test]
async fn everything_given_at_creation_is_there_afterwards() {
    let bed = bed().await;
    bed.client.create_configuration_set().configuration_set_name("news").send().await.unwrap();
    let length = DkimSigningAttributes::builder().next_signing_key_length(DkimSigningKeyLength::Rsa1024Bit).build();
    let create = bed.client.create_email_identity().email_identity(DOMAIN).configuration_set_name("news");
    create.tags(tag("team", "post")).dkim_signing_attributes(length).send().await.unwrap();
    let got = bed.get(DOMAIN).await;
    assert_eq!(got.identity_type(), Some(&IdentityType::Domain));
    assert_eq!(got.configuration_set_name(), Some("news"));
    assert_eq!(got.tags(), [tag("team", "post")]);
    let dkim = got.dkim_attributes().unwrap();
    assert_eq!(dkim.current_signing_key_length(), Some(&DkimSigningKeyLength::Rsa1024Bit));
    assert!(dkim.signing_enabled());
    let info = got.verification_info().unwrap();
    assert_eq!((info.last_checked_timestamp(), info.error_type(), info.soa_record()), (None, None, None));
    let mail_from = got.mail_from_attributes().unwrap();
    assert_eq!(mail_from.behavior_on_mx_failure(), &BehaviorOnMxFailure::UseDefaultValue);
    assert_eq!(mail_from.mail_from_domain(), "");
}

#[tokio::test]
async fn creation_is_refused_for_the_reasons_of_ses() {
    let bed = bed().await;
    bed.create(DOMAIN).await;
    let create = |name: &str| bed.client.create_email_identity().email_identity(name);
    let exists = refused(400, "AlreadyExistsException", "Email identity mail.example.com already exist.");
    assert_eq!(refusal(create("MAIL.example.com").send().await), exists);
    assert_eq!(refusal(create("nonsense").send().await).1.as_deref(), Some("BadRequestException"));
    let unknown = create("b.example.com").configuration_set_name("none").send().await;
    assert_eq!(refusal(unknown), refused(404, "NotFoundException", "Configuration set <none> does not exist."));
    assert!(bed.ses.identity(REGION, "b.example.com").is_none(), "nothing is made then");
    let reserved = create("b.example.com").tags(tag("aws:x", "y")).send().await;
    assert_eq!(refusal(reserved).1.as_deref(), Some("BadRequestException"));
    bed.ses.configure(|settings| settings.identity_quota = 1);
    let (status, code, _) = refusal(create("b.example.com").send().await);
    assert_eq!((status, code.as_deref()), (400, Some("LimitExceededException")));
}

#[tokio::test]
async fn a_deleted_identity_comes_back_with_other_tokens() {
    let bed = bed().await;
    let tokens = bed.create(DOMAIN).await;
    bed.client.delete_email_identity().email_identity(DOMAIN).send().await.unwrap();
    let missing = refused(404, "NotFoundException", "Email identity mail.example.com does not exist.");
    assert_eq!(refusal(bed.client.get_email_identity().email_identity(DOMAIN).send().await), missing);
    assert_eq!(refusal(bed.client.delete_email_identity().email_identity(DOMAIN).send().await), missing);
    let again = bed.create(DOMAIN).await;
    assert!(again.iter().all(|token| !tokens.contains(token)));
    assert!(bed.ses.region(REGION).delete_identity(DOMAIN), "behind its back");
    assert_eq!(refusal(bed.client.get_email_identity().email_identity(DOMAIN).send().await), missing);
}

#[tokio::test]
async fn tokens_may_come_late() {
    let bed = bed().await;
    bed.ses.configure(|settings| settings.tokens_after_gets = 2);
    assert!(bed.create(DOMAIN).await.is_empty());
    let first = bed.get(DOMAIN).await.dkim_attributes.unwrap();
    assert_eq!((first.tokens().len(), first.status().unwrap().as_str()), (0, "NOT_STARTED"));
    let second = bed.get(DOMAIN).await.dkim_attributes.unwrap();
    assert_eq!((second.tokens().len(), second.status().unwrap().as_str()), (3, "PENDING"));
}

#[tokio::test]
async fn the_hosted_zone_is_what_the_region_or_the_test_says() {
    let bed = bed().await;
    let south = aws_sdk_sesv2::Client::new(&crate::config(&bed.ses, "eu-south-1", "AKIDTEST").await);
    let zone = |made: aws_sdk_sesv2::operation::create_email_identity::CreateEmailIdentityOutput| {
        made.dkim_attributes.unwrap().signing_hosted_zone
    };
    let made = south.create_email_identity().email_identity(DOMAIN).send().await.unwrap();
    assert_eq!(zone(made).as_deref(), Some("dkim.eu-south-1.amazonses.com"));
    bed.ses.configure(|settings| settings.signing_hosted_zone = HostedZone::Omitted);
    let made = south.create_email_identity().email_identity("b.example.com").send().await.unwrap();
    assert_eq!(zone(made), None);
    bed.ses.configure(|settings| settings.signing_hosted_zone = HostedZone::Custom("dkim.example.org".to_owned()));
    let made = south.create_email_identity().email_identity("c.example.com").send().await.unwrap();
    assert_eq!(zone(made).as_deref(), Some("dkim.example.org"));
    assert!(bed.ses.identity("eu-south-1", DOMAIN).is_some());
    assert!(bed.ses.identity(REGION, DOMAIN).is_none(), "regions are apart");
}

#[tokio::test]
async fn mail_from_must_be_below_the_domain_of_a_known_identity() {
    let bed = bed().await;
    bed.create(DOMAIN).await;
    let put = |name: &str, domain: &str| {
        bed.client.put_email_identity_mail_from_attributes().email_identity(name).mail_from_domain(domain).send()
    };
    for domain in ["bounce.example.com", DOMAIN, "xmail.example.com"] {
        let message =
            format!("Provided MAIL-FROM domain <{domain}> is not subdomain of the domain of the identity <{DOMAIN}>.");
        assert_eq!(refusal(put(DOMAIN, domain).await), refused(400, "BadRequestException", &message));
    }
    let (status, code, _) = refusal(put("unknown.example.com", "b.unknown.example.com").await);
    assert_eq!((status, code.as_deref()), (400, Some("BadRequestException")));

    bed.ses.configure(|settings| settings.mail_from_needs_verified = true);
    let (_, code, message) = refusal(put(DOMAIN, "bounce.mail.example.com").await);
    assert_eq!(code.as_deref(), Some("BadRequestException"));
    assert!(message.unwrap().contains("or its parents are not verified for identity"));
    bed.ses.region(REGION).set_dkim_status(DOMAIN, Status::Success);
    put(DOMAIN, "bounce.mail.example.com").await.unwrap();

    let reject = bed.client.put_email_identity_mail_from_attributes().email_identity(DOMAIN);
    let reject =
        reject.mail_from_domain("b.mail.example.com").behavior_on_mx_failure(BehaviorOnMxFailure::RejectMessage);
    reject.send().await.unwrap();
    let mail_from = bed.get(DOMAIN).await.mail_from_attributes.unwrap();
    assert_eq!(mail_from.behavior_on_mx_failure(), &BehaviorOnMxFailure::RejectMessage);
    assert_eq!(mail_from.mail_from_domain(), "b.mail.example.com");
    bed.client.put_email_identity_mail_from_attributes().email_identity(DOMAIN).send().await.unwrap();
    assert_eq!(bed.get(DOMAIN).await.mail_from_attributes.unwrap().mail_from_domain(), "", "taken away again");
}

#[tokio::test]
async fn tags_are_added_changed_and_removed() {
    let bed = bed().await;
    bed.create(DOMAIN).await;
    let add = bed.client.tag_resource().resource_arn(ARN);
    add.tags(tag("a", "1")).tags(tag("b", "2")).tags(tag("c", "3")).send().await.unwrap();
    bed.client.tag_resource().resource_arn(ARN).tags(tag("a", "changed")).send().await.unwrap();
    bed.client.untag_resource().resource_arn(ARN).tag_keys("b").tag_keys("c").send().await.unwrap();
    let listed = bed.client.list_tags_for_resource().resource_arn(ARN).send().await.unwrap();
    assert_eq!(listed.tags(), [tag("a", "changed")]);
    assert_eq!(bed.ses.identity(REGION, DOMAIN).unwrap().tags, pairs(&[("a", "changed")]));
    let missing = ARN.replace("mail.", "other.");
    let (status, code, _) = refusal(bed.client.list_tags_for_resource().resource_arn(missing).send().await);
    assert_eq!((status, code.as_deref()), (404, Some("NotFoundException")));
    let elsewhere = ARN.replace("eu-west-1", "us-east-1");
    let (status, code, _) = refusal(bed.client.untag_resource().resource_arn(elsewhere).tag_keys("a").send().await);
    assert_eq!((status, code.as_deref()), (400, Some("BadRequestException")));
}

#[tokio::test]
async fn configuration_sets_are_set_and_taken_away() {
    let bed = bed().await;
    bed.create(DOMAIN).await;
    let put = || bed.client.put_email_identity_configuration_set_attributes().email_identity(DOMAIN);
    let (status, code, _) = refusal(put().configuration_set_name("news").send().await);
    assert_eq!((status, code.as_deref()), (404, Some("NotFoundException")));
    let (status, ..) = refusal(bed.client.get_configuration_set().configuration_set_name("news").send().await);
    assert_eq!(status, 404);
    bed.client.create_configuration_set().configuration_set_name("news").send().await.unwrap();
    let again = bed.client.create_configuration_set().configuration_set_name("news").send().await;
    assert_eq!(refusal(again).1.as_deref(), Some("AlreadyExistsException"));
    let got = bed.client.get_configuration_set().configuration_set_name("news").send().await.unwrap();
    assert_eq!(got.configuration_set_name(), Some("news"));
    put().configuration_set_name("news").send().await.unwrap();
    assert_eq!(bed.get(DOMAIN).await.configuration_set_name(), Some("news"));
    put().send().await.unwrap();
    assert_eq!(bed.get(DOMAIN).await.configuration_set_name(), None);
}

#[tokio::test]
async fn signing_is_switched_without_touching_the_status() {
    let bed = bed().await;
    bed.create(DOMAIN).await;
    bed.ses.region(REGION).set_dkim_status(DOMAIN, Status::Success);
    for enabled in [false, true] {
        let put = bed.client.put_email_identity_dkim_attributes().email_identity(DOMAIN);
        put.signing_enabled(enabled).send().await.unwrap();
        assert_eq!(bed.get(DOMAIN).await.dkim_attributes.unwrap().signing_enabled(), enabled);
        assert_eq!(bed.statuses(DOMAIN).await, three("SUCCESS", "SUCCESS", true));
    }
    let unknown = bed.client.put_email_identity_dkim_attributes().email_identity("x.example.com").send().await;
    assert_eq!(refusal(unknown).0, 404);
}

#[tokio::test]
async fn an_address_takes_dkim_from_exactly_its_domain() {
    let bed = bed().await;
    let tokens = bed.create(DOMAIN).await;
    let tokens_of = async |bed: &Bed, name: &str| bed.get(name).await.dkim_attributes.unwrap().tokens().to_vec();
    bed.create("me@mail.example.com").await;
    bed.create("me@deep.mail.example.com").await;
    let got = bed.get("me@mail.example.com").await;
    assert_eq!(got.identity_type(), Some(&IdentityType::EmailAddress));
    assert_eq!(tokens_of(&bed, "me@mail.example.com").await, tokens);
    assert!(tokens_of(&bed, "me@deep.mail.example.com").await.is_empty());
}
