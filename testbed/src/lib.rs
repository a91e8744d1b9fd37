//! Test bed: a real control plane, simulators and DNS on loopback.

pub mod cloudflare;
pub mod dns;
