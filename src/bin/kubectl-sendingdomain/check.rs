//! `check`: a look at DNS from here, with causes.

use std::io::IsTerminal;

use k8s_openapi::jiff::Timestamp;
use sending_domain_operator::api::v1alpha1::{RecordState, RecordStatus, SendingDomain, SendingDomainSpec};
use sending_domain_operator::dns::lookup::{Resolver, Settings};
use sending_domain_operator::dns::record::{DnsName, RecordData, WantedRecord};
use sending_domain_operator::observe::check::check;
use sending_domain_operator::plan::desired::wanted_records;
use sending_domain_operator::ses::identity::{DKIM_TOKENS, Dkim, Identity, SesStatus};
use serde_json::json;

use crate::args::{Access, CheckArgs, CheckFormat, DnsArgs};
use crate::cluster::Cluster;
use crate::exit::{Exit, Failure};
use crate::records::{json, table, yaml};
use crate::row::{Owner, Row, is_complete, rows, why_none};
use crate::screen::{self, Paint};

pub async fn run(access: &Access, args: &CheckArgs) -> Result<Exit, Failure> {
    let mut still_to_come = None;
    let (owner, wanted) = match (&args.name, &args.domain) {
        (Some(name), _) => {
            let object = Cluster::of(access).await?.get(name).await?;
            let known = of_object(&object)?;
            still_to_come = (!is_complete(known.1.iter().map(|record| record.purpose))).then(|| why_none(&object));
            known
        }
        (None, Some(domain)) => of_arguments(domain, args)?,
        (None, None) => return Err(Failure::usage("give a SendingDomain, or --domain and --tokens")),
    };
    let resolver = resolver(&args.dns)?;
    if std::io::stderr().is_terminal() {
        eprintln!("Looking up {} records of {}…", wanted.len(), owner.domain);
    }
    let statuses = check(&resolver, &DnsName::new(&owner.domain), &wanted, Timestamp::now()).await;
    let rows = rows(&owner, &statuses);
    let text = match args.output {
        CheckFormat::Table => table(&rows, Paint::for_stdout()),
        CheckFormat::Json => json(&rows)?,
        CheckFormat::Yaml => yaml(&rows)?,
    };
    screen::emit(&text)?;
    if let Some(why) = &still_to_come {
        eprintln!("Not all records of {} are known, and those were not looked for: {why}", owner.object);
    }
    Ok(verdict(&rows, still_to_come.is_some()))
}

/// A resolver that asks as the flags say.
pub fn resolver(args: &DnsArgs) -> Result<Resolver, Failure> {
    let settings = Settings {
        mode: args.dns_check.into(),
        resolvers: args.dns_resolvers.clone(),
        authoritative_port: args.dns_authoritative_port.get(),
        allow_private_nameservers: args.dns_allow_private_nameservers,
        ..Settings::default()
    };
    Resolver::new(settings).map_err(|error| Failure::new(error.to_string()))
}

/// The worst state among the required records; those that nobody knows yet count as not looked up.
fn verdict(rows: &[Row], some_are_unknown: bool) -> Exit {
    let any = |state| rows.iter().any(|row| row.required && row.state == state);
    if any(RecordState::Incorrect) {
        Exit::Incorrect
    } else if any(RecordState::Missing) {
        Exit::Missing
    } else if any(RecordState::Unknown) || some_are_unknown {
        Exit::Unknown
    } else {
        Exit::Ok
    }
}

/// The records that the operator wants, as status lists them.
fn of_object(object: &SendingDomain) -> Result<(Owner, Vec<WantedRecord>), Failure> {
    let owner = Owner::of(object, None);
    let records = object.status.as_ref().map(|status| status.records.as_slice()).unwrap_or_default();
    let wanted: Vec<WantedRecord> = records.iter().filter_map(wanted).collect();
    if wanted.is_empty() {
        return Err(Failure::new(format!(
            "There are no records of {} to look for yet: {}",
            owner.object,
            why_none(object)
        )));
    }
    Ok((owner, wanted))
}

/// `None` for a type that this version does not know.
fn wanted(status: &RecordStatus) -> Option<WantedRecord> {
    let data = match status.record_type.as_str() {
        "CNAME" => RecordData::Cname(DnsName::new(&status.value)),
        "MX" => RecordData::Mx {
            priority: status.priority.and_then(|priority| u16::try_from(priority).ok()).unwrap_or(10),
            host: DnsName::new(&status.value),
        },
        "TXT" => RecordData::Txt(status.value.clone()),
        _ => return None,
    };
    Some(WantedRecord { purpose: status.purpose, name: DnsName::new(&status.name), data, required: status.required })
}

fn of_arguments(domain: &str, args: &CheckArgs) -> Result<(Owner, Vec<WantedRecord>), Failure> {
    if args.tokens.len() != DKIM_TOKENS {
        return Err(Failure::usage(format!("--tokens: SES gives {DKIM_TOKENS} tokens, not {}", args.tokens.len())));
    }
    let region = region(args)?;
    let spec: SendingDomainSpec = serde_json::from_value(
        json!({"domain": domain, "mailFrom": {"subdomain": args.mail_from.as_deref().unwrap_or("bounce")}}),
    )
    .map_err(|error| Failure::usage(error.to_string()))?;
    let identity = Identity {
        verification: None,
        verified_for_sending: false,
        dkim: Dkim {
            status: SesStatus::NotStarted,
            signing_enabled: true,
            tokens: args.tokens.clone(),
            hosted_zone: args.dkim_zone.clone(),
            origin: None,
            key_length: None,
            next_key_length: None,
        },
        mail_from: None,
        configuration_set: None,
        tags: std::collections::BTreeMap::new(),
        error: None,
        zone_seen: None,
        succeeded_once: false,
    };
    let owner = Owner { domain: domain.to_owned(), ..Owner::default() };
    Ok((owner, wanted_records(&spec, &identity, &region)))
}

fn region(args: &CheckArgs) -> Result<String, Failure> {
    let named = || std::env::var("AWS_REGION").ok().filter(|region| !region.is_empty());
    let region = args.region.clone().or_else(named).unwrap_or_else(|| "us-east-1".to_owned());
    sending_domain_operator::cli::region(&region).map_err(|error| Failure::usage(format!("AWS_REGION {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::samples;

    #[test]
    fn the_exit_code_is_that_of_the_worst_required_record() {
        let mut rows = samples::mail();
        let verdict = |rows: &[Row]| super::verdict(rows, false);
        assert_eq!(verdict(&rows), Exit::Incorrect);
        rows.retain(|row| row.state != RecordState::Incorrect);
        assert_eq!(verdict(&rows), Exit::Missing);
        rows.retain(|row| row.state != RecordState::Missing || !row.required);
        assert_eq!(verdict(&rows), Exit::Unknown);
        rows.retain(|row| row.state != RecordState::Unknown);
        assert!(rows.iter().any(|row| row.state == RecordState::Missing), "the optional one does not count");
        assert_eq!(verdict(&rows), Exit::Ok);
    }

    #[test]
    fn records_that_nobody_knows_yet_are_not_found() {
        let mut rows = samples::mail();
        rows.retain(|row| row.purpose == "DKIM" && row.state == RecordState::Found);
        assert_eq!((verdict(&rows, false), verdict(&rows, true)), (Exit::Ok, Exit::Unknown));
        rows.extend(samples::mail().into_iter().filter(|row| row.purpose == "BounceMX"));
        assert_eq!(verdict(&rows, true), Exit::Missing, "what is known tells more");

        let mut object: SendingDomain = serde_json::from_value(json!({
            "apiVersion": "sendingdomain.dev/v1alpha1", "kind": "SendingDomain",
            "metadata": {"name": "x"}, "spec": {"domain": "mail.example.com"},
        }))
        .unwrap();
        let none = of_object(&object).unwrap_err().to_string();
        assert!(
            none.contains("There are no records of x to look for yet: the operator has not looked at it"),
            "{none}"
        );
        let spf = json!({
            "purpose": "SPF", "type": "TXT", "name": "bounce.mail.example.com", "value": "v", "required": true, "state": "Found",
        });
        object.status = Some(serde_json::from_value(json!({ "observedGeneration": 1, "records": [spf] })).unwrap());
        let (_, wanted) = of_object(&object).unwrap();
        assert_eq!(wanted.len(), 1);
    }
}
