//! Filters, order and pages of lists.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::{ApiError, Result};
use super::model::{Draft, Zone};

/// The parameters of a query string.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(BTreeMap<String, String>);

/// A page of a list, with what `result_info` says of it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) info: Value,
}

impl Params {
    pub(super) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn number(&self, key: &str, default: usize) -> Result<usize> {
        match self.get(key) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| ApiError::invalid(format!("Invalid value for {key}."))),
        }
    }

    fn page(&self, all: Vec<Value>, sizes: std::ops::RangeInclusive<usize>, default: usize) -> Result<Page> {
        let page = self.number("page", 1)?;
        let per_page = self.number("per_page", default)?;
        if page == 0 || !sizes.contains(&per_page) {
            let message = format!("page must be positive, per_page between {} and {}.", sizes.start(), sizes.end());
            return Err(ApiError::invalid(message));
        }
        let total = all.len();
        let items: Vec<Value> = all.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
        let info = json!({
            "page": page,
            "per_page": per_page,
            "count": items.len(),
            "total_count": total,
            "total_pages": total.div_ceil(per_page),
        });
        Ok(Page { items, info })
    }

    fn any(&self) -> bool {
        self.get("match") == Some("any")
    }

    fn combine(&self, verdicts: &[Option<bool>]) -> bool {
        let mut asked = verdicts.iter().flatten().peekable();
        if asked.peek().is_none() {
            return true;
        }
        if self.any() { asked.any(|v| *v) } else { asked.all(|v| *v) }
    }

    /// `key` and `key.exact`, `.contains`, `.startswith`, `.endswith`: case does not count.
    fn text(&self, key: &str, value: &str) -> Vec<Option<bool>> {
        let value = value.to_lowercase();
        let test = |key: String, test: fn(&str, &str) -> bool| {
            self.get(&key).map(|wanted| test(&value, &wanted.to_lowercase()))
        };
        let equal: fn(&str, &str) -> bool = |value, wanted| value == wanted;
        vec![
            test(key.to_owned(), equal),
            test(format!("{key}.exact"), equal),
            test(format!("{key}.contains"), |value, wanted| value.contains(wanted)),
            test(format!("{key}.startswith"), |value, wanted| value.starts_with(wanted)),
            test(format!("{key}.endswith"), |value, wanted| value.ends_with(wanted)),
        ]
    }

    /// A page of the records of a zone.
    pub(super) fn records(&self, zone: &Zone) -> Result<Page> {
        let mut found: Vec<_> = zone.records.iter().filter(|record| self.fits_record(&record.draft)).collect();
        match self.get("order") {
            Some("type") => found.sort_by(|a, b| a.draft.rtype.cmp(&b.draft.rtype)),
            Some("name") => found.sort_by(|a, b| a.draft.name.cmp(&b.draft.name)),
            Some("content") => found.sort_by(|a, b| a.draft.content.cmp(&b.draft.content)),
            Some("ttl") => found.sort_by_key(|record| record.draft.ttl),
            Some("proxied") => found.sort_by_key(|record| record.draft.proxied),
            _ => {}
        }
        if self.get("direction") == Some("desc") {
            found.reverse();
        }
        let all = found.into_iter().map(super::model::Record::to_json).collect();
        self.page(all, 1..=50_000, 100)
    }

    fn fits_record(&self, draft: &Draft) -> bool {
        let comment = draft.comment.as_deref().unwrap_or_default();
        let mut verdicts = self.text("name", &draft.name);
        verdicts.extend(self.text("content", &draft.content));
        verdicts.extend(self.text("comment", comment));
        verdicts.push(self.get("comment.absent").map(|_| comment.is_empty()));
        verdicts.push(self.get("comment.present").map(|_| !comment.is_empty()));
        verdicts.push(self.get("type").map(|wanted| draft.rtype.eq_ignore_ascii_case(wanted)));
        verdicts.push(self.get("proxied").map(|wanted| draft.proxied.to_string() == wanted));
        let search = self.get("search").is_none_or(|wanted| {
            let everything = format!("{} {} {comment}", draft.name, draft.content).to_lowercase();
            everything.contains(&wanted.to_lowercase())
        });
        search && self.combine(&verdicts)
    }

    /// A page of these zones.
    pub(super) fn zones<'a>(&self, zones: impl Iterator<Item = &'a Zone>) -> Result<Page> {
        let mut found: Vec<_> = zones.filter(|zone| self.fits_zone(zone)).collect();
        if self.get("order") == Some("name") {
            found.sort_by(|a, b| a.name.cmp(&b.name));
        }
        if self.get("direction") == Some("desc") {
            found.reverse();
        }
        self.page(found.into_iter().map(Zone::to_json).collect(), 5..=50, 20)
    }

    fn fits_zone(&self, zone: &Zone) -> bool {
        self.combine(&[
            self.get("name").map(|wanted| zone_name_fits(&zone.name, wanted)),
            self.get("status").map(|wanted| zone.status_name() == wanted),
            self.get("account.id").map(|wanted| zone.account == wanted),
        ])
    }
}

/// `name=value` or `name=operator:value`.
fn zone_name_fits(name: &str, wanted: &str) -> bool {
    let (operator, value) = wanted.split_once(':').unwrap_or(("equal", wanted));
    let value = value.to_lowercase();
    match operator {
        "equal" => name == value,
        "not_equal" => name != value,
        "starts_with" | "starts_with_case_sensitive" => name.starts_with(&value),
        "ends_with" | "ends_with_case_sensitive" => name.ends_with(&value),
        "contains" | "contains_case_sensitive" => name.contains(&value),
        _ => false,
    }
}
