//! Whose turn it is when several wait for one budget: namespaces in turn, and within one those who came first. So one
//! with a thousand domains holds another with one up for one request, not for a thousand.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::VecDeque;

/// Somebody who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Those who wait, by group `G`, the group whose turn is next first. No group is empty.
#[derive(Debug)]
pub(super) struct Turns<G> {
    groups: VecDeque<(G, VecDeque<Ticket>)>,
    issued: u64,
}

impl<G: PartialEq> Turns<G> {
    pub(super) fn new() -> Self {
        Self { groups: VecDeque::new(), issued: 0 }
    }

    /// Joins the end of the line of `group`; a group that was not waiting comes last.
    pub(super) fn join(&mut self, group: G) -> Ticket {
        self.issued += 1;
        let ticket = Ticket(self.issued);
        match self.groups.iter_mut().find(|(waiting, _)| *waiting == group) {
            Some((_, line)) => line.push_back(ticket),
            None => self.groups.push_back((group, [ticket].into())),
        }
        ticket
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|(_, line)| line.len()).sum()
    }

    /// How many have their turn before `ticket`.
    pub(super) fn before(&self, ticket: Ticket) -> usize {
        let place = |(_, line): &(G, VecDeque<Ticket>)| line.iter().position(|t| *t == ticket);
        let Some((group, depth)) = self.groups.iter().enumerate().find_map(|(i, g)| Some((i, place(g)?))) else {
            return 0;
        };
        let turns = |(i, (_, line)): (usize, &(G, VecDeque<Ticket>))| line.len().min(depth + usize::from(i < group));
        self.groups.iter().enumerate().map(turns).sum()
    }

    /// `ticket` has had its turn: the next one of its group comes after all other groups.
    pub(super) fn served(&mut self, ticket: Ticket) {
        let Some(at) = self.groups.iter().position(|(_, line)| line.contains(&ticket)) else { return };
        if let Some((group, line)) = self.groups.remove(at) {
            let line: VecDeque<Ticket> = line.into_iter().filter(|t| *t != ticket).collect();
            if !line.is_empty() {
                self.groups.push_back((group, line));
            }
        }
    }

    /// `ticket` waits no more.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.groups.iter_mut().for_each(|(_, line)| line.retain(|t| *t != ticket));
        self.groups.retain(|(_, line)| !line.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_take_turns_and_those_of_one_keep_their_order() {
        let mut turns = Turns::new();
        let crowd: Vec<Ticket> = (0..3).map(|_| turns.join("crowd")).collect();
        let quiet = turns.join("quiet");
        let order = |turns: &Turns<&str>| [crowd[0], crowd[1], crowd[2], quiet].map(|t| turns.before(t));
        assert_eq!(order(&turns), [0, 2, 3, 1]);
        turns.served(crowd[0]);
        assert_eq!(turns.before(quiet), 0);
        turns.served(quiet);
        let again = turns.join("quiet");
        assert_eq!([crowd[1], again, crowd[2]].map(|t| turns.before(t)), [0, 1, 2]);
        turns.leave(crowd[1]);
        assert_eq!([crowd[2], again].map(|t| turns.before(t)), [0, 1]);
        turns.leave(crowd[2]);
        turns.served(again);
        assert!(turns.groups.is_empty());
        assert_eq!(turns.before(quiet), 0, "who does not wait has nobody before");
    }
}
