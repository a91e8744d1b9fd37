//! `kubectl sendingdomain`: the real binary on a real control plane, with the operator running, against the simulators and a
//! real DNS server. What it prints is read by parsers that know nothing of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own helpers may fail the test")]

mod annotations;
mod browser;
mod check;
mod cluster;
mod devtools;
mod doctor;
mod import;
mod kubectl;
mod page;
mod records;
mod rig;
mod wait;
