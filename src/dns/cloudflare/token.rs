//! The API token: cleaned before it meets the HTTP library, never shown, recognisable only by a keyed hash.

use std::fmt;
use std::sync::{Arc, OnceLock};

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The most bytes a Secret's value may have to be looked at as a token.
const MAX_BYTES: usize = 4096;

/// Why a Secret's value is no API token. Never contains the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing, or nothing but whitespace.
    #[error("the API token is empty")]
    Empty,
    /// More than 4 KiB.
    #[error("the API token is longer than 4096 bytes")]
    TooLong,
    /// Whitespace in the middle, a control character, or something outside ASCII.
    #[error("the API token contains a space, a control character or a character outside ASCII")]
    NotPrintable,
    /// `cfk_…`, or 37 hexadecimal digits: a key that opens everything, and is no bearer token.
    #[error(
        "it is a Global API Key, which may do everything and is not taken as an API token; create an API token with the \
         template Edit zone DNS"
    )]
    GlobalKey,
    /// `v1.0-…`: a key for certificates only.
    #[error("it is an Origin CA key, which is no API token; create an API token with the template Edit zone DNS")]
    OriginCaKey,
}

/// On whose behalf Cloudflare is asked: a namespace. Those who share a token take turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asker(Arc<str>);

impl Asker {
    pub(super) fn new(namespace: &str) -> Self {
        Self(namespace.into())
    }
}

/// A Cloudflare API token (user or account owned), without the white space around it.
#[derive(Clone)]
pub struct ApiToken(SecretString, Asker);

impl ApiToken {
    /// Reads a token from the value of a Secret's key: at most 4 KiB, ASCII whitespace around it is dropped (a trailing
    /// newline is the most common mistake), and what is left must be visible ASCII, so that it is a valid header value
    /// and no HTTP library ever has a reason to quote it in an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        if bytes.len() > MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        let trimmed = bytes.trim_ascii();
        if trimmed.is_empty() {
            return Err(TokenError::Empty);
        }
        if !trimmed.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::NotPrintable);
        }
        let text = std::str::from_utf8(trimmed).map_err(|_| TokenError::NotPrintable)?;
        if is_global_key(text) {
            return Err(TokenError::GlobalKey);
        }
        if text.starts_with("v1.0-") {
            return Err(TokenError::OriginCaKey);
        }
        Ok(Self(SecretString::from(text), Asker::default()))
    }

    /// The same token, used on behalf of `namespace`.
    #[must_use]
    pub fn on_behalf_of(self, namespace: &str) -> Self {
        Self(self.0, Asker::new(namespace))
    }

    pub(super) fn asker(&self) -> &Asker {
        &self.1
    }

    /// True if an account owns the token, as far as its form tells: an older one may be either's.
    pub fn is_account_owned(&self) -> Option<bool> {
        let text = self.0.expose_secret();
        let prefixed = |prefix: &str, answer: bool| text.starts_with(prefix).then_some(answer);
        prefixed("cfat_", true).or(prefixed("cfut_", false))
    }

    /// An id for this token that is good as a map key within this process and for nothing else: it is keyed with a
    /// random key of the process, so it tells nothing about the token even if it leaks.
    pub fn fingerprint(&self) -> Fingerprint {
        static KEY: OnceLock<[u8; 32]> = OnceLock::new();
        let mut hash = Sha256::new();
        hash.update(KEY.get_or_init(rand::random));
        hash.update(self.0.expose_secret().as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Fingerprint(id)
    }

    /// The `Authorization` header, marked sensitive, so that neither reqwest nor h2 prints or indexes it.
    pub(super) fn authorization(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let text = Zeroizing::new(format!("Bearer {}", self.0.expose_secret()));
        let mut value = HeaderValue::from_str(&text)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The key formats of developers.cloudflare.com/fundamentals/api/get-started/token-formats, and the one before 2026.
fn is_global_key(text: &str) -> bool {
    text.starts_with("cfk_")
        || (text.len() == 37 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken([redacted])")
    }
}

/// Tells tokens apart within this process. Not for logs, labels or status.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b3_white_space_around_is_dropped() {
        for value in [&b"abc"[..], b"abc\n", b"\r\n abc\t\r\n"] {
            let token = ApiToken::parse(value).unwrap();
            assert_eq!(token.0.expose_secret(), "abc", "{value:?}");
        }
    }

    #[test]
    fn b2_what_cannot_be_a_token_is_refused() {
        for (value, error) in [
            (&b""[..], TokenError::Empty),
            (b" \n\t", TokenError::Empty),
            (&[b'a'; 4097], TokenError::TooLong),
            (b"Bearer abc", TokenError::NotPrintable),
            (b"abc\ndef", TokenError::NotPrintable),
            (b"abc\0", TokenError::NotPrintable),
            (b"abc\x7f", TokenError::NotPrintable),
            ("ab\u{e7}".as_bytes(), TokenError::NotPrintable),
            (b"\xff\xfe", TokenError::NotPrintable),
            (b"cfk_0123456789abcdefghijklmnopqrstuvwxyz", TokenError::GlobalKey),
            (b"0123456789abcdef0123456789abcdef01234\n", TokenError::GlobalKey),
            (b"v1.0-0123456789abcdef-0123456789", TokenError::OriginCaKey),
        ] {
            assert_eq!(ApiToken::parse(value).unwrap_err(), error, "{value:?}");
        }
        assert!(ApiToken::parse(&[b'a'; 4096]).is_ok());
    }

    #[test]
    fn the_fingerprint_tells_tokens_apart_and_shows_nothing() {
        let (one, same, other) = (ApiToken::parse(b"one"), ApiToken::parse(b"one\n"), ApiToken::parse(b"two"));
        let (one, same, other) = (one.unwrap(), same.unwrap(), other.unwrap());
        assert_eq!(one.fingerprint(), same.fingerprint());
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(format!("{:?} {:?}", one, one.fingerprint()), "ApiToken([redacted]) Fingerprint([redacted])");
        assert_eq!(format!("{:?}", one.authorization().unwrap()), "Sensitive");
    }
}
