//! Everything about Amazon SES: the model of an identity, and the client that reads and writes it.

pub mod accounts;
pub mod budget;
pub mod client;
pub mod error;
pub mod fleet;
pub mod identity;
pub mod inventory;
pub mod line;
mod wire;
