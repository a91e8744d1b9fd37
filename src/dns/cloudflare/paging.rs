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

/// The pages read so far.
#[derive(Debug)]
pub(super) struct Pages<T> {
    filtered: bool,
    ids: HashSet<String>,
    items: Vec<T>,
    total: Option<u64>,
    read: u64,
}

impl<T> Pages<T> {
    /// Pages of a list that was asked for with a filter, or without.
    pub(super) fn new(filtered: bool) -> Self {
        Self { filtered, ids: HashSet::new(), items: Vec::new(), total: None, read: 0 }
    }

    /// What was kept of all pages.
    pub(super) fn into_items(self) -> Vec<T> {
        self.items
    }

    /// Takes a page: the id of every item on it, with the item itself where it is of interest.
    ///
    /// The size of a page is the server's choice, whatever was asked for, so a short page ends nothing: the list ends
    /// with the page that the server calls the last, with as many items as it counts, or with an empty page. Not seen
    /// is only a list that loses an item of an earlier page and gains another one between two requests.
    pub(super) fn add(&mut self, page: Vec<(String, Option<T>)>, info: ResultInfo) -> Step {
        let (size, before) = (page.len(), self.ids.len());
        for (id, item) in page {
            if self.ids.insert(id) {
                self.items.extend(item);
            }
        }
        self.read += 1;
        let fresh = self.ids.len() - before;
        let counts_differ = self.total.zip(info.total_count).is_some_and(|(first, now)| first != now);
        self.total = self.total.or(info.total_count);
        if counts_differ || (0 < fresh && fresh < size) {
            return Step::Changed;
        }
        let last = info.total_pages.map_or(self.has_all(), |pages| self.read >= pages);
        if last || size == 0 {
            return if self.lacks_some() { Step::Changed } else { Step::Done };
        }
        if fresh == 0 || self.read >= MAX_PAGES { Step::Stuck } else { Step::Next(self.read + 1) }
    }

    /// True if the server counts no more items than were read.
    fn has_all(&self) -> bool {
        self.total.is_some_and(|total| self.ids.len() as u64 >= total)
    }

    /// True if the server counts more items than it gave. With a filter that means nothing: the API reference says of
    /// the count that it is that of all results "available without any search parameters".
    fn lacks_some(&self) -> bool {
        !self.filtered && self.total.is_some() && !self.has_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: ResultInfo = ResultInfo { total_count: None, total_pages: None };

    fn info(per_page: u64, total_count: u64) -> ResultInfo {
        ResultInfo { total_count: Some(total_count), total_pages: Some(total_count.div_ceil(per_page)) }
    }

    fn page(ids: impl IntoIterator<Item = u32>) -> Vec<(String, Option<u32>)> {
        ids.into_iter().map(|id| (id.to_string(), Some(id))).collect()
    }

    #[test]
    fn one_page_and_no_page() {
        for filtered in [false, true] {
            assert_eq!(Pages::new(filtered).add(page(0..3), info(1000, 3)), Step::Done);
            assert_eq!(Pages::new(filtered).add(page([]), info(1000, 0)), Step::Done);
            assert_eq!(Pages::new(filtered).add(page([]), NOTHING), Step::Done);
        }
    }

    #[test]
    fn a_server_that_caps_the_page_size_is_followed() {
        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..100), info(100, 250)), Step::Next(2));
        assert_eq!(pages.add(page(100..200), info(100, 250)), Step::Next(3));
        assert_eq!(pages.add(page(200..250), info(100, 250)), Step::Done);
        assert_eq!(pages.into_items(), (0..250).collect::<Vec<_>>());
    }

    #[test]
    fn every_field_of_the_paging_information_is_optional() {
        let only_total = ResultInfo { total_count: Some(3), ..NOTHING };
        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..2), only_total), Step::Next(2));
        assert_eq!(pages.add(page(2..3), only_total), Step::Done);

        let only_pages = ResultInfo { total_pages: Some(2), ..NOTHING };
        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..2), only_pages), Step::Next(2));
        assert_eq!(pages.add(page(2..3), only_pages), Step::Done);

        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..2), NOTHING), Step::Next(2));
        assert_eq!(pages.add(page([]), NOTHING), Step::Done);
    }

    #[test]
    fn a_count_that_ignores_the_filter_ends_no_list_early_and_holds_none_up() {
        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..3), ResultInfo { total_pages: Some(1), ..info(1000, 5000) }), Step::Done);

        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..3), info(1000, 5000)), Step::Next(2));
        assert_eq!(pages.add(page([]), info(1000, 5000)), Step::Done);
    }

    #[test]
    fn a_list_that_changes_is_read_again() {
        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..100), info(100, 350)), Step::Next(2));
        assert_eq!(pages.add(page(100..200), info(100, 349)), Step::Changed, "the count differs");

        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..100), info(100, 350)), Step::Next(2));
        assert_eq!(pages.add(page(99..199), info(100, 350)), Step::Changed, "one is on two pages, one maybe on none");

        let mut pages = Pages::new(false);
        assert_eq!(pages.add(page(0..50), info(50, 60)), Step::Next(2));
        assert_eq!(pages.add(page(50..59), info(50, 60)), Step::Changed, "one is missing");

        let mut pages = Pages::new(false);
        assert_eq!(pages.add(page([]), info(50, 60)), Step::Changed, "all are missing");
    }

    #[test]
    fn a_server_that_repeats_a_page_does_not_hold_us() {
        let mut pages = Pages::new(true);
        assert_eq!(pages.add(page(0..2), NOTHING), Step::Next(2));
        assert_eq!(pages.add(page(0..2), NOTHING), Step::Stuck);

        let mut pages = Pages::new(true);
        for number in 1..MAX_PAGES {
            let number = u32::try_from(number).unwrap();
            assert_eq!(pages.add(page([number]), NOTHING), Step::Next(u64::from(number) + 1));
        }
        assert_eq!(pages.add(page([0]), NOTHING), Step::Stuck);
    }

    #[test]
    fn what_is_of_no_interest_still_counts() {
        let mut pages = Pages::new(false);
        let listed = vec![("1".to_owned(), Some(1)), ("2".to_owned(), None)];
        assert_eq!(pages.add(listed, info(1000, 2)), Step::Done);
        assert_eq!(pages.into_items(), [1]);
    }
}
