//! A resolver with scripted servers to ask.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use sending_domain_operator::dns::lookup::*;
use sending_domain_operator::dns::record::{DnsName, RecordData, RecordType};

use crate::scripted::*;

pub(crate) fn script(script: impl Fn(&Message, Via) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Script {
    Arc::new(script)
}

/// A server that has one TXT record.
pub(crate) fn txt_server(value: &'static str) -> Script {
    script(move |query, _| one(&with(query, vec![record(NAME, txt(value))])))
}

pub(crate) fn silent() -> Script {
    script(|_, _| vec![])
}

/// A resolver, and name servers that it knows.
pub(crate) struct World {
    pub(crate) resolver: Resolver,
    pub(crate) upstream: Scripted,
    pub(crate) servers: Vec<Scripted>,
}

impl World {
    pub(crate) async fn new(upstream: Script, servers: Vec<Script>) -> Self {
        Self::with(upstream, servers.into_iter().map(|script| (script, true)).collect(), |_| {}).await
    }

    pub(crate) async fn with(
        upstream: Script,
        servers: Vec<(Script, bool)>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let upstream = Scripted::start(upstream).await;
        let (port, servers) = start_group(servers).await;
        let mut settings = Settings {
            resolvers: vec![ResolverAddress::Socket(upstream.address)],
            authoritative_port: port,
            allow_private_nameservers: true,
            timeout: Duration::from_secs(4),
            ..Settings::default()
        };
        change(&mut settings);
        Self { resolver: Resolver::new(settings).unwrap(), upstream, servers }
    }

    pub(crate) async fn txt(&self) -> Lookup {
        self.resolver.ask(&DnsName::new(NAME), RecordType::Txt).await
    }
}

pub(crate) fn texts(texts: &[&str]) -> Answer {
    Answer::Records(texts.iter().map(|text| RecordData::Txt((*text).to_owned())).collect())
}

pub(crate) fn unknown(lookup: &Lookup) -> String {
    match &lookup.answer {
        Answer::Unknown(error) => error.to_string(),
        answer => panic!("{answer:?} is not unknown"),
    }
}
