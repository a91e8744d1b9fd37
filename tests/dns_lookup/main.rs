//! What the world sees of a name, tried with real sockets on loopback: scripted servers for everything that can go
//! wrong, and hickory-server for what goes right.
#![allow(
    missing_docs,
    clippy::wildcard_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test program"
)]

mod authorities;
mod bounds;
mod hostile;
mod resolvers;
mod scripted;
mod verdicts;
mod world;
mod zones;
