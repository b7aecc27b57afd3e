//! Where a store is: what `--database` says.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::store::StoreError;

/// Where a store is. Shown without user and password.
#[derive(Clone)]
pub enum Location {
    /// A file of `SQLite`.
    File(PathBuf),
    /// A database of a `PostgreSQL` server.
    Server(Box<PgConnectOptions>),
}

impl Location {
    /// `sqlite://PATH`, a path, or `postgres://USER@HOST:PORT/DATABASE`. What that leaves out comes from where `PostgreSQL`'s own programs
    /// take it: `PGPASSWORD`, `PGPASSFILE`, `~/.pgpass`, `PGSSLROOTCERT` and so on.
    pub fn parse(database: &str) -> Result<Self, StoreError> {
        match database.split_once("://") {
            None => Ok(Self::File(PathBuf::from(database))),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("postgres" | "postgresql", _)) => Self::server(database),
            Some(_) => Err(StoreError::Refused("--database must be sqlite://PATH or postgres://USER@HOST/DATABASE".to_owned())),
        }
    }

    fn server(url: &str) -> Result<Self, StoreError> {
        // The parser's own words could repeat the password.
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            StoreError::Refused("--database is no URL of PostgreSQL: postgres://USER@HOST:PORT/DATABASE?sslmode=…".to_owned())
        })?;
        let local = options.get_socket().is_some() || options.get_host().starts_with('/');
        let options = match options.get_ssl_mode() {
            _ if local => options.ssl_mode(PgSslMode::Disable),
            // Both speak in the clear, or to anybody, where a server asks for it; who wants that says `disable` or `require`.
            PgSslMode::Prefer | PgSslMode::Allow => options.ssl_mode(PgSslMode::VerifyFull),
            _ => options,
        };
        let name = options.get_application_name().unwrap_or("deskplane").to_owned();
        Ok(Self::Server(Box::new(options.application_name(&name).statement_cache_capacity(200).disable_statement_logging())))
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(options) => {
                let database = options.get_database().unwrap_or(options.get_username());
                match options.get_socket() {
                    Some(socket) => write!(f, "postgres://{}/{database}", socket.display()),
                    None => write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port()),
                }
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
