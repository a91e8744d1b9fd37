//! Where the API is. One setting of the operator; never taken from a user's object, because the token goes there.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// Why a setting is no base URL. Never contains the setting, which may carry a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Not a URL at all, or one without a host.
    #[error("the Cloudflare base URL is not a URL")]
    NotAUrl,
    /// Neither https, nor http to a loopback host.
    #[error("the Cloudflare base URL must be https (plain http is for loopback hosts only)")]
    NotHttps,
    /// It carries a user, a password, a query or a fragment.
    #[error("the Cloudflare base URL must not contain a user, a password, a query or a fragment")]
    Extras,
}

/// The base of the API including `/client/v4`, ending in `/`: joining a path to a base without it would silently drop
/// the last segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// True if the API is reached over plain http, which is so for loopback hosts only.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The URL of `path`, which is relative and already safe to be part of a URL.
    pub(super) fn join(&self, path: &str) -> Option<Url> {
        self.0.join(path).ok()
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut url = Url::parse(text.trim()).map_err(|_| BaseUrlError::NotAUrl)?;
        match url.scheme() {
            "https" if url.has_host() => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(BaseUrlError::NotHttps),
        }
        let extras =
            !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some();
        if extras {
            return Err(BaseUrlError::Extras);
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_always_ends_with_a_slash() {
        for text in ["https://api.cloudflare.com/client/v4", "https://api.cloudflare.com/client/v4//"] {
            let base: BaseUrl = text.parse().unwrap();
            assert_eq!(base.to_string(), "https://api.cloudflare.com/client/v4/");
            assert_eq!(base.join("zones").unwrap().as_str(), "https://api.cloudflare.com/client/v4/zones");
        }
        assert_eq!("https://api.example".parse::<BaseUrl>().unwrap().to_string(), "https://api.example/");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for text in ["http://127.0.0.1:8080/v4", "http://127.9.9.9", "http://[::1]:1/", "http://localhost:8080/x"] {
            assert!(text.parse::<BaseUrl>().unwrap().is_plain(), "{text}");
        }
        for text in ["http://api.cloudflare.com", "http://127.0.0.1.example", "http://10.0.0.1", "ftp://localhost/"] {
            assert_eq!(text.parse::<BaseUrl>().unwrap_err(), BaseUrlError::NotHttps, "{text}");
        }
    }

    #[test]
    fn extras_are_refused_without_repeating_them() {
        for text in ["https://u:hunter2@h/", "https://u@h/", "https://h/?a=hunter2", "https://h/#x"] {
            let error = text.parse::<BaseUrl>().unwrap_err();
            assert_eq!(error, BaseUrlError::Extras, "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        assert_eq!("client/v4".parse::<BaseUrl>().unwrap_err(), BaseUrlError::NotAUrl);
    }
}
