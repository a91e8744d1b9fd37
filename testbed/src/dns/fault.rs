//! Answers that go wrong on purpose.

use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};

use super::{Result, value};

/// What happens to a query instead of a good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refused,
    /// No answer at all.
    Drop,
    /// The good answer, late.
    Delay(Duration),
    /// Over UDP an empty answer with TC=1; the good answer over TCP.
    Truncate,
    /// SERVFAIL to questions with RD=1 and CD=0, as a validating resolver answers when DNSSEC signatures are broken; the good
    /// answer to all others.
    Bogus,
    /// As [`Fault::Bogus`], but of each two such questions only the first fails, as a resolver may that is busy.
    Hiccup,
    /// The good answer with AA=0, as a lame server or a cache gives it.
    NotAuthoritative,
}

#[derive(Debug)]
enum Scope {
    Exact(Name),
    Below(Name),
}

#[derive(Debug)]
struct Rule {
    scope: Scope,
    rtype: Option<RecordType>,
    fault: Fault,
}

/// All faults in force.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    pub(super) fn set(&mut self, name: &str, rtype: Option<RecordType>, fault: Fault) -> Result<()> {
        let scope = match name.strip_prefix("*.") {
            Some(parent) => Scope::Below(value::name(parent)?),
            None if name == "*" => Scope::Below(Name::root()),
            None => Scope::Exact(value::name(name)?),
        };
        self.rules.push(Rule { scope, rtype, fault });
        Ok(())
    }

    pub(super) fn find(&self, name: &Name, rtype: RecordType) -> Option<Fault> {
        self.rules.iter().rev().find(|rule| rule.fits(name, rtype)).map(|rule| rule.fault)
    }
}

impl Rule {
    fn fits(&self, name: &Name, rtype: RecordType) -> bool {
        let name_fits = match &self.scope {
            Scope::Exact(exact) => exact == name,
            Scope::Below(parent) => parent.zone_of(name) && parent != name,
        };
        name_fits && self.rtype.is_none_or(|only| only == rtype)
    }
}
