//! The line before SES: who is served next when more is asked for than the account's rate allows.
//!
//! Who stands in it is an object, with one ticket. A few tickets at its head are *called*: their objects are woken, and the
//! passes that come take their turns one after the other. A pass that was not called does not wait; its ticket does.
//!
//! - What brings a domain its records comes first, then other writes, then reads; but every fourth turn goes to the
//!   namespace that was served longest ago, whatever for.
//! - Namespaces take turns, so that a thousand objects of one do not hold up the one of another.
//! - Of the new domains of a namespace the newest and the oldest take turns: who applies one more in the middle of a
//!   flood sees its records soon, and the flood goes on.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Who asks: an object, or nobody's (an empty namespace) for the listing that all share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a turn is for, the more urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The creation of an identity: the user sees the records after it.
    First,
    /// Any other write.
    Write,
    /// A read.
    Read,
}

/// What becomes of a pass that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is its turn.
    Go,
    /// Its turn is near. It asks again after this time, or when the line has moved.
    Soon(Duration),
    /// It is not called. It will be woken.
    Later,
}

#[derive(Clone, Debug)]
struct Ticket {
    class: Class,
    /// The number of its arrival.
    arrival: u64,
    called: Option<Call>,
    /// Whether it was asked for in the pass that is under way.
    is_wanted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    order: u64,
    at: Instant,
    is_present: bool,
}

/// How long a called one may take to come before the next is called as well.
const COMING: Duration = Duration::from_secs(3);
/// How long a call holds for one that does not come.
const LAPSE: Duration = Duration::from_mins(1);
/// How far ahead tickets are called: as many as are served in this time.
const AHEAD: Duration = Duration::from_secs(3);
/// The longest pause after refusals in a row.
const LONGEST_PAUSE: Duration = Duration::from_secs(32);

/// How many times its own pace a line may become slower.
const SLOWEST: u32 = 7;

/// The line of one account and region.
#[derive(Debug)]
pub struct Line {
    pace: Duration,
    ahead: usize,
    tickets: BTreeMap<Asker, Ticket>,
    arrivals: u64,
    calls: u64,
    /// For each namespace that waits, how often it was called and when last.
    served: BTreeMap<String, (u64, u64)>,
    /// Who has read in the pass that is under way.
    readers: BTreeSet<Asker>,
    opens: Option<Instant>,
    refusals: u32,
    /// What is added to the pace since SES has refused a request: its limit is "about" one per second, and others use it too.
    slower: Duration,
}

impl Line {
    /// A line that serves one request per `pace`.
    pub fn new(pace: Duration) -> Self {
        let ahead = AHEAD.as_nanos().checked_div(pace.as_nanos()).and_then(|n| usize::try_from(n).ok());
        Self {
            pace,
            ahead: ahead.unwrap_or(1).clamp(1, 1000),
            tickets: BTreeMap::new(),
            arrivals: 0,
            calls: 0,
            served: BTreeMap::new(),
            readers: BTreeSet::new(),
            opens: None,
            refusals: 0,
            slower: Duration::ZERO,
        }
    }

    /// The time from one request to the next. It grows by half with each refusal, or a request that comes second, as a write
    /// after its reading does, would be refused for ever; and comes back slowly.
    pub fn pace(&self) -> Duration {
        self.pace + self.slower
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// True if nobody waits.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// True if a request may go out now.
    pub fn is_open(&self, now: Instant) -> bool {
        self.opens.is_none_or(|opens| opens <= now)
    }

    /// How long the line is, in time.
    pub fn backlog(&self) -> Duration {
        self.pace().saturating_mul(u32::try_from(self.tickets.len()).unwrap_or(u32::MAX))
    }

    /// A pass joins the line, or says what it stands there for.
    pub fn join(&mut self, asker: &Asker, class: Class, now: Instant) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let new = || Ticket { class, arrival, called: None, is_wanted: true };
        let ticket = self.tickets.entry(asker.clone()).or_insert_with(new);
        ticket.class = class;
        ticket.is_wanted = true;
        if class != Class::Read && ticket.called.is_none() && self.readers.contains(asker) {
            // The reading that this write was planned from would have to be made again.
            ticket.called = Some(Call { order: 0, at: now, is_present: true });
        }
    }

    /// A pass asks for its turn.
    pub fn ask(&mut self, asker: &Asker, now: Instant) -> Answer {
        let Some((class, order)) = self.present(asker, now) else { return Answer::Later };
        let head = self.tickets.values().filter_map(|t| t.called).filter(|c| c.is_present).map(|c| c.order).min();
        let closed = self.opens.map_or(Duration::ZERO, |opens| opens.saturating_duration_since(now));
        if head != Some(order) {
            return Answer::Soon(closed + self.pace());
        }
        if !closed.is_zero() {
            return Answer::Soon(closed);
        }
        self.remove(asker);
        self.opens = Some(now + self.pace());
        match class {
            Class::Read => self.readers.insert(asker.clone()),
            Class::First | Class::Write => self.readers.remove(asker),
        };
        Answer::Go
    }

    /// Takes note that `asker` is here, if it was called: what for, and the order of its call.
    fn present(&mut self, asker: &Asker, now: Instant) -> Option<(Class, u64)> {
        let ticket = self.tickets.get_mut(asker)?;
        let call = ticket.called.as_mut()?;
        call.is_present = true;
        call.at = now;
        Some((ticket.class, call.order))
    }

    /// A pass does not wait any longer. It keeps its place, and is called again.
    pub fn leave(&mut self, asker: &Asker) {
        if let Some(ticket) = self.tickets.get_mut(asker) {
            ticket.called = None;
        }
    }

    /// A pass has ended: a ticket that it did not ask for is not wanted any more.
    pub fn pass_ended(&mut self, asker: &Asker) {
        self.readers.remove(asker);
        let wanted = self.tickets.get_mut(asker).is_some_and(|ticket| std::mem::take(&mut ticket.is_wanted));
        if !wanted {
            self.forget(asker);
        }
    }

    /// The object is gone.
    pub fn forget(&mut self, asker: &Asker) {
        self.readers.remove(asker);
        self.remove(asker);
    }

    fn remove(&mut self, asker: &Asker) {
        self.tickets.remove(asker);
        let first = Asker { namespace: asker.namespace.clone(), name: String::new() };
        if self.tickets.range(first..).next().is_none_or(|(next, _)| next.namespace != asker.namespace) {
            self.served.remove(&asker.namespace);
        }
    }

    /// SES has answered a request that was sent at `sent`: too many came, or not.
    pub fn answered(&mut self, refused: bool, sent: Instant, now: Instant) {
        self.refusals = if refused { self.refusals.saturating_add(1) } else { 0 };
        self.slower = if refused {
            (self.slower + self.pace / 2).min(self.pace * SLOWEST)
        } else {
            self.slower.saturating_sub(self.pace / 200)
        };
        // Requests must not arrive closer than they are sent: one that was long on its way holds the next up a little.
        let mut wait = (now + self.pace()).min(sent + self.pace() + self.pace / 10);
        if refused {
            // The limit is the account's, and others may use it: everybody here waits.
            let pause = self.pace.saturating_mul(2_u32.saturating_pow((self.refusals - 1).min(10)));
            wait = now + pause.min(LONGEST_PAUSE);
        }
        self.opens = self.opens.max(Some(wait));
    }

    /// Calls whose turn is near, and answers them; those that were called and do not come lose their place.
    pub fn call_up(&mut self, now: Instant) -> Vec<Asker> {
        self.tickets.retain(|_, t| t.called.is_none_or(|c| c.is_present || now.duration_since(c.at) < LAPSE));
        let mut called = Vec::new();
        if self.opens.is_some_and(|opens| opens > now + AHEAD) {
            return called;
        }
        let is_coming = |c: &Call| c.is_present || now.duration_since(c.at) < COMING;
        let mut coming = self.tickets.values().filter_map(|t| t.called).filter(is_coming).count();
        while coming < self.ahead
            && let Some(next) = self.next()
        {
            self.calls += 1;
            let served = self.served.entry(next.namespace.clone()).or_default();
            *served = (self.calls, served.1 + 1);
            if let Some(ticket) = self.tickets.get_mut(&next) {
                ticket.called = Some(Call { order: self.calls, at: now, is_present: false });
            }
            called.push(next);
            coming += 1;
        }
        called
    }

    /// Who is called next.
    fn next(&self) -> Option<Asker> {
        let waiting = || self.tickets.iter().filter(|(_, t)| t.called.is_none());
        let served = |asker: &Asker| self.served.get(&asker.namespace).copied().unwrap_or_default();
        if self.calls % 4 == 3 {
            // Whatever for: a namespace that asks for little is not to wait for the end of another's thousand creations.
            return waiting().min_by_key(|(asker, t)| (served(asker).0, t.arrival)).map(|(asker, _)| asker.clone());
        }
        let class = waiting().map(|(_, t)| t.class).min()?;
        let peers = || waiting().filter(|(_, t)| t.class == class);
        let (first, _) = peers().min_by_key(|(asker, t)| (served(asker).0, t.arrival))?;
        let of_namespace = || peers().filter(|(asker, _)| asker.namespace == first.namespace);
        let newest = class == Class::First && served(first).1 % 2 == 1;
        let chosen = if newest {
            of_namespace().max_by_key(|(_, t)| t.arrival)
        } else {
            of_namespace().min_by_key(|(_, t)| t.arrival)
        };
        chosen.map(|(asker, _)| asker.clone())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn asker(namespace: &str, name: usize) -> Asker {
        Asker { namespace: namespace.to_owned(), name: format!("{name:04}") }
    }

    /// A line whose askers come at once when they are called, for as long as it takes.
    struct Scene {
        line: Line,
        now: Instant,
        served: Vec<(Asker, Duration)>,
        began: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let now = Instant::now();
            Self { line: Line::new(SECOND), now, served: Vec::new(), began: now }
        }

        fn join(&mut self, asker: &Asker, class: Class) {
            self.line.join(asker, class, self.now);
        }

        fn run(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.line.call_up(self.now);
                let called: Vec<Asker> =
                    self.line.tickets.iter().filter(|(_, t)| t.called.is_some()).map(|(a, _)| a.clone()).collect();
                // Whoever comes says so before the first is served.
                for round in 0..2 {
                    for asker in &called {
                        if self.line.ask(asker, self.now) == Answer::Go {
                            assert!(round > 0 || self.line.opens.is_some());
                            self.served.push((asker.clone(), self.now - self.began));
                        }
                    }
                }
                self.now += SECOND;
            }
        }

        fn when(&self, asker: &Asker) -> Option<u64> {
            self.served.iter().find(|(a, _)| a == asker).map(|(_, at)| at.as_secs())
        }
    }

    #[test]
    fn one_is_served_per_pace_and_nobody_twice() {
        let mut scene = Scene::new();
        (0..50).for_each(|n| scene.join(&asker("a", n), Class::First));
        scene.run(49);
        assert_eq!(scene.served.len(), 49);
        scene.run(5);
        let unique: BTreeSet<&Asker> = scene.served.iter().map(|(a, _)| a).collect();
        assert_eq!((scene.served.len(), unique.len()), (50, 50));
        assert!(scene.line.is_empty() && scene.line.served.is_empty());
    }

    #[test]
    fn a_domain_that_comes_in_the_middle_of_a_flood_is_served_within_ten_seconds() {
        let mut scene = Scene::new();
        (0..100).for_each(|n| scene.join(&asker("a", n), Class::First));
        scene.run(40);
        let late = asker("a", 999);
        scene.join(&late, Class::First);
        scene.run(70);
        assert!(scene.when(&late).unwrap() <= 50, "{:?}", scene.when(&late));
    }

    #[test]
    fn a_namespace_with_one_domain_does_not_wait_for_one_with_a_thousand() {
        let mut scene = Scene::new();
        (0..1000).for_each(|n| scene.join(&asker("flood", n), Class::Write));
        scene.run(30);
        for name in ["one", "two", "three"] {
            scene.join(&asker(name, 0), Class::Write);
        }
        scene.run(12);
        for name in ["one", "two", "three"] {
            assert!(scene.when(&asker(name, 0)).is_some(), "{name}");
        }
    }

    #[test]
    fn a_flood_of_creations_holds_up_nothing_of_the_others() {
        let mut scene = Scene::new();
        (0..1000).for_each(|n| scene.join(&asker("flood", n), Class::First));
        scene.run(10);
        let (write, read, listing) = (asker("b", 1), asker("c", 1), asker("", 0));
        scene.join(&write, Class::Write);
        scene.join(&read, Class::Read);
        scene.join(&listing, Class::Read);
        scene.run(30);
        for other in [write, read, listing] {
            assert!(scene.when(&other).is_some_and(|at| at <= 30), "{other:?}: {:?}", scene.when(&other));
        }
        let flood = scene.served.iter().filter(|(asker, _)| asker.namespace == "flood").count();
        assert!(flood >= 35, "{flood}: the flood loses no more than the others take");
    }

    #[test]
    fn an_account_that_takes_a_little_less_gets_slower_requests_and_not_the_same_refusal_for_ever() {
        // 0.9 requests per second and no burst: what comes a second after another is refused.
        let (mut line, begin) = (Line::new(SECOND), Instant::now());
        let (mut now, mut room, mut refused) = (begin, 1.0_f64, 0);
        for n in 0..100 {
            let one = asker("a", n % 3);
            line.join(&one, if n % 2 == 0 { Class::Read } else { Class::Write }, now);
            let went = loop {
                line.call_up(now);
                if line.ask(&one, now) == Answer::Go {
                    break now;
                }
                now += SECOND / 20;
                room = (room + 0.9 / 20.0).min(1.0);
            };
            let is_refused = room < 1.0 - 1e-9;
            room -= if is_refused { 0.0 } else { 1.0 };
            refused += u32::from(is_refused);
            line.answered(is_refused, went, now);
            line.pass_ended(&one);
        }
        assert!((1..=5).contains(&refused), "{refused} of 100");
        assert!(now - begin < SECOND * 160, "{:?}", now - begin);
    }

    #[test]
    fn creations_come_first_and_reads_are_not_starved() {
        let mut scene = Scene::new();
        scene.join(&asker("a", 0), Class::Read);
        (1..200).for_each(|n| scene.join(&asker("a", n), Class::Write));
        (200..400).for_each(|n| scene.join(&asker("b", n), Class::First));
        scene.run(12);
        let of = |class: fn(&str) -> bool| scene.served.iter().filter(|(a, _)| class(&a.namespace)).count();
        assert!(of(|ns| ns == "b") >= 8, "{:?}", scene.served);
        assert!(scene.when(&asker("a", 0)).is_some_and(|at| at <= 8), "the read has waited longest");
    }

    #[test]
    fn the_oldest_is_served_although_newer_ones_keep_coming() {
        let mut scene = Scene::new();
        (0..20).for_each(|n| scene.join(&asker("a", n), Class::First));
        for n in 0..100 {
            scene.join(&asker("a", 1000 + n), Class::First);
            scene.run(1);
        }
        assert!((0..20).all(|n| scene.when(&asker("a", n)).is_some_and(|at| at < 60)));
    }

    #[test]
    fn who_is_not_called_does_not_wait_and_who_does_not_come_holds_nobody_up() {
        let mut line = Line::new(SECOND);
        let mut now = Instant::now();
        let all: Vec<Asker> = (0..10).map(|n| asker("a", n)).collect();
        for asker in &all {
            line.join(asker, Class::Read, now);
        }
        assert_eq!(line.call_up(now), all[..3]);
        assert_eq!(line.ask(&all[9], now), Answer::Later);
        assert_eq!(line.call_up(now), []);
        now += COMING;
        assert_eq!(line.call_up(now), all[3..6], "the first three do not come");
        assert_eq!(line.ask(&all[4], now), Answer::Go);
        now += LAPSE;
        line.call_up(now);
        assert_eq!(line.ask(&all[0], now), Answer::Later, "its call has lapsed, and its place");
        assert_eq!(line.len(), 10 - 6);
    }

    #[test]
    fn who_leaves_keeps_its_place_and_who_does_not_ask_again_gives_it_up() {
        let mut line = Line::new(SECOND);
        let now = Instant::now();
        let (first, second) = (asker("a", 0), asker("a", 1));
        line.join(&first, Class::Write, now);
        line.join(&second, Class::Write, now);
        line.call_up(now);
        assert_eq!(line.ask(&first, now), Answer::Go);
        assert!(matches!(line.ask(&second, now), Answer::Soon(_)));
        line.leave(&second);
        line.pass_ended(&second);
        assert_eq!(line.call_up(now), vec![second.clone()], "it is called again");
        line.pass_ended(&second);
        assert!(line.is_empty());
    }

    #[test]
    fn a_write_follows_the_reading_that_it_was_planned_from() {
        let mut line = Line::new(SECOND);
        let mut now = Instant::now();
        let us = asker("a", 0);
        line.join(&us, Class::Read, now);
        line.call_up(now);
        assert_eq!(line.ask(&us, now), Answer::Go);
        (1..100).for_each(|n| line.join(&asker("a", n), Class::First, now));
        line.call_up(now);
        line.join(&us, Class::Write, now);
        assert_eq!(line.ask(&us, now), Answer::Soon(SECOND));
        now += SECOND;
        assert_eq!(line.ask(&asker("a", 1), now), Answer::Soon(SECOND));
        assert_eq!(line.ask(&us, now), Answer::Go);
        line.pass_ended(&us);
        line.join(&us, Class::Write, now);
        assert_eq!(line.ask(&us, now), Answer::Later, "another pass reads anew");
    }

    #[test]
    fn a_refusal_has_everybody_wait_for_longer_and_longer() {
        let mut line = Line::new(SECOND);
        let mut now = Instant::now();
        let us = asker("a", 0);
        let mut waits = Vec::new();
        for _ in 0..7 {
            line.join(&us, Class::Read, now);
            line.call_up(now);
            let mut waited = 0;
            while line.ask(&us, now) != Answer::Go {
                now += SECOND;
                waited += 1;
                line.call_up(now);
            }
            waits.push(waited);
            line.answered(true, now, now);
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32]);
        line.answered(false, now, now);
        line.answered(true, now, now);
        line.join(&us, Class::Read, now);
        now += 32 * SECOND;
        line.call_up(now);
        assert_eq!(line.ask(&us, now), Answer::Go);
    }
}
