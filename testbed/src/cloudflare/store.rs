//! Changes to the records of a zone, alone or as one transaction.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, Result};
use super::model::{Draft, Record, Zone, new_id};
use super::validate::{Input, TXT_SUM};

/// The body of a batch. Null is as good as nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Batch {
    deletes: Option<Vec<Value>>,
    patches: Option<Vec<Value>>,
    puts: Option<Vec<Value>>,
    posts: Option<Vec<Value>>,
}

impl Zone {
    pub(super) fn record(&self, id: &str) -> Result<&Record> {
        let found = self.records.iter().find(|record| record.id == id);
        found.ok_or_else(ApiError::no_record)
    }

    pub(super) fn post(&mut self, input: Input) -> Result<Value> {
        let draft = input.whole(&self.name, self.plan)?;
        if self.records.len() >= self.quota() {
            return Err(ApiError::quota());
        }
        self.check_neighbours(&draft, None)?;
        let now = Timestamp::now();
        let record = Record {
            id: new_id(),
            comment_modified: draft.comment.as_ref().map(|_| now),
            draft,
            created: now,
            modified: now,
        };
        let answer = record.to_json();
        self.records.push(record);
        Ok(answer)
    }

    pub(super) fn put(&mut self, id: &str, input: Input) -> Result<Value> {
        self.record(id)?;
        let draft = input.whole(&self.name, self.plan)?;
        self.replace(id, draft)
    }

    pub(super) fn patch(&mut self, id: &str, input: Input) -> Result<Value> {
        let old = self.record(id)?.draft.clone();
        let draft = input.over(old, &self.name, self.plan)?;
        self.replace(id, draft)
    }

    fn replace(&mut self, id: &str, draft: Draft) -> Result<Value> {
        self.check_neighbours(&draft, Some(id))?;
        let found = self.records.iter_mut().find(|record| record.id == id);
        let record = found.ok_or_else(ApiError::no_record)?;
        let now = Timestamp::now();
        if record.draft.comment != draft.comment {
            record.comment_modified = draft.comment.as_ref().map(|_| now);
        }
        record.draft = draft;
        record.modified = now;
        Ok(record.to_json())
    }

    pub(super) fn delete(&mut self, id: &str) -> Result<Value> {
        let position = self.records.iter().position(|record| record.id == id);
        let position = position.ok_or_else(ApiError::no_record)?;
        Ok(self.records.remove(position).to_json())
    }

    /// All or nothing, in the documented order; only the first error is told.
    pub(super) fn batch(&mut self, batch: Batch) -> Result<Value> {
        let before = self.records.clone();
        let done = self.run_batch(batch);
        if done.is_err() {
            self.records = before;
        }
        done
    }

    fn run_batch(&mut self, batch: Batch) -> Result<Value> {
        let [deletes, patches, puts, posts] =
            [batch.deletes, batch.patches, batch.puts, batch.posts].map(Option::unwrap_or_default);
        let limit = self.plan.batch_limit();
        if deletes.len() + patches.len() + puts.len() + posts.len() > limit {
            let message = format!("A batch must not have more than {limit} operations.");
            return Err(ApiError::invalid(message));
        }
        let each = |operations: Vec<Value>, run: &mut dyn FnMut(Input) -> Result<Value>| {
            let parsed = operations.into_iter().map(Input::parse);
            parsed.map(|input| input.and_then(&mut *run)).collect::<Result<Vec<_>>>()
        };
        let id = |input: &Input| input.id.clone().ok_or_else(ApiError::body);
        Ok(json!({
            "deletes": each(deletes, &mut |input| self.delete(&id(&input)?))?,
            "patches": each(patches, &mut |input| self.patch(&id(&input)?, input))?,
            "puts": each(puts, &mut |input| self.put(&id(&input)?, input))?,
            "posts": each(posts, &mut |input| self.post(input))?,
        }))
    }

    /// What the other records of the zone forbid.
    fn check_neighbours(&self, draft: &Draft, own_id: Option<&str>) -> Result<()> {
        let others = || {
            self.records
                .iter()
                .filter(|other| Some(other.id.as_str()) != own_id && other.draft.name == draft.name)
                .map(|other| &other.draft)
        };
        let any = |types: &[&str]| others().any(|other| types.contains(&other.rtype.as_str()));
        if let Some(twin) = others().find(|other| same_data(other, draft)) {
            let identical = (twin.ttl, twin.proxied, &twin.comment) == (draft.ttl, draft.proxied, &draft.comment);
            return Err(if identical { ApiError::identical() } else { ApiError::exists() });
        }
        match draft.rtype.as_str() {
            "CNAME" if any(&["A", "AAAA", "CNAME"]) => return Err(ApiError::host_taken()),
            "A" | "AAAA" if any(&["CNAME"]) => return Err(ApiError::cname_taken()),
            "A" | "AAAA" | "CNAME" if draft.name != self.name && any(&["NS"]) => return Err(ApiError::delegated()),
            "NS" if draft.name != self.name && any(&["A", "AAAA", "CNAME"]) => return Err(ApiError::host_taken()),
            _ => {}
        }
        let text = |other: &&Draft| other.rtype == "TXT";
        let sum: usize = others().filter(text).map(|other| other.content.len()).sum();
        if draft.rtype == "TXT" && sum + draft.content.len() > TXT_SUM {
            let message = format!("TXT records of one name must not exceed {TXT_SUM} characters together.");
            return Err(ApiError::invalid(message));
        }
        Ok(())
    }
}

fn same_data(one: &Draft, other: &Draft) -> bool {
    let key = |draft: &Draft| {
        let content = match draft.rtype.as_str() {
            "TXT" => super::publish::text(&draft.content),
            _ => draft.content.to_lowercase(),
        };
        (draft.rtype.clone(), content, draft.priority, draft.data.clone())
    };
    key(one) == key(other)
}
