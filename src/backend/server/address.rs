//! Where the server is: its base URL, and the paths below it.

use std::net::IpAddr;

use reqwest::Url;

use crate::backend::{BackendError, Result};

/// Reads the base URL. A token goes there, so it is encrypted, unless it does not leave this machine.
pub(super) fn parse(text: &str) -> Result<Url> {
    let invalid = |message: &str| BackendError::Invalid { field: "spec.server.url".into(), message: message.to_owned() };
    let url = Url::parse(text).map_err(|_| invalid("is not a URL: give one such as https://accounts.example"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(invalid("is not encrypted, and the token would be sent there: use https:// (http:// only for localhost)")),
        _ => return Err(invalid("is not an https:// URL")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("has a user name or password in it: take them out, the token is all that is needed"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("has a '?' or '#' in it: give the part before"));
    }
    Ok(url)
}

/// Whether it is on this machine.
fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A path below the base, whose parts may be any text, and a query.
pub(super) fn below(base: &Url, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
    let mut url = base.clone();
    for part in path {
        // A URL leaves these out, or takes them for the way up.
        if part.is_empty() || part.chars().all(|c| c == '.') || part.chars().any(char::is_control) {
            return Err(BackendError::Invalid { field: "metadata.uid".into(), message: "is no key that a row can have".to_owned() });
        }
    }
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_encrypted_or_on_this_machine() {
        for url in [
            "https://accounts.example",
            "https://accounts.example:8443/chat",
            "https://127.0.0.1",
            "http://localhost:8080",
            "http://127.0.0.1:8080",
            "http://127.8.9.1",
            "http://[::1]:8080",
        ] {
            parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        }
        for url in [
            "",
            "accounts.example",
            "http://accounts.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://[::]",
            "ftp://localhost",
            "file:///etc/passwd",
            "unix:/run/socket",
            "https://",
            "https://user@accounts.example",
            "https://user:password@accounts.example",
            "http://localhost@accounts.example",
            "https://accounts.example?token=x",
            "https://accounts.example/#x",
        ] {
            let error = parse(url).expect_err(url);
            assert!(matches!(&error, BackendError::Invalid { field, .. } if field == "spec.server.url"), "{url}: {error}");
            assert!(!error.to_string().contains("password@"), "{error}");
        }
    }

    #[test]
    fn keys_stay_in_their_place_whatever_they_are() {
        let base = parse("https://accounts.example/chat/").unwrap();
        let path = |key| below(&base, &["v1", "keys", key, "erase"], &[]).map(|url| url.path().to_owned());
        assert_eq!(path("8f14e45f-ceea").as_deref(), Ok("/chat/v1/keys/8f14e45f-ceea/erase"));
        assert_eq!(path("../accounts/x").as_deref(), Ok("/chat/v1/keys/..%2Faccounts%2Fx/erase"));
        assert_eq!(path("%2e%2e").as_deref(), Ok("/chat/v1/keys/%252e%252e/erase"));
        assert_eq!(path("a?b#c d\\e").as_deref(), Ok("/chat/v1/keys/a%3Fb%23c%20d%5Ce/erase"));
        for key in ["", ".", "..", "a\nb", "a\tb", "\u{0}"] {
            assert!(matches!(path(key), Err(BackendError::Invalid { field, .. }) if field == "metadata.uid"), "{key:?}");
        }
        let url = below(&base, &["v1", "store"], &[("owner", "a b&c=d")]).unwrap();
        assert_eq!(url.as_str(), "https://accounts.example/chat/v1/store?owner=a+b%26c%3Dd");
    }
}
