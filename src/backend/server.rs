//! The provider `server`: how an account server is reached.

use secrecy::SecretString;

/// How an account server is reached, and as whom.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Base URL, without a slash at the end.
    pub url: String,
    /// Authorities that are trusted instead of the system's: certificates in PEM.
    pub ca_bundle: Option<String>,
    /// The bearer token.
    pub token: SecretString,
    /// Owner id of this controller (rule 17).
    pub owner: String,
    /// How fast it may be asked; `None`: without a limit of ours.
    pub rate_limit: Option<RateLimit>,
}

/// How fast a server may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second in the long run.
    pub requests_per_second: u32,
    /// Requests at once, after a rest.
    pub burst: u32,
}
