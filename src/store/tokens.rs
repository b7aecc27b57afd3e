//! Tokens of an account server: made and revoked at the command line, looked up for every request.
//!
//! A token is `dpt_<26 letters>_<52 letters>`: a public half, by which it is listed, revoked and found, and a secret half of 260 random
//! bits. Of that only a salted hash is kept.
//!
//! They are made and revoked while a server runs. In `PostgreSQL` that is a transaction like any other. A file has one process that writes
//! (rule 21), by a lock beside the file that the server holds: its epochs, seats and queue rest on transactions that are in one line. None
//! of that is in the table of tokens, which no other transaction reads or writes. So this table is written beside the lock, in a transaction
//! of a moment: `SQLite`'s own locks keep the file whole, and whoever finds it busy waits. Rather than a second file: one file is backed
//! up, restored and erased. Whether the schema is this version's is tested first; a file that nobody holds is opened as the server would.
//!
//! A server has no tokens in memory: from the commit of a revocation on, the next look finds it.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sqlx::FromRow;

use crate::backend::{BackendError, Result};
use crate::domain::access::Scope;
use crate::domain::hash;
use crate::domain::rows::RowKind;

use super::db::{self, Database, Location, query};
use super::error::StoreError;
use super::open::{Reader, Store};
use super::{external, keys, values};

/// How tokens begin: whoever finds one, or looks for leaked ones, knows it.
const PREFIX: &str = "dpt_";

/// Letters of the public half.
const ID: usize = 26;

/// Letters of the secret half, of five bits each.
const SECRET: usize = 52;

/// What nothing hashes to: who names no token is refused after the same work.
const NOBODY: &str = "sha256$00000000000000000000000000000000$0000000000000000000000000000000000000000000000000000000000000000";

/// What is known of a token: all but its secret half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its public half.
    pub id: String,
    /// What it is good for.
    pub scope: Scope,
    /// Whose it is and what for, in words.
    pub description: String,
    /// When it was made, in RFC 3339.
    pub created_at: String,
    /// When it was revoked, if it was.
    pub revoked_at: Option<String>,
}

macro_rules! select_tokens {
    ($tail:literal) => {
        concat!("SELECT id, hash, scope, description, created_at, revoked_at FROM tokens ", $tail)
    };
}

pub(super) const BY_ID: &str = select_tokens!("WHERE id = $1");

#[derive(FromRow)]
struct Kept {
    id: String,
    hash: String,
    scope: String,
    description: String,
    created_at: String,
    revoked_at: Option<String>,
}

impl Kept {
    /// `None`: a newer version made it, for a scope that is unknown here.
    fn info(self) -> Option<TokenInfo> {
        let Self { id, hash: _, scope, description, created_at, revoked_at } = self;
        Some(TokenInfo { id, scope: scope.parse().ok()?, description, created_at, revoked_at })
    }
}

/// The tokens of a store, open for writing beside whoever has the store.
#[derive(Debug)]
pub struct Tokens {
    database: Database,
}

impl Tokens {
    /// Opens the tokens of a store, which is made where there is none. A file that nobody has is brought to this version; `PostgreSQL` must
    /// be of it, for others may be at work there.
    pub async fn open(location: &Location) -> std::result::Result<Self, StoreError> {
        let database = match Store::open_as_it_is(location).await {
            Ok(store) => store.database().clone(),
            Err(StoreError::Locked { .. }) => Database::open_beside(location).await?,
            Err(error) => return Err(error),
        };
        Ok(Self { database })
    }

    /// Makes a token. Its text is told now and never again.
    pub async fn create(&self, scope: &Scope, description: &str) -> Result<(TokenInfo, SecretString)> {
        create(&self.database, scope, description).await
    }

    /// Revokes a token: from now on it is refused. `None`: there is none of that id.
    pub async fn revoke(&self, id: &str) -> Result<Option<TokenInfo>> {
        revoke(&self.database, id).await
    }

    /// Waits for what is being written.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

impl Reader {
    /// All tokens, in the order in which they were made.
    pub async fn list_tokens(&self) -> Result<Vec<TokenInfo>> {
        let tokens: Vec<Kept> = query(select_tokens!("ORDER BY created_at, id")).fetch_all(&mut self.snapshot().await?).await?;
        Ok(tokens.into_iter().filter_map(Kept::info).collect())
    }
}

impl Store {
    /// Makes a token. Its text is told now and never again.
    pub async fn create_token(&self, scope: &Scope, description: &str) -> Result<(TokenInfo, SecretString)> {
        create(self.database(), scope, description).await
    }

    /// Revokes a token: from now on it is refused. `None`: there is none of that id.
    pub async fn revoke_token(&self, id: &str) -> Result<Option<TokenInfo>> {
        revoke(self.database(), id).await
    }

    /// All tokens, in the order in which they were made.
    pub async fn list_tokens(&self) -> Result<Vec<TokenInfo>> {
        self.reader().list_tokens().await
    }

    /// The token of that text, unless it is none, or revoked. One look and one hash, whatever is wrong with it.
    pub async fn authenticate(&self, token: &SecretString) -> Result<Option<TokenInfo>> {
        let Some((id, secret)) = halves(token.expose_secret()) else { return Ok(None) };
        let kept: Option<Kept> = query(BY_ID).bind(id).fetch_optional(&mut self.reader().snapshot().await?).await?;
        let right = hash::matches(kept.as_ref().map_or(NOBODY, |kept| &kept.hash), secret);
        Ok(kept.filter(|kept| right && kept.revoked_at.is_none()).and_then(Kept::info))
    }

    /// Whether the token of that public half was made and is not revoked.
    pub async fn is_in_force(&self, id: &str) -> Result<bool> {
        let kept: Option<Kept> = query(BY_ID).bind(id).fetch_optional(&mut self.reader().snapshot().await?).await?;
        Ok(kept.is_some_and(|kept| kept.revoked_at.is_none()))
    }
}

/// A text of the form of a token, as its halves.
fn halves(token: &str) -> Option<(&str, &str)> {
    let letters = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (id, secret) = token.rsplit_once('_')?;
    (letters(id.strip_prefix(PREFIX)?, ID) && letters(secret, SECRET)).then_some((id, secret))
}

async fn create(database: &Database, scope: &Scope, description: &str) -> Result<(TokenInfo, SecretString)> {
    values::description(description)?;
    let id = PREFIX.to_owned() + &external::letters(ID)?;
    let secret = external::letters(SECRET)?;
    let salt = external::letters(ID)?;
    let kept = hash::salted(salt.as_bytes(), &secret);
    let mut conn = database.begin(db::Scope::Store).await?;
    if let Some((kind, named)) = named(scope)
        && keys::find_external(&mut conn, named).await?.is_none_or(|(found, _)| found != kind)
    {
        conn.end().await;
        let message = format!("there is no {} {named}; its id is in status.externalId of its object", kind.as_str().to_lowercase());
        return Err(BackendError::Invalid { field: "scope".into(), message });
    }
    let created_at = Timestamp::now().to_string();
    let info = TokenInfo { id, scope: scope.clone(), description: description.to_owned(), created_at, revoked_at: None };
    let sql = "INSERT INTO tokens (id, hash, scope, description, created_at) VALUES ($1, $2, $3, $4, $5)";
    let statement = query(sql).bind(&info.id).bind(kept).bind(scope.to_string()).bind(&info.description).bind(&info.created_at);
    statement.execute(&mut conn).await?;
    conn.commit().await?;
    let token = SecretString::from(format!("{}_{secret}", info.id));
    Ok((info, token))
}

/// The row that a scope is about.
fn named(scope: &Scope) -> Option<(RowKind, &str)> {
    match scope {
        Scope::Admin => None,
        Scope::Account(id) => Some((RowKind::Account, id)),
        Scope::Transcripts(id) => Some((RowKind::Organization, id)),
    }
}

async fn revoke(database: &Database, id: &str) -> Result<Option<TokenInfo>> {
    let mut conn = database.begin(db::Scope::Store).await?;
    let sql = "UPDATE tokens SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1
        RETURNING id, hash, scope, description, created_at, revoked_at";
    let revoked: Option<Kept> = query(sql).bind(id).bind(Timestamp::now().to_string()).fetch_optional(&mut conn).await?;
    conn.commit().await?;
    Ok(revoked.and_then(Kept::info))
}
