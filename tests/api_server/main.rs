//! The CRD on a real API server: what it accepts, what it refuses and in which words, and how it looks in kubectl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own helpers may fail the test")]

mod accepted;
mod admission;
mod conflicts;
mod immutable;
mod plane;
mod refused;
mod refused_dns;
mod round_trip;
mod views;
mod wire;
