//! DNS from here; the operator sits in the cluster and may see more or less.

use std::collections::BTreeSet;

use sending_domain_operator::api::v1alpha1::SendingDomain;
use sending_domain_operator::dns::lookup::{Answer, Lookup, Resolver, Source};
use sending_domain_operator::dns::record::{DnsName, RecordType};

use super::Finding;
use crate::args::{DnsArgs, DnsCheck};
use crate::check::resolver;

/// A domain that is always there, for a namespace without any.
const ALWAYS_THERE: &str = "amazonses.com";
/// So many domains are tried: what keeps one from being asked mostly keeps all.
const DOMAINS: usize = 3;
const NO_WAY_OUT: &str = "allow UDP and TCP port 53 to the resolvers, or give others by --dns-resolvers, by DNS over HTTPS too (the \
                          operator has the same flag)";

pub async fn look(objects: &[SendingDomain], args: &DnsArgs) -> Vec<Finding> {
    let resolver = match resolver(args) {
        Ok(resolver) => resolver,
        Err(error) => return vec![Finding::fail(error.to_string(), "give a resolver by --dns-resolvers")],
    };
    let named: BTreeSet<&str> = objects.iter().map(|object| object.spec.domain.as_str()).collect();
    let domains: Vec<&str> =
        if named.is_empty() { vec![ALWAYS_THERE] } else { named.into_iter().take(DOMAINS).collect() };
    let mut findings = Vec::new();
    for domain in domains {
        let domain = DnsName::new(domain);
        findings.push(resolvers(&resolver, &domain).await);
        if args.dns_check == DnsCheck::Authoritative {
            findings.push(name_servers(&resolver, &domain).await);
        }
    }
    findings
}

async fn resolvers(resolver: &Resolver, domain: &DnsName) -> Finding {
    let Lookup { answer, .. } = resolver.ask_recursive(domain, RecordType::Txt).await;
    match answer {
        Answer::Unknown(error) => Finding::fail(format!("resolvers do not answer for {domain}: {error}"), NO_WAY_OUT),
        _ => Finding::ok(format!("resolvers answer for {domain}")),
    }
}

async fn name_servers(resolver: &Resolver, domain: &DnsName) -> Finding {
    if let Err(error) = resolver.name_servers(domain).await {
        return Finding::warn(
            format!("the name servers of {domain} cannot be found: {error}"),
            "register the domain, or delegate it to its DNS provider; until then nobody can see its records",
        );
    }
    let lookup = resolver.ask(domain, RecordType::Txt).await;
    match (&lookup.answer, lookup.source) {
        (Answer::Unknown(error), _) => Finding::fail(
            format!("nobody answers for {domain}: {error}"),
            "look at the delegation of the domain and at its name servers",
        ),
        (_, Source::Authoritative) => Finding::ok(format!("the name servers of {domain} answer themselves")),
        (_, Source::Recursive) => Finding::warn(
            format!("the name servers of {domain} cannot be reached from here; resolvers were asked instead"),
            "allow UDP and TCP port 53 to the outside, so that new records are seen at once and not after minutes",
        ),
    }
}
