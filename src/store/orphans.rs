//! Rows without an object (rule 18): listed for people, and erased when a person says so.

use serde::Serialize;
use sqlx::FromRow;

use crate::backend::{BackendError, Erasing, Session};
use crate::domain::rows::RowKind;

use super::audit::Action;
use super::db::{Erased, Scope, query};
use super::error::{Step, StoreError};
use super::keys::Placed;
use super::open::Reader;
use super::tx::Tx;
use super::{Store, deletion, erasure, handover, keys, operators};

/// Why a row is an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum OrphanState {
    /// Its object vanished without cleanup.
    Quarantined,
    /// Made by others, or let go.
    Unmanaged,
}

/// A row without an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// Its id: what `store erase-row` takes.
    pub external_id: String,
    /// Its kind.
    #[serde(serialize_with = "kind_name")]
    pub kind: RowKind,
    /// Why it is one.
    pub state: OrphanState,
    /// External id of its account.
    pub account: String,
    /// External id of its organization; `None` for accounts and organizations.
    pub organization: Option<String>,
    /// Whose it was: `namespace/name`, where that is known.
    pub was: Option<String>,
    /// Its name, as people see it; of an account, that of its first organization. Never an e-mail.
    pub name: Option<String>,
    /// What is in it; `None` for operators, departments and widgets.
    pub contents: Option<Contents>,
}

/// What is in an account or organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// Organizations; 1 for an organization.
    pub organizations: i64,
    /// Operators, suspended ones included.
    pub operators: i64,
    /// Departments.
    pub departments: i64,
    /// Widgets.
    pub widgets: i64,
    /// Transcripts.
    pub transcripts: i64,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn kind_name<S: serde::Serializer>(kind: &RowKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

#[derive(FromRow)]
struct Listed {
    external_id: String,
    quarantined: bool,
    account: String,
    organization: Option<String>,
    owner_namespace: Option<String>,
    owner_name: Option<String>,
    name: Option<String>,
    organizations: i64,
    operators: i64,
    departments: i64,
    widgets: i64,
    transcripts: i64,
}

const ACCOUNTS: &str =
    "SELECT a.external_id, a.quarantined, a.external_id AS account, NULL AS organization, a.owner_namespace, a.owner_name,
    (SELECT g.display_name FROM organizations g WHERE g.account = a.id ORDER BY g.id LIMIT 1) AS name,
    (SELECT COUNT(*) FROM organizations g WHERE g.account = a.id) AS organizations,
    (SELECT COUNT(*) FROM operators r WHERE r.account = a.id) AS operators,
    (SELECT COUNT(*) FROM departments r WHERE r.account = a.id) AS departments,
    (SELECT COUNT(*) FROM widgets r WHERE r.account = a.id) AS widgets,
    (SELECT COUNT(*) FROM transcripts t JOIN organizations g ON g.id = t.organization WHERE g.account = a.id) AS transcripts
    FROM accounts a WHERE a.key IS NULL OR a.quarantined ORDER BY a.id";
const ORGANIZATIONS: &str = "SELECT g.external_id, g.quarantined, a.external_id AS account, NULL AS organization, g.owner_namespace,
    g.owner_name, g.display_name AS name, CAST(1 AS BIGINT) AS organizations,
    (SELECT COUNT(*) FROM operators r WHERE r.organization = g.id) AS operators,
    (SELECT COUNT(*) FROM departments r WHERE r.organization = g.id) AS departments,
    (SELECT COUNT(*) FROM widgets r WHERE r.organization = g.id) AS widgets,
    (SELECT COUNT(*) FROM transcripts t WHERE t.organization = g.id) AS transcripts
    FROM organizations g JOIN accounts a ON a.id = g.account WHERE g.key IS NULL OR g.quarantined ORDER BY g.id";

macro_rules! below {
    ($table:literal) => {
        concat!(
            "SELECT r.external_id, r.quarantined, a.external_id AS account, g.external_id AS organization, r.owner_namespace, r.owner_name,
             r.display_name AS name, CAST(0 AS BIGINT) AS organizations, CAST(0 AS BIGINT) AS operators, CAST(0 AS BIGINT) AS departments,
             CAST(0 AS BIGINT) AS widgets, CAST(0 AS BIGINT) AS transcripts FROM ",
            $table,
            " r JOIN accounts a ON a.id = r.account JOIN organizations g ON g.id = r.organization
             WHERE r.key IS NULL OR r.quarantined ORDER BY r.id"
        )
    };
}

const TABLES: [(RowKind, &str); 5] = [
    (RowKind::Account, ACCOUNTS),
    (RowKind::Organization, ORGANIZATIONS),
    (RowKind::Operator, below!("operators")),
    (RowKind::Department, below!("departments")),
    (RowKind::Widget, below!("widgets")),
];

impl Reader {
    /// All rows without an object: accounts first, then organizations, operators, departments, widgets.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let mut orphans = Vec::new();
        for (kind, sql) in TABLES {
            let rows: Vec<Listed> = query(sql).fetch_all(&mut snapshot).await?;
            orphans.extend(rows.into_iter().map(|row| row.orphan(kind)));
        }
        Ok(orphans)
    }
}

impl Listed {
    fn orphan(self, kind: RowKind) -> Orphan {
        let Self { organizations, operators, departments, widgets, transcripts, .. } = self;
        let has_contents = matches!(kind, RowKind::Account | RowKind::Organization);
        Orphan {
            external_id: self.external_id,
            kind,
            state: if self.quarantined { OrphanState::Quarantined } else { OrphanState::Unmanaged },
            account: self.account,
            organization: self.organization,
            was: self.owner_namespace.zip(self.owner_name).map(|(namespace, name)| format!("{namespace}/{name}")),
            name: self.name,
            contents: has_contents.then_some(Contents { organizations, operators, departments, widgets, transcripts }),
        }
    }
}

impl Store {
    /// Erases a row without an object: an organization with all in it, an account without organizations that have objects.
    /// `progress` hears how many rows are left. Needs no session: what has an object is refused.
    pub async fn erase_row(&self, external_id: &str, mut progress: impl FnMut(Erasing) + Send) -> Result<(), StoreError> {
        let session = Session { owner: "deskplane store erase-row".to_owned(), epoch: 0, store_id: self.id.clone() };
        let Some((kind, id)) = keys::find_external(&mut self.reader().snapshot().await?, external_id).await? else {
            return Err(StoreError::Refused(format!(
                "there is no row {external_id}; `deskplane store orphans` lists those that can be erased"
            )));
        };
        let mut begun = false;
        loop {
            let mut tx = Tx::begin(self, Scope::External { external_id }, session.clone()).await.map_err(BackendError::from)?;
            let row = keys::get(tx.conn(), kind, id).await?;
            // An erasure once begun is finished, whatever the row looks like meanwhile.
            if !begun {
                erasable(kind, &row)?;
            }
            begun = true;
            let answer = erase(&mut tx, kind, id, &row).await;
            let erasing = tx.finish(answer).await.map_err(|stop| in_use(kind, stop.into()))?;
            progress(erasing);
            if erasing.remaining == 0 {
                return Ok(());
            }
        }
    }
}

async fn erase(tx: &mut Tx, kind: RowKind, id: i64, row: &Placed) -> Step<Erasing> {
    match kind {
        RowKind::Organization => return erasure::organization(tx, id).await,
        RowKind::Account => return erasure::account(tx, id).await,
        RowKind::Operator => {
            let operator = operators::get(tx.conn(), id).await?;
            handover::must_hold(tx, &operator).await?;
        }
        RowKind::Department | RowKind::Widget => {}
    }
    deletion::erase_row(tx, kind, row, Action::Erase).await?;
    tx.erased = Erased::All;
    Ok(Erasing { remaining: 0 })
}

fn erasable(kind: RowKind, row: &Placed) -> Result<(), StoreError> {
    match row.head.tag(kind) {
        Some(tag) if !row.head.quarantined => {
            let (id, kind) = (&row.head.external_id, kind.as_str());
            Err(StoreError::Refused(format!("{id} belongs to the {kind} {}/{}; delete that object instead", tag.namespace, tag.name)))
        }
        _ => Ok(()),
    }
}

fn in_use(kind: RowKind, error: BackendError) -> StoreError {
    match error {
        BackendError::LastOperator => StoreError::Refused(
            "this is the last operator of its organization who holds a seat; give the organization another one, or erase it".to_owned(),
        ),
        BackendError::InUse(what) => StoreError::Refused(format!("the {} is in use: {what}", kind.as_str())),
        error => StoreError::Failed(error),
    }
}
