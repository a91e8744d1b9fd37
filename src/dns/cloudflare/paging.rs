//! All pages of a list, or an error: a partial list would make records look missing, and lead to writes.
//!
//! Pure: the state between pages, without the requests.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::HashSet;

use super::wire::ResultInfo;

/// More pages than any list we read can have: at the usual sizes 10,000 zones, 200,000 records.
const MAX_PAGES: u64 = 200;

/// What to do after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask for this page.
    Next(u64),
    /// That was all.
    Done,
    /// The list changed while it was read: start again.
    Changed,
    /// The server's paging does not get anywhere.
    Stuck,
}

/// The pages read so far. Items are told apart by their ids; an item that moved to a later page is kept once.
#[derive(Debug)]
pub(super) struct Pages<T> {
    ids: HashSet<String>,
    items: Vec<T>,
    total: Option<u64>,
    read: u64,
}

impl<T> Pages<T> {
    pub(super) fn new() -> Self {
        Self {
            ids: HashSet::new(),
            items: Vec::new(),
            total: None,
            read: 0,
        }
    }

    /// What was kept of all pages.
    pub(super) fn into_items(self) -> Vec<T> {
        self.items
    }

    /// Takes a page: the id of every item on it, with the item itself where it is of interest. The size of a page is
    /// the server's choice, whatever was asked for, so nothing is concluded from a page being short of what we asked.
    pub(super) fn add(&mut self, page: Vec<(String, Option<T>)>, info: ResultInfo) -> Step {
        let (size, before) = (page.len() as u64, self.ids.len());
        for (id, item) in page {
            if self.ids.insert(id) {
                self.items.extend(item);
            }
        }
        self.read += 1;
        let fresh = self.ids.len() > before;
        if self.total.is_some() && info.total_count.is_some() && self.total != info.total_count {
            return Step::Changed;
        }
        self.total = self.total.or(info.total_count);
        match self.finished(size, info) {
            Some(true) => Step::Done,
            Some(false) if size == 0 || self.last(info) => Step::Changed,
            _ if size == 0 => Step::Done,
            _ if !fresh || self.read >= MAX_PAGES => Step::Stuck,
            _ => Step::Next(self.read + 1),
        }
    }

    /// Whether everything has been read, as far as the server says so.
    fn finished(&self, size: u64, info: ResultInfo) -> Option<bool> {
        let pages = info.total_pages.map(|pages| self.read >= pages);
        match (self.total, pages) {
            (Some(total), pages) => Some(self.ids.len() as u64 >= total && pages.unwrap_or(true)),
            (None, Some(last)) => Some(last),
            (None, None) => info.per_page.filter(|&per_page| size < per_page).map(|_| true),
        }
    }

    fn last(&self, info: ResultInfo) -> bool {
        info.total_pages.is_some_and(|pages| self.read >= pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: ResultInfo = ResultInfo {
        per_page: None,
        total_count: None,
        total_pages: None,
    };

    fn info(per_page: u64, total_count: u64) -> ResultInfo {
        let total_pages = Some(total_count.div_ceil(per_page));
        ResultInfo {
            per_page: Some(per_page),
            total_count: Some(total_count),
            total_pages,
        }
    }

    fn page(ids: impl IntoIterator<Item = u32>) -> Vec<(String, Option<u32>)> {
        ids.into_iter().map(|id| (id.to_string(), Some(id))).collect()
    }

    #[test]
    fn one_page_and_no_page() {
        assert_eq!(Pages::new().add(page(0..3), info(1000, 3)), Step::Done);
        assert_eq!(Pages::new().add(page([]), info(1000, 0)), Step::Done);
        assert_eq!(Pages::new().add(page([]), NOTHING), Step::Done);
    }

    #[test]
    fn a_server_that_caps_the_page_size_is_followed() {
        let mut pages = Pages::new();
        assert_eq!(pages.add(page(0..100), info(100, 250)), Step::Next(2));
        assert_eq!(pages.add(page(100..200), info(100, 250)), Step::Next(3));
        assert_eq!(pages.add(page(200..250), info(100, 250)), Step::Done);
        assert_eq!(pages.into_items(), (0..250).collect::<Vec<_>>());
    }

    #[test]
    fn every_field_of_the_paging_information_is_optional() {
        let only_total = ResultInfo {
            total_count: Some(3),
            ..NOTHING
        };
        let mut pages = Pages::new();
        assert_eq!(pages.add(page(0..2), only_total), Step::Next(2));
        assert_eq!(pages.add(page(2..3), only_total), Step::Done);

        let only_pages = ResultInfo {
            total_pages: Some(2),
            ..NOTHING
        };
        let mut pages = Pages::new();
        assert_eq!(pages.add(page(0..2), only_pages), Step::Next(2));
        assert_eq!(pages.add(page(2..3), only_pages), Step::Done);

        let only_size = ResultInfo {
            per_page: Some(2),
            ..NOTHING
        };
        let mut pages = Pages::new();
        assert_eq!(pages.add(page(0..2), only_size), Step::Next(2));
        assert_eq!(pages.add(page(2..3), only_size), Step::Done);

        let mut pages = Pages::new();
        assert_eq!(pages.add(page(0..2), NOTHING), Step::Next(2));
        assert_eq!(pages.add(page([]), NOTHING), Step::Done);
    }

    #[test]
    fn a_list_that_changes_is_read_again() {
        let mut pages = Pages::new();
        assert_eq!(pages.add(page(0..100), info(100, 150)), Step::Next(2));
        assert_eq!(pages.add(page(100..149), info(100, 149)), Step::Changed);

        let mut pages = Pages::new();
        assert_eq!(pages.add(page(0..100), info(100, 150)), Step::Next(2));
        assert_eq!(
            pages.add(page(99..149), info(100, 150)),
            Step::Changed,
            "one is on two pages, one on none"
        );

        let mut pages = Pages::new();
        assert_eq!(
            pages.add(
                page(0..100),
                ResultInfo {
                    total_pages: None,
                    ..info(100, 150)
                }
            ),
            Step::Next(2)
        );
        assert_eq!(
            pages.add(
                page([]),
                ResultInfo {
                    total_pages: None,
                    ..info(100, 150)
                }
            ),
            Step::Changed
        );
    }

    #[test]
    fn a_server_that_repeats_a_page_does_not_hold_us() {
        let mut pages = Pages::new();
        assert_eq!(pages.add(page(0..2), NOTHING), Step::Next(2));
        assert_eq!(pages.add(page(0..2), NOTHING), Step::Stuck);

        let mut pages = Pages::new();
        for number in 1..MAX_PAGES {
            let number = u32::try_from(number).unwrap();
            assert_eq!(pages.add(page([number]), NOTHING), Step::Next(u64::from(number) + 1));
        }
        assert_eq!(pages.add(page([0]), NOTHING), Step::Stuck);
    }

    #[test]
    fn what_is_of_no_interest_still_counts() {
        let mut pages = Pages::new();
        let listed = vec![("1".to_owned(), Some(1)), ("2".to_owned(), None)];
        assert_eq!(pages.add(listed, info(1000, 2)), Step::Done);
        assert_eq!(pages.into_items(), [1]);
    }
}
