//! The documentation says what is so: the reference is made from the program, every reason has its section, and links lead
//! somewhere.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

mod conventions;
mod links;
mod reference;
mod samples;
mod supply_chain;
mod troubleshooting;

use std::path::Path;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
