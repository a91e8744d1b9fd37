//! Everything about Amazon SES: the model of an identity, and the client that reads and writes it.

pub mod budget;
pub mod client;
pub mod error;
pub mod identity;
