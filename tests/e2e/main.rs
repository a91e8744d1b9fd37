//! The operator's real binary on a real control plane, against the simulators and a real DNS server: what a user does,
//! and what becomes of it.
//!
//! The tests share one control plane; each has its own namespace, operator, simulators and DNS server. Every test ends
//! with [`rig::Rig::finish`], which holds every version of every object that it ever had to [`invariants`], and looks for
//! secrets in everything that the operator wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own helpers may fail the test")]

mod attributes;
mod audit;
mod causes;
mod changes;
mod cloudflare;
mod cloudflare_faults;
mod cloudflare_hostile;
mod conflicts;
mod control_plane;
mod crashes;
mod crowd;
mod deletion;
mod dmarc;
mod drift;
mod duplicates;
mod ends;
mod external_dns;
mod fleet;
mod forged;
mod invariants;
mod lifecycle;
mod manual;
mod metrics;
mod objects;
mod outside_text;
mod ownership;
mod recreation;
mod rig;
mod rights;
mod secrecy;
mod secrets;
mod traces;
mod verification;
mod watch;
