//! Between the types of the AWS SDK and our own.

use std::collections::BTreeMap;

use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityOutput;
use aws_sdk_sesv2::types::{
    BehaviorOnMxFailure, DkimAttributes, DkimSigningKeyLength, MailFromAttributes, SoaRecord, Tag,
};

use super::error::Error;
use super::identity::{Dkim, Identity, MailFrom, SesStatus, ZoneSeen};
use crate::api::v1alpha1::{DkimKeyLength, OnMxFailure};
use crate::dns::record::DnsName;
use crate::text::printable;

/// More DKIM tokens than these are not taken in: SES hands out three, and status has room for so many.
const MAX_TOKENS: usize = 8;

pub(super) fn sdk_tags(tags: &BTreeMap<String, String>) -> Result<Vec<Tag>, Error> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    // Both parts are set, which is all that the builder checks.
    tags.iter().map(tag).collect::<Result<_, _>>().map_err(|e| Error::rejected("TagResource", e.to_string()))
}

pub(super) fn sdk_key_length(length: DkimKeyLength) -> DkimSigningKeyLength {
    match length {
        DkimKeyLength::Rsa1024 => DkimSigningKeyLength::Rsa1024Bit,
        DkimKeyLength::Rsa2048 => DkimSigningKeyLength::Rsa2048Bit,
    }
}

pub(super) fn identity(output: &GetEmailIdentityOutput) -> Identity {
    Identity {
        verification: output.verification_status().map(|s| SesStatus::parse(s.as_str())),
        verified_for_sending: output.verified_for_sending_status(),
        dkim: dkim(output.dkim_attributes()),
        mail_from: output.mail_from_attributes().and_then(mail_from),
        configuration_set: output.configuration_set_name().filter(|n| !n.is_empty()).map(str::to_owned),
        tags: output.tags().iter().map(|t| (t.key().to_owned(), t.value().to_owned())).collect(),
        error: output.verification_info().and_then(|i| i.error_type()).map(|e| e.as_str().to_owned()),
        zone_seen: output.verification_info().and_then(|i| i.soa_record()).and_then(zone_seen),
        succeeded_once: output.verification_info().is_some_and(|i| i.last_success_timestamp().is_some()),
    }
}

fn zone_seen(soa: &SoaRecord) -> Option<ZoneSeen> {
    let primary = soa.primary_name_server().filter(|name| !name.is_empty())?;
    Some(ZoneSeen { primary: DnsName::new(primary), serial: u32::try_from(soa.serial_number()).ok()? })
}

pub(super) fn dkim(attributes: Option<&DkimAttributes>) -> Dkim {
    let Some(attributes) = attributes else {
        return Dkim {
            status: SesStatus::NotStarted,
            signing_enabled: false,
            tokens: Vec::new(),
            hosted_zone: None,
            origin: None,
            key_length: None,
            next_key_length: None,
        };
    };
    // SES promises no order, and what follows from the tokens must not depend on one.
    let mut tokens: Vec<String> = attributes.tokens().iter().take(MAX_TOKENS).map(|t| printable(t, 63)).collect();
    tokens.sort();
    Dkim {
        status: attributes.status().map_or(SesStatus::NotStarted, |s| SesStatus::parse(s.as_str())),
        signing_enabled: attributes.signing_enabled(),
        tokens,
        hosted_zone: attributes.signing_hosted_zone().filter(|z| !z.is_empty()).map(str::to_owned),
        origin: attributes.signing_attributes_origin().map(|o| o.as_str().to_owned()),
        key_length: attributes.current_signing_key_length().and_then(key_length),
        next_key_length: attributes.next_signing_key_length().and_then(key_length),
    }
}

fn key_length(length: &DkimSigningKeyLength) -> Option<DkimKeyLength> {
    match length {
        DkimSigningKeyLength::Rsa1024Bit => Some(DkimKeyLength::Rsa1024),
        DkimSigningKeyLength::Rsa2048Bit => Some(DkimKeyLength::Rsa2048),
        _ => None,
    }
}

/// Without a MAIL FROM domain SES still answers the attributes, with the behaviour alone.
fn mail_from(attributes: &MailFromAttributes) -> Option<MailFrom> {
    let domain = attributes.mail_from_domain().trim_end_matches('.');
    (!domain.is_empty()).then(|| MailFrom {
        domain: domain.to_owned(),
        status: SesStatus::parse(attributes.mail_from_domain_status().as_str()),
        on_mx_failure: match attributes.behavior_on_mx_failure() {
            BehaviorOnMxFailure::RejectMessage => OnMxFailure::RejectMessage,
            _ => OnMxFailure::UseDefaultValue,
        },
    })
}
