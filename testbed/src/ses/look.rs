//! What SES does when it "looks": it really resolves the records of an identity, over sockets.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde::Serialize;

use super::identity::{Identity, Origin};
use super::machine::{LookError, Verdict};
use crate::dns::query::ask;

/// The SOA record that SES saw, as in `VerificationInfo.SOARecord`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Soa {
    /// The primary name server, without the final dot.
    pub primary_name_server: String,
    /// The mailbox in its DNS form, without the final dot.
    pub admin_email: String,
    /// The serial number.
    pub serial_number: u32,
}

/// What one look has found; `None` where nothing was looked for.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) dkim: Option<Verdict>,
    pub(super) mail_from: Option<Verdict>,
    pub(super) soa: Option<Soa>,
}

/// What to look for. Taken from the identity first, because nothing is locked while DNS is asked.
#[derive(Debug, Clone)]
pub(super) struct Task {
    domain: String,
    dkim: Option<DkimTask>,
    mail_from: Option<(String, String)>,
}

#[derive(Debug, Clone)]
struct DkimTask {
    origin: Origin,
    tokens: Vec<String>,
    zone: String,
}

/// Where and how to ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) server: SocketAddr,
    pub(super) wait: Duration,
}

impl Task {
    pub(super) fn of(identity: &Identity, region: &str, zone: &str) -> Self {
        let dkim = identity.looks_for_dkim().then(|| DkimTask {
            origin: identity.dkim.origin,
            tokens: identity.dkim.tokens.clone(),
            zone: zone.to_owned(),
        });
        let exchange = format!("feedback-smtp.{region}.amazonses.com");
        let mail_from = identity.looks_for_mail_from().map(|mail_from| (mail_from.domain.clone(), exchange));
        Self { domain: identity.domain().to_owned(), dkim, mail_from }
    }

    pub(super) async fn run(&self, asker: Asker) -> Findings {
        let (dkim, mail_from, soa) =
            futures::join!(self.look_for_dkim(asker), self.look_for_mail_from(asker), asker.soa(&self.domain));
        Findings { dkim, mail_from, soa }
    }

    async fn look_for_dkim(&self, asker: Asker) -> Option<Verdict> {
        let task = self.dkim.as_ref()?;
        let verdicts = join_all(task.tokens.iter().map(|token| async move {
            let name = format!("{token}._domainkey.{}", self.domain);
            match task.origin {
                Origin::Ses => asker.cname(&name, &format!("{token}.{}", task.zone)).await,
                Origin::External => asker.public_key(&name).await,
            }
        }));
        Some(Verdict::of_all(&verdicts.await))
    }

    async fn look_for_mail_from(&self, asker: Asker) -> Option<Verdict> {
        let (name, exchange) = self.mail_from.as_ref()?;
        Some(asker.only_mx(name, exchange).await)
    }
}

impl Asker {
    async fn cname(self, name: &str, target: &str) -> Verdict {
        let found = self.records(name, RecordType::CNAME).await;
        judged(found, |data| {
            let right = |data: &RData| matches!(data, RData::CNAME(found) if is_name(found, target));
            if data.iter().all(right) { Verdict::Right } else { Verdict::Wrong(LookError::InvalidValue) }
        })
    }

    /// SES has the private key; that there is some public key is as near as a look without it gets.
    async fn public_key(self, name: &str) -> Verdict {
        let found = self.records(name, RecordType::TXT).await;
        judged(found, |data| {
            let right =
                |data: &RData| matches!(data, RData::TXT(txt) if txt.txt_data.concat().windows(2).any(|w| w == b"p="));
            if data.iter().any(right) { Verdict::Right } else { Verdict::Wrong(LookError::InvalidValue) }
        })
    }

    /// SES judges a MAIL FROM domain by its MX alone, and it must be the only one.
    async fn only_mx(self, name: &str, exchange: &str) -> Verdict {
        let found = self.records(name, RecordType::MX).await;
        judged(found, |data| match data {
            [RData::MX(mx)] if is_name(&mx.exchange, exchange) => Verdict::Right,
            [_] => Verdict::Wrong(LookError::InvalidValue),
            _ => Verdict::Hopeless(LookError::InvalidValue),
        })
    }

    async fn soa(self, domain: &str) -> Option<Soa> {
        let answer = ask(self.server, &fqdn(domain)?, RecordType::SOA, self.wait).await?;
        answer.answers.iter().chain(&answer.authorities).find_map(|record| match &record.data {
            RData::SOA(soa) => Some(Soa {
                primary_name_server: plain(&soa.mname),
                admin_email: plain(&soa.rname),
                serial_number: soa.serial,
            }),
            _ => None,
        })
    }

    /// The records of one type at a name, at least one; aliases on the way are the server's business.
    async fn records(self, name: &str, kind: RecordType) -> Result<Vec<RData>, Verdict> {
        let name = fqdn(name).ok_or(Verdict::Wrong(LookError::HostNotFound))?;
        let answer = ask(self.server, &name, kind, self.wait).await;
        let answer = answer.ok_or(Verdict::Unknown(LookError::DnsServerError))?;
        records_in(answer, kind)
    }
}

fn records_in(answer: Message, kind: RecordType) -> Result<Vec<RData>, Verdict> {
    match answer.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Err(Verdict::Wrong(LookError::HostNotFound)),
        _ => return Err(Verdict::Unknown(LookError::DnsServerError)),
    }
    let data: Vec<RData> =
        answer.answers.into_iter().map(|record| record.data).filter(|data| data.record_type() == kind).collect();
    if data.is_empty() { Err(Verdict::Wrong(LookError::TypeNotFound)) } else { Ok(data) }
}

fn judged(found: Result<Vec<RData>, Verdict>, judge: impl Fn(&[RData]) -> Verdict) -> Verdict {
    found.map_or_else(|verdict| verdict, |data| judge(&data))
}

fn fqdn(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn is_name(found: &Name, expected: &str) -> bool {
    plain(found).eq_ignore_ascii_case(expected.trim_end_matches('.'))
}

fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_owned()
}
