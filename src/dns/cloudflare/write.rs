//! Writes of all objects to one zone: together in one batch as long as nothing is wrong with any of them, apart as far as
//! something is. Cloudflare carries a batch out whole or not at all and answers the first error only, without saying of
//! which change it speaks; who it is about is found by halving.

use super::client::Client;
use super::error::{Error, Kind, Operation};
use super::model::{Change, MAX_BATCH, NewRecord, ZoneId, ZoneRecord};
use super::token::ApiToken;

/// Changes that are made together or not at all: those of one name, of which one may make room for the other.
pub type Group = Vec<Change>;

/// What came of a group: the records that it wrote, as far as Cloudflare lists them.
pub type Written = Result<Vec<ZoneRecord>, Error>;

/// The groups of one caller.
pub(super) type Job = Vec<Group>;

/// A group on its way.
struct Unit {
    job: usize,
    group: Group,
    written: Option<Written>,
}

impl Client {
    /// Carries the groups out, each whole or not at all, and answers each. One that is refused keeps no other from being
    /// made. Groups of several callers for one zone and token that come at about the same time go out in one call.
    ///
    /// `may_write` is asked before each call. After [`Kind::Unavailable`] the changes may have been made all the same:
    /// look again before trying again.
    pub async fn write(
        &self,
        token: &ApiToken,
        zone: &ZoneId,
        groups: Vec<Group>,
        may_write: &(dyn Fn() -> bool + Sync),
    ) -> Vec<Written> {
        let count = groups.len();
        let key = (token.fingerprint(), zone.clone());
        let serve = |jobs| self.carry_out(token, zone, jobs, may_write);
        let done = self.writers().ride(key, groups, serve).await;
        let cut_off = || Err(Error::new(Operation::WriteRecords, Kind::Unavailable, "the call was cut off"));
        done.filter(|written| written.len() == count).unwrap_or_else(|| (0..count).map(|_| cut_off()).collect())
    }

    async fn carry_out(
        &self,
        token: &ApiToken,
        zone: &ZoneId,
        jobs: Vec<Job>,
        may_write: &(dyn Fn() -> bool + Sync),
    ) -> Vec<Vec<Written>> {
        let count = jobs.len();
        let number =
            |(job, groups): (usize, Job)| groups.into_iter().map(move |group| Unit { job, group, written: None });
        let mut units: Vec<Unit> = jobs.into_iter().enumerate().flat_map(number).collect();
        let mut left = packed(&units);
        while let Some(batch) = left.pop() {
            let changes: Vec<Change> = batch.iter().flat_map(|&i| units[i].group.iter().cloned()).collect();
            let outcome = if may_write() {
                self.batch(token, zone, &changes).await
            } else {
                Err(Error::new(Operation::WriteRecords, Kind::NotLeading, None))
            };
            match outcome {
                Ok(written) => share_out(&mut units, &batch, written),
                Err(error) if error.is_about_one_change() => left.extend(blame(&mut units, batch, &error)),
                // What is wrong with the token, the zone or the way there is wrong for all.
                Err(error) => {
                    let rest: Vec<usize> = batch.into_iter().chain(left.drain(..).flatten()).collect();
                    refuse(&mut units, &rest, &error);
                }
            }
        }
        self.take_back_unmarked(token, zone, &mut units, may_write).await;
        let mut done: Vec<Vec<Written>> = (0..count).map(|_| Vec::new()).collect();
        for unit in units {
            done[unit.job].push(unit.written.unwrap_or_else(|| Ok(Vec::new())));
        }
        done
    }

    /// A record that was stored without its comment would be nobody's: never corrected, never taken away. So one that
    /// was just created is removed by the id in the answer.
    async fn take_back_unmarked(
        &self,
        token: &ApiToken,
        zone: &ZoneId,
        units: &mut [Unit],
        may_write: &(dyn Fn() -> bool + Sync),
    ) {
        let mut created = Vec::new();
        for unit in units {
            let Some(Ok(written)) = &unit.written else { continue };
            let unmarked: Vec<&ZoneRecord> = written.iter().filter(|r| lost_its_mark(r, &unit.group)).collect();
            if unmarked.is_empty() {
                continue;
            }
            let is_new =
                |r: &&&ZoneRecord| !unit.group.iter().any(|c| matches!(c, Change::Update { id, .. } if *id == r.id));
            created.extend(unmarked.iter().filter(is_new).map(|r| Change::Delete { id: r.id.clone() }));
            unit.written = Some(Err(Error::new(Operation::WriteRecords, Kind::Unmarked, None)));
        }
        for deletes in created.chunks(MAX_BATCH) {
            let taken_back = may_write() && self.batch(token, zone, deletes).await.is_ok();
            if !taken_back {
                tracing::warn!(count = deletes.len(), %zone, "records without our mark could not be taken back");
            }
        }
    }
}

/// True if the record was to carry a comment and does not.
fn lost_its_mark(record: &ZoneRecord, group: &[Change]) -> bool {
    let meant = group.iter().filter_map(Change::record).find(|new| is_answer_to(record, new));
    meant.is_some_and(|new| !record.comment.as_deref().unwrap_or_default().contains(&new.comment))
}

fn is_answer_to(record: &ZoneRecord, new: &NewRecord) -> bool {
    record.name == new.name && record.record_type == new.data.record_type().as_str()
}

/// The units in as few batches as they fit into, the first on top.
fn packed(units: &[Unit]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for (index, unit) in units.iter().enumerate().filter(|(_, unit)| !unit.group.is_empty()) {
        let size = unit.group.len();
        match batches.last_mut() {
            Some(batch) if size <= room => {
                batch.push(index);
                room -= size;
            }
            _ => {
                batches.push(vec![index]);
                room = MAX_BATCH.saturating_sub(size);
            }
        }
    }
    batches.reverse();
    batches
}

/// What to try next after a batch was refused because of one of its changes: its halves, so that a culprit among `n` is
/// found within about `2 log n` calls. Callers are told apart first. A full zone refuses all that one caller wants to
/// create there, so that no domain is set up by half; what needs no room goes on.
fn blame(units: &mut [Unit], batch: Vec<usize>, error: &Error) -> Vec<Vec<usize>> {
    let job = |index: &usize| units[*index].job;
    let alone = batch.iter().all(|index| job(index) == job(&batch[0]));
    if alone && error.kind == Kind::QuotaExceeded {
        let (needy, other): (Vec<usize>, Vec<usize>) = batch.into_iter().partition(|&i| needs_room(&units[i].group));
        let (refused, other) = if needy.is_empty() { (other, needy) } else { (needy, other) };
        refuse(units, &refused, error);
        return if other.is_empty() { vec![] } else { vec![other] };
    }
    if batch.len() == 1 {
        refuse(units, &batch, error);
        return vec![];
    }
    let middle = batch.len() / 2;
    // The units of one caller stand together: the first border at or after the middle, else the last one before it.
    let is_border = |&at: &usize| job(&batch[at - 1]) != job(&batch[at]);
    let border = (middle..batch.len()).find(is_border).or_else(|| (1..middle).rev().find(is_border));
    let (first, second) = batch.split_at(border.unwrap_or(middle));
    vec![second.to_vec(), first.to_vec()]
}

fn needs_room(group: &[Change]) -> bool {
    group.iter().any(|change| matches!(change, Change::Create(_)))
}

fn refuse(units: &mut [Unit], batch: &[usize], error: &Error) {
    for &index in batch {
        units[index].written = Some(Err(error.clone()));
    }
}

/// Gives each unit the records that answer its changes.
fn share_out(units: &mut [Unit], batch: &[usize], mut written: Vec<ZoneRecord>) {
    for &index in batch {
        let unit = &mut units[index];
        let mut own = Vec::new();
        for new in unit.group.iter().filter_map(Change::record) {
            if let Some(position) = written.iter().position(|record| is_answer_to(record, new)) {
                own.push(written.remove(position));
            }
        }
        unit.written = Some(Ok(own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::record::{DnsName, RecordData};

    fn units(jobs: &[usize]) -> Vec<Unit> {
        let delete = || vec![Change::Delete { id: "1".to_owned() }];
        jobs.iter().map(|&job| Unit { job, group: delete(), written: None }).collect()
    }

    fn error(kind: Kind) -> Error {
        Error { status: Some(400), ..Error::new(Operation::WriteRecords, kind, None) }
    }

    #[test]
    fn callers_are_told_apart_before_their_changes() {
        let mut units = units(&[0, 0, 0, 1]);
        assert_eq!(blame(&mut units, vec![0, 1, 2, 3], &error(Kind::Invalid)), [vec![3], vec![0, 1, 2]]);
        assert_eq!(blame(&mut units, vec![0, 1, 2], &error(Kind::Invalid)), [vec![1, 2], vec![0]]);
        assert!(blame(&mut units, vec![1], &error(Kind::Invalid)).is_empty());
        assert!(units[1].written.is_some() && units[0].written.is_none());
    }

    #[test]
    fn a_full_zone_refuses_what_needs_room_and_nothing_else() {
        let mut units = units(&[0, 0, 0]);
        let data = RecordData::Txt("x".to_owned());
        let record = NewRecord { name: DnsName::new("a.example.com"), data, comment: String::new(), ttl: 1 };
        units[0].group = vec![Change::Create(record.clone())];
        units[2].group = vec![Change::Create(record)];
        assert_eq!(blame(&mut units, vec![0, 1, 2], &error(Kind::QuotaExceeded)), [vec![1]]);
        assert!(units[0].written.is_some() && units[1].written.is_none() && units[2].written.is_some());
        assert!(blame(&mut units, vec![1], &error(Kind::QuotaExceeded)).is_empty());
    }

    #[test]
    fn no_batch_is_larger_than_a_free_zone_allows() {
        let many = units(&vec![0; 2 * MAX_BATCH + 1]);
        let batches = packed(&many);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, MAX_BATCH, MAX_BATCH]);
        assert_eq!(batches.last().and_then(|b| b.first()), Some(&0));
    }
}
