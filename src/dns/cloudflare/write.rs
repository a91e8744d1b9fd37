//! Writes of all objects to one zone: together in one batch as long as nothing is wrong with any of them, apart as far as
//! something is. Cloudflare carries a batch out whole or not at all and answers the first error only, without saying of
//! which change it speaks; who it is about is found by halving.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::client::Client;
use super::error::{Error, Kind, Operation};
use super::model::{Change, MAX_BATCH, NewRecord, ZoneId, ZoneRecord};
use super::token::ApiToken;

/// Changes that are made together or not at all: those of one name, of which one may make room for the other.
pub type Group = Vec<Change>;

/// What came of a group: the records that it wrote, as far as Cloudflare lists them.
pub type Written = Result<Vec<ZoneRecord>, Error>;

/// The groups of one caller, and the token as this one uses it.
pub(super) type Job = (ApiToken, Vec<Group>);

/// Whether this process may still write.
pub type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// After so many refusals a turn ends, for each is a call: halving is for the few among many.
const MAX_REFUSALS: usize = 16;

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
        may_write: &MayWrite,
    ) -> Vec<Written> {
        let count = groups.len();
        let key = (token.fingerprint(), zone.clone());
        let (client, id, may_write) = (self.clone(), zone.clone(), Arc::clone(may_write));
        let serve = async move |jobs| client.carry_out(&id, jobs, &may_write).await;
        let done = self.writers().ride(key, (token.clone(), groups), serve).await;
        let cut_off = || Err(Error::new(Operation::WriteRecords, Kind::Unavailable, "the call was cut off"));
        done.filter(|written| written.len() == count).unwrap_or_else(|| (0..count).map(|_| cut_off()).collect())
    }

    /// Each call is made on behalf of one of the callers that it is for.
    async fn carry_out(&self, zone: &ZoneId, jobs: Vec<Job>, may_write: &MayWrite) -> Vec<Vec<Written>> {
        let (tokens, jobs): (Vec<ApiToken>, Vec<Vec<Group>>) = jobs.into_iter().unzip();
        let number = |(job, groups): (usize, Vec<Group>)| {
            groups.into_iter().map(move |group| Unit { job, group, written: None })
        };
        let mut units: Vec<Unit> = jobs.into_iter().enumerate().flat_map(number).collect();
        let mut left = packed(&units);
        let mut refusals = 0;
        while let Some(batch) = left.pop() {
            let token = &tokens[units[batch[0]].job];
            let changes: Vec<Change> = batch.iter().flat_map(|&i| units[i].group.iter().cloned()).collect();
            let outcome = if may_write() {
                self.batch(token, zone, &changes).await
            } else {
                Err(Error::new(Operation::WriteRecords, Kind::NotLeading, None))
            };
            match outcome {
                Ok(written) => share_out(&mut units, &batch, written),
                Err(error) if error.is_about_one_change() => {
                    left.extend(blame(&mut units, batch, &error));
                    refusals += 1;
                    if refusals >= MAX_REFUSALS {
                        give_up(&mut units, &mut left, &error);
                    }
                }
                Err(error) if error.is_held_back() => {
                    left.push(batch);
                    hold_back(&mut units, &mut left, &error, |job| tokens[job].asker() == token.asker());
                }
                // What is wrong with the token, the zone or the way there is wrong for all.
                Err(error) => {
                    left.push(batch);
                    refuse(&mut units, &take(&mut left, |_| true), &error);
                }
            }
        }
        if let Some(token) = tokens.first() {
            self.take_back_unmarked(token, zone, &mut units, may_write).await;
        }
        let mut done: Vec<Vec<Written>> = tokens.iter().map(|_| Vec::new()).collect();
        for unit in units {
            done[unit.job].push(unit.written.unwrap_or_else(|| Ok(Vec::new())));
        }
        done
    }

    /// A record that was stored without its comment would be nobody's: never corrected, never taken away. So one that
    /// was just created is removed by the id in the answer.
    async fn take_back_unmarked(&self, token: &ApiToken, zone: &ZoneId, units: &mut [Unit], may_write: &MayWrite) {
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

/// Ends a turn in which too much was refused. If nothing came through, and all that was tried alone failed for the same
/// reason, whoever asked for it, then so would the rest; else the rest is put off. A full zone still frees room.
fn give_up(units: &mut [Unit], left: &mut Vec<Vec<usize>>, error: &Error) {
    let tried: Vec<&Unit> = units.iter().filter(|unit| unit.written.is_some()).collect();
    let is_same = |unit: &&Unit| {
        unit.written
            .as_ref()
            .is_some_and(|w| w.as_ref().is_err_and(|e| (e.kind, &e.codes) == (error.kind, &error.codes)))
    };
    let callers = |units: &mut dyn Iterator<Item = &Unit>| units.map(|unit| unit.job).collect::<BTreeSet<_>>().len();
    let for_all = callers(&mut tried.iter().copied()) > 1 || callers(&mut units.iter()) == 1;
    let verdict = if !tried.is_empty() && tried.iter().all(is_same) && for_all {
        error.clone()
    } else {
        Error::new(Operation::WriteRecords, Kind::RateLimited, "put off, since many changes to the zone were refused")
    };
    let full = verdict.kind == Kind::QuotaExceeded;
    let rest = take(left, |&index| !full || needs_room(&units[index].group));
    refuse(units, &rest, &verdict);
}

/// It was not the turn of these callers, which says nothing of the others.
fn hold_back(units: &mut [Unit], left: &mut Vec<Vec<usize>>, error: &Error, is_held: impl Fn(usize) -> bool) {
    let held = take(left, |&index| is_held(units[index].job));
    refuse(units, &held, error);
}

/// Takes the units that `which` is true for out of the batches.
fn take(left: &mut Vec<Vec<usize>>, which: impl Fn(&usize) -> bool) -> Vec<usize> {
    let taken = left.iter().flatten().copied().filter(&which).collect();
    for batch in left.iter_mut() {
        batch.retain(|index| !which(index));
    }
    left.retain(|batch| !batch.is_empty());
    taken
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
        let record =
            NewRecord { name: DnsName::new("a.example.com"), data, comment: String::new(), ttl: 1, unflatten: false };
        units[0].group = vec![Change::Create(record.clone())];
        units[2].group = vec![Change::Create(record)];
        assert_eq!(blame(&mut units, vec![0, 1, 2], &error(Kind::QuotaExceeded)), [vec![1]]);
        assert!(units[0].written.is_some() && units[1].written.is_none() && units[2].written.is_some());
        assert!(blame(&mut units, vec![1], &error(Kind::QuotaExceeded)).is_empty());
    }

    #[test]
    fn whoever_is_held_back_holds_nobody_else_back() {
        let mut units = units(&[0, 1, 2, 0]);
        let mut left = vec![vec![3], vec![0, 1, 2]];
        let error = Error::new(Operation::WriteRecords, Kind::RateLimited, None);
        assert!(error.is_held_back() && !super::tests::error(Kind::RateLimited).is_held_back());
        hold_back(&mut units, &mut left, &error, |job| job != 1);
        assert_eq!(left, [[1]]);
        assert_eq!(units.iter().map(|unit| unit.written.is_some()).collect::<Vec<_>>(), [true, false, true, true]);
    }

    #[test]
    fn nobody_is_blamed_for_what_another_caller_did() {
        let refused = error(Kind::Invalid);
        let verdict = |jobs: &[usize], tried: &[Written]| {
            let mut units = units(jobs);
            for (unit, written) in units.iter_mut().zip(tried) {
                unit.written = Some(written.clone());
            }
            let mut left = vec![(tried.len()..jobs.len()).collect()];
            give_up(&mut units, &mut left, &refused);
            assert!(left.is_empty());
            units.pop().and_then(|unit| unit.written?.err()).map(|error| error.kind)
        };
        let bad = || Err(refused.clone());
        assert_eq!(verdict(&[0, 0, 1, 1], &[bad(), bad(), bad()]), Some(Kind::Invalid), "of two callers");
        assert_eq!(verdict(&[0, 0, 0], &[bad(), bad()]), Some(Kind::Invalid), "of the only one");
        assert_eq!(verdict(&[0, 0, 1], &[bad(), bad()]), Some(Kind::RateLimited), "of one among two");
        assert_eq!(verdict(&[0, 1, 2], &[bad(), Ok(vec![])]), Some(Kind::RateLimited), "something came through");
        let other = Err(error(Kind::RecordExists));
        assert_eq!(verdict(&[0, 1, 2], &[bad(), other]), Some(Kind::RateLimited), "for several reasons");
    }

    #[test]
    fn no_batch_is_larger_than_a_free_zone_allows() {
        let many = units(&vec![0; 2 * MAX_BATCH + 1]);
        let batches = packed(&many);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, MAX_BATCH, MAX_BATCH]);
        assert_eq!(batches.last().and_then(|b| b.first()), Some(&0));
    }
}
