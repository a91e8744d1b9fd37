//! A plan as a person reads it: in logs, with `--dry-run`, and in the snapshot tests.

use std::fmt;

use super::{Action, Plan};
use crate::dns::cloudflare::{Change, NewRecord};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.actions.is_empty() && self.blockers.is_empty() {
            return writeln!(f, "nothing to do");
        }
        for action in &self.actions {
            writeln!(f, "{action}")?;
            if let Action::WriteRecords { changes, .. } = action {
                changes.iter().try_for_each(|change| write!(f, "{}", Line(change)))?;
            }
        }
        for blocker in &self.blockers {
            writeln!(f, "blocked: {} {}: {}", blocker.condition.as_str(), blocker.reason, blocker.message)?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateIdentity(_) => write!(f, "create the SES identity"),
            Self::AdoptIdentity { .. } => write!(f, "adopt the SES identity"),
            Self::TagIdentity { tags } => write!(f, "set the tags {}", list(tags.keys())),
            Self::UntagIdentity { keys } => write!(f, "take away the tags {}", list(keys)),
            Self::SetConfigurationSet { name: Some(name) } => write!(f, "set the configuration set {name}"),
            Self::SetConfigurationSet { name: None } => write!(f, "take away the configuration set"),
            Self::ChangeKeyLength { length } => write!(f, "have SES make {} DKIM keys", length.as_str()),
            Self::EnableSigning => write!(f, "switch DKIM signing on"),
            Self::RestartDkim => write!(f, "have SES look for the DKIM records again"),
            Self::SetMailFrom { domain, .. } => write!(f, "set the MAIL FROM domain to {domain}"),
            Self::DeleteIdentity => write!(f, "delete the SES identity"),
            Self::HandOver(content) => write!(f, "hand {} records to ExternalDNS", content.endpoints.len()),
            Self::RemoveEndpoint { .. } => write!(f, "delete the DNSEndpoint"),
            Self::KeepEndpoint(_) => write!(f, "have the DNSEndpoint outlive the object"),
            Self::RemoveRecords { zone_name, changes, .. } => {
                let records = if changes.len() == 1 { "record" } else { "records" };
                write!(f, "remove {} {records} from the zone {zone_name}, which the spec has left", changes.len())
            }
            Self::WriteRecords { zone_name, changes, .. } => {
                let records = if changes.len() == 1 { "record" } else { "records" };
                if changes.iter().all(|c| matches!(c, Change::Delete { .. })) {
                    return write!(f, "remove {} {records} from the zone {zone_name}", changes.len());
                }
                write!(f, "write {} {records} to the zone {zone_name}", changes.len())
            }
        }
    }
}

fn list<'a>(keys: impl IntoIterator<Item = &'a String>) -> String {
    keys.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A change on a line of its own.
struct Line<'a>(&'a Change);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |record: &NewRecord| format!("{} {} {}", record.name, record.data.record_type(), record.data);
        match self.0 {
            Change::Create(record) => writeln!(f, "  + {}", text(record)),
            Change::Update { id, record } => writeln!(f, "  ~ {} (record {id})", text(record)),
            Change::Delete { id } => writeln!(f, "  - record {id}"),
        }
    }
}
