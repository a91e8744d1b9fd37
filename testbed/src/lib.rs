//! Test bed: a real control plane, simulators of SES and Cloudflare and an authoritative DNS server, all on loopback.

pub mod cloudflare;
pub mod control_plane;
pub mod dns;
pub mod process;
pub mod ses;
pub mod world;
