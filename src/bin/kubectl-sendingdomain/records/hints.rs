//! How the forms of DNS providers want a record to be entered, in their own words.
//!
//! Sources: <https://developers.cloudflare.com/dns/manage-dns-records/how-to/create-dns-records/>,
//! <https://www.godaddy.com/help/add-a-cname-record-19236>,
//! <https://www.namecheap.com/support/knowledgebase/article.aspx/579/2237/which-record-type-option-should-i-choose-for-the-information-im-about-to-enter/>,
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-basic.html>.

/// What to know of one provider.
pub struct Hint {
    /// As people call it.
    pub provider: &'static str,
    /// The way to the form, and the names of its fields.
    pub lines: &'static [&'static str],
}

/// The providers that are known; `ZONE` stands for the zone.
pub const HINTS: [Hint; 4] = [
    Hint {
        provider: "Cloudflare",
        lines: &[
            "Open the domain ZONE, then DNS, Records, Add record.",
            "Name: the short name; the full name works too, ZONE is added only where it is missing.",
            "CNAME records: set Proxy status to DNS only (grey cloud). Proxied records cannot be verified.",
            "TXT: paste the value into Content as it is. MX: the priority has a field of its own.",
        ],
    },
    Hint {
        provider: "GoDaddy",
        lines: &[
            "Open Domain Portfolio, ZONE, DNS, Add New Record.",
            "Name: the short name only. GoDaddy adds .ZONE by itself; the full name would end up doubled.",
            "CNAME and MX: paste the value as it is. TXT: without quotes.",
            "MX: the priority has a field of its own.",
        ],
    },
    Hint {
        provider: "Namecheap",
        lines: &[
            "Open Domain List, Manage beside ZONE, Advanced DNS, Add New Record.",
            "Host: the short name only. Namecheap adds .ZONE by itself; the full name would end up doubled.",
            "MX: choose Custom MX under Mail Settings first; MX Record is not offered before. The priority has a field of its own.",
            "TXT: without quotes.",
        ],
    },
    Hint {
        provider: "Route 53",
        lines: &[
            "Open Hosted zones, ZONE, Create record, with the routing policy Simple.",
            "Record name: the short name only; .ZONE is printed beside the field.",
            "TXT: put the value into double quotes, \"like this\".",
            "MX: the priority stands before the value in the same field, as in 10 mail.example.com.",
        ],
    },
];
