//! The Cloudflare adapter against canned answers: what it sends, what it makes of every answer, and that no answer,
//! however odd, is taken for "no records".
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod batches;
mod faults;
mod limits;
mod lists;
mod secrecy;
mod server;
mod writes;
mod zones;
