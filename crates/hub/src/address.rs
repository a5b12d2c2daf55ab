//! Parses web addresses, compares their servers and resolves redirects.

use std::fmt;

use ureq::http::Uri;

use crate::Error;

/// An absolute address with the scheme http or https.
#[derive(Clone, Debug)]
pub(crate) struct Address(Uri);

impl Address {
    /// Parses an address. The error is a clause that says what is wrong with it, such as "which names no
    /// server".
    pub(crate) fn parse(text: &str) -> Result<Address, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "which is not an address")?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("which is neither http nor https");
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => Err("which has a user or password in it"),
            Some(authority) if !authority.host().is_empty() => Ok(Address(uri)),
            _ => Err("which names no server"),
        }
    }

    /// Returns the address `base`/`path`. Neither part is escaped.
    pub(crate) fn from_base(base: &str, path: &str) -> Result<Address, &'static str> {
        Address::parse(&format!("{}/{path}", base.trim_end_matches('/')))
    }

    /// Resolves the `Location` header of an answer from this address (RFC 3986, section 5.2). Segments `.`
    /// and `..` stay, because servers resolve them.
    pub(crate) fn join(&self, location: &str) -> Result<Address, &'static str> {
        let scheme = self.0.scheme_str().unwrap_or("https");
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let path = self.0.path();
        let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
        Address::parse(&match location {
            whole if whole.contains("://") && !whole.starts_with(['/', '?']) => whole.into(),
            server if server.starts_with("//") => format!("{scheme}:{server}"),
            root if root.starts_with('/') => format!("{scheme}://{authority}{root}"),
            query if query.starts_with('?') => format!("{scheme}://{authority}{path}{query}"),
            relative => format!("{scheme}://{authority}{folder}{relative}"),
        })
    }

    /// Whether both addresses are on one server: the same scheme, host and port.
    pub(crate) fn same_server(&self, other: &Address) -> bool {
        self.server() == other.server()
    }

    /// The scheme, the host in lower case, and the port.
    fn server(&self) -> (Option<&str>, String, u16) {
        let default_port = if self.0.scheme_str() == Some("http") { 80 } else { 443 };
        let host = self.0.host().unwrap_or_default().to_ascii_lowercase();
        (self.0.scheme_str(), host, self.0.port_u16().unwrap_or(default_port))
    }

    /// Whether the address is on this machine, which is reached without a proxy.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.0.host().unwrap_or_default().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The host, with the port if the address has one, for messages.
    pub(crate) fn host(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    /// Returns the error about an answer from this address that the hub would never send. `reason` is a
    /// clause such as "names no length".
    pub(crate) fn unexpected(&self, reason: impl Into<String>) -> Error {
        Error::Answer { address: self.to_string(), reason: reason.into() }
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

/// Writes the address without its query, which may contain a signature.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.0.scheme_str().unwrap_or_default(), self.host(), self.0.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).expect(text)
    }

    #[test]
    fn redirects_are_resolved_as_browsers_resolve_them() {
        let here = address("https://hub.test:8443/org/name/resolve/main/a.json?x=1");
        for (location, expected) in [
            ("https://cdn.test/b?s=1", "https://cdn.test/b?s=1"),
            ("//cdn.test/b", "https://cdn.test/b"),
            ("/api/b?u=https://c.test", "https://hub.test:8443/api/b?u=https://c.test"),
            ("b.json", "https://hub.test:8443/org/name/resolve/main/b.json"),
            ("?y=2", "https://hub.test:8443/org/name/resolve/main/a.json?y=2"),
        ] {
            assert_eq!(here.join(location).expect(location).uri().to_string(), expected);
        }
        for location in ["file:///etc/passwd", "ftp://cdn.test/b", "https://u:p@cdn.test/", "https://", ""] {
            let joined = here.join(location);
            assert!(location.is_empty() || joined.is_err(), "{location}");
        }
    }

    #[test]
    fn a_server_is_scheme_host_and_port() {
        let here = address("https://Hub.test/a");
        assert!(here.same_server(&address("https://hub.test:443/b")));
        for other in ["http://hub.test/a", "https://hub.test:444/a", "https://hub.test.evil/a"] {
            assert!(!here.same_server(&address(other)), "{other}");
        }
    }

    #[test]
    fn local_addresses_are_recognised() {
        for text in ["http://127.0.0.1:1/", "http://localhost/", "http://[::1]:8080/"] {
            assert!(address(text).is_local(), "{text}");
        }
        for text in ["http://127.0.0.1.test/", "http://hub.test/", "http://10.0.0.1/"] {
            assert!(!address(text).is_local(), "{text}");
        }
    }

    #[test]
    fn messages_do_not_show_signatures() {
        assert_eq!(address("https://cdn.test/b?Signature=secret").to_string(), "https://cdn.test/b");
    }
}
