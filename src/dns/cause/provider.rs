//! DNS providers that are known by the names of their name servers, for advice in their own words.

use crate::dns::record::DnsName;

/// A DNS provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    /// As people call it.
    pub name: &'static str,
    /// What its form calls the name of a record.
    pub field: &'static str,
}

/// Parts of name server names, each of one provider, as their own set-up guides show them.
const KNOWN: [(&str, Provider); 14] = [
    (".ns.cloudflare.com", Provider { name: "Cloudflare", field: "Name" }),
    (".awsdns-", Provider { name: "Route 53", field: "Record name" }),
    (".domaincontrol.com", Provider { name: "GoDaddy", field: "Name" }),
    (".registrar-servers.com", Provider { name: "Namecheap", field: "Host" }),
    (".googledomains.com", Provider { name: "Google Cloud DNS", field: "DNS name" }),
    (".azure-dns.", Provider { name: "Azure DNS", field: "Name" }),
    (".digitalocean.com", Provider { name: "DigitalOcean", field: "Hostname" }),
    (".gandi.net", Provider { name: "Gandi", field: "Name" }),
    (".ovh.net", Provider { name: "OVHcloud", field: "Sub-domain" }),
    (".ui-dns.", Provider { name: "IONOS", field: "Host name" }),
    (".ns.hetzner.com", Provider { name: "Hetzner", field: "Name" }),
    (".dnsimple.com", Provider { name: "DNSimple", field: "Name" }),
    (".wixdns.net", Provider { name: "Wix", field: "Host Name" }),
    (".name-services.com", Provider { name: "Enom", field: "Host Name" }),
];

/// The provider whose servers these are, if all of them are one provider's.
pub fn of<'a>(mut servers: impl Iterator<Item = &'a DnsName>) -> Option<Provider> {
    let known = |server: &DnsName| KNOWN.iter().find(|(part, _)| server.as_str().contains(part)).map(|(_, p)| *p);
    let first = known(servers.next()?)?;
    servers.all(|server| known(server) == Some(first)).then_some(first)
}
