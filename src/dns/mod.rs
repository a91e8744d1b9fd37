//! Everything about DNS: the record model, what the world sees, and where records can be written.

pub mod cloudflare;
pub mod external_dns;
pub mod judge;
pub mod lookup;
pub mod record;
