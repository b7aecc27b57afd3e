//! Transcripts: written and listed for one organization at a time, never moved and never copied (rule 8).
//!
//! Whoever has a chat to store is no owner of objects and has no epoch: a transaction here is alone with the organization's account, and
//! so finds the organization's settings as they are when it commits.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::backend::{BackendError, Cursor, Result, Session};
use crate::domain::rows::RowKind;
use crate::domain::transcript::{Admitted, StoredTranscript, Transcript};

use super::db::{Conn, Scope, Value, query, values};
use super::epochs::STORE_ID;
use super::error::{Step, Stop, refused};
use super::listing::number;
use super::organizations::PrivacyColumns;
use super::tx::{Attempts, Tx};
use super::write::Once;
use super::{Store, external};

/// How many transcripts are stored at once: in one transaction, so that whoever sends them again after a failure has none twice.
pub const TRANSCRIPTS_AT_ONCE: usize = 500;

/// How many transcripts a page has.
pub(super) const PAGE: i64 = 100;

/// A page of an organization's transcripts, in the order in which they were stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptPage {
    /// The transcripts.
    pub transcripts: Vec<StoredTranscript>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

pub(super) const BY_EXTERNAL_ID: &str = "SELECT external_id FROM organizations WHERE external_id = $1";
pub(super) const BY_KEY: &str = "SELECT external_id FROM organizations WHERE key = $1";
pub(super) const HOME: &str = "SELECT g.id, g.erasing, a.erasing AS account_erasing, g.store_transcripts, g.transcript_retention_days,
    g.anonymize_visitors FROM organizations g JOIN accounts a ON a.id = g.account WHERE g.external_id = $1";
pub(super) const LIST: &str = "SELECT t.id, t.external_id, t.content FROM organizations g JOIN transcripts t ON t.organization = g.id
    WHERE g.external_id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3";

/// The organization that a transcript is to be stored in.
#[derive(FromRow)]
struct Home {
    id: i64,
    erasing: bool,
    account_erasing: bool,
    #[sqlx(flatten)]
    privacy: PrivacyColumns,
}

#[derive(FromRow)]
struct Listed {
    id: i64,
    external_id: String,
    content: String,
}

impl Store {
    /// Stores transcripts in an organization, named by its external id or its key, as its privacy settings let them be stored; says how many.
    ///
    /// All of them, or none where it fails. `Forbidden` where the organization stores none or is being erased, `ParentNotFound` where
    /// there is none, `Invalid` where a transcript is beyond its bounds, or where they are more than [`TRANSCRIPTS_AT_ONCE`].
    pub async fn add_transcripts(&self, organization: &str, transcripts: Vec<Transcript>, once: Option<&Once>) -> Result<u64> {
        if transcripts.len() > TRANSCRIPTS_AT_ONCE {
            let message =
                format!("are {}, and at most {TRANSCRIPTS_AT_ONCE} are stored at once: send fewer, in several requests", transcripts.len());
            return Err(BackendError::Invalid { field: "transcripts".into(), message });
        }
        for (transcript, number) in transcripts.iter().zip(1..) {
            let invalid = |unfit| BackendError::Invalid { field: "transcripts".into(), message: format!("number {number}: {unfit}") };
            transcript.check().map_err(invalid)?;
        }
        let organization = self.external_id_of(organization).await?;
        if transcripts.is_empty() {
            return Ok(0);
        }
        let mut attempts = Attempts::default();
        loop {
            let ended = self.add(&organization, &transcripts, once).await;
            if !attempts.another(&ended) {
                return Ok(ended?);
            }
        }
    }

    /// One page of an organization's transcripts. It is named by its external id or its key.
    pub async fn list_transcripts(&self, organization: &str, after: Option<&Cursor>) -> Result<TranscriptPage> {
        let after = number(after)?;
        let organization = self.external_id_of(organization).await?;
        let mut snapshot = self.reader().snapshot().await?;
        let found: Vec<Listed> = query(LIST).bind(organization).bind(after).bind(PAGE).fetch_all(&mut snapshot).await?;
        let full = i64::try_from(found.len()).is_ok_and(|length| length == PAGE);
        let next = found.last().filter(|_| full).map(|last| Cursor(last.id.to_string()));
        let transcripts = found.into_iter().map(Listed::stored).collect::<std::result::Result<_, sqlx::Error>>()?;
        Ok(TranscriptPage { transcripts, next })
    }

    /// The external id of an organization that is named by it, or else by its key: keys are chosen by others, external ids are not.
    async fn external_id_of(&self, name: &str) -> Result<String> {
        let mut snapshot = self.reader().snapshot().await?;
        for sql in [BY_EXTERNAL_ID, BY_KEY] {
            if let Some(found) = query(sql).bind(name).scalar_optional(&mut snapshot).await? {
                return Ok(found);
            }
        }
        Err(BackendError::ParentNotFound(RowKind::Organization))
    }

    async fn add(&self, organization: &str, transcripts: &[Transcript], once: Option<&Once>) -> Step<u64> {
        let mut tx = self.write_to(organization, "transcripts").await?;
        if let Some(stored) = tx.answered(once).await? {
            return tx.finish(Ok(stored)).await;
        }
        let answer = insert(&mut tx, organization, transcripts).await;
        tx.finish(answer).await
    }

    /// Begins to write to what belongs to a row, on behalf of no object.
    pub(super) async fn write_to(&self, external_id: &str, who: &str) -> Step<Tx> {
        let session = Session { owner: format!("deskplane {who}"), epoch: 0, store_id: self.id().to_owned() };
        let mut tx = Tx::begin(self, Scope::External { external_id }, session).await?;
        let found: String = query(STORE_ID).scalar(tx.conn()).await?;
        if self.is_still(&found) { Ok(tx) } else { Err(Stop::Failed(BackendError::WrongStore { found })) }
    }
}

impl Listed {
    fn stored(self) -> std::result::Result<StoredTranscript, sqlx::Error> {
        let transcript = serde_json::from_str(&self.content).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(StoredTranscript { external_id: self.external_id, transcript })
    }
}

async fn insert(tx: &mut Tx, organization: &str, transcripts: &[Transcript]) -> Step<u64> {
    let home = home(tx.conn(), organization).await?;
    let privacy = home.privacy.privacy();
    if !privacy.stores() {
        let why = format!("organization {organization} stores no transcripts: its spec.privacy.storeTranscripts is false");
        return refused(BackendError::Forbidden(why));
    }
    let now = Timestamp::now();
    let admitted = transcripts.iter().filter_map(|transcript| privacy.admit(transcript.clone()));
    let rows = admitted.map(|admitted| row(&home, &admitted, now)).collect::<Result<Vec<_>>>().map_err(Stop::Failed)?;
    let statement = values("INSERT INTO transcripts (external_id, organization, started_at, content) VALUES ", rows, "");
    let stored = statement.execute(tx.conn()).await?;
    tx.changed = true;
    Ok(stored)
}

/// The organization, if it takes new rows.
async fn home(conn: &mut Conn, organization: &str) -> Step<Home> {
    match query(HOME).bind(organization).fetch_optional::<Home>(conn).await? {
        None => refused(BackendError::ParentNotFound(RowKind::Organization)),
        Some(home) if home.erasing || home.account_erasing => {
            refused(BackendError::Forbidden(format!("organization {organization} is being erased and takes no transcripts")))
        }
        Some(home) => Ok(home),
    }
}

/// Takes nothing but what was admitted: nobody can forget to ask.
fn row(home: &Home, admitted: &Admitted, now: Timestamp) -> Result<[Value; 4]> {
    let content = serde_json::to_string(admitted.transcript());
    let content =
        content.map_err(|_| BackendError::Invalid { field: "transcripts".into(), message: "cannot be written as JSON".to_owned() })?;
    let started_at = admitted.counts_from(now).as_millisecond();
    Ok([external::random("tscr_")?.into(), home.id.into(), started_at.into(), content.into()])
}
