//! Everything about DNS: the record model, what the world sees, and where records can be written.

pub mod cause;
pub mod cloudflare;
pub mod dmarc;
pub mod evidence;
pub mod external_dns;
pub mod judge;
pub mod lookup;
pub mod record;
pub mod spf;
