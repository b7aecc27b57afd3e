//! One mutation's transaction: fenced when it begins, settled and committed when it ends, rolled back when it is dropped.

use std::collections::{BTreeSet, HashSet};

use sqlx::FromRow;

use crate::backend::{BackendError, Result, Session, Wake};
use crate::domain::etag::Condition;
use crate::domain::rows::{Key, OwnerTag, TicketView};

use super::db::{Conn, Database, Erased, Scope, query};
use super::error::{Step, Stop, commit_failed, refused};
use super::replies::{self, Reply};
use super::wakes::{Told, Voice};
use super::write::{Once, Write};
use super::{Store, keys, lookup, queue, settle};

/// How often a transaction is begun that the database ends in favour of others.
const ATTEMPTS: usize = 5;

/// What of a key belongs to another owner. A key at a time: for a list of them `SQLite` would make a table of its own.
macro_rules! foreign {
    ($key:literal) => {
        concat!(
            "SELECT 'Account' FROM accounts WHERE key = ",
            $key,
            " AND owner <> $1 UNION ALL SELECT 'Organization' FROM organizations WHERE key = ",
            $key,
            " AND owner <> $1 UNION ALL SELECT 'Operator' FROM operators WHERE key = ",
            $key,
            " AND owner <> $1 UNION ALL SELECT 'Department' FROM departments WHERE key = ",
            $key,
            " AND owner <> $1 UNION ALL SELECT 'Widget' FROM widgets WHERE key = ",
            $key,
            " AND owner <> $1 UNION ALL SELECT kind FROM tickets WHERE key = ",
            $key,
            " AND owner <> $1"
        )
    };
}

macro_rules! fence {
    ($($more:literal)*) => {
        concat!(
            "SELECT m.store_id, COALESCE((SELECT e.epoch FROM epochs e WHERE e.owner = $1), 0) AS epoch,
             (SELECT r.outcome FROM receipts r WHERE r.key = $2) AS outcome, (",
            foreign!("$2"),
            $(" UNION ALL ", foreign!($more),)*
            " LIMIT 1) AS foreign_kind FROM meta m WHERE m.only_row = 1"
        )
    };
}

/// Which store it is, the epoch in force, whether the first key's row is gone for good, and what of the keys belongs to another owner:
/// for one key, two, or three, which is as many as a mutation names.
pub(super) const FENCES: [&str; 3] = [fence!(), fence!("$3"), fence!("$3" "$4")];

#[derive(FromRow)]
struct Fence {
    store_id: String,
    epoch: i64,
    outcome: Option<String>,
    foreign_kind: Option<String>,
}

impl Fence {
    /// Lets in who writes to this store, in the epoch in force, to what is its own or nobody's.
    fn lets_in(&self, session: &Session) -> Result<()> {
        if self.store_id != session.store_id {
            return Err(BackendError::WrongStore { found: self.store_id.clone() });
        }
        if self.epoch != session.epoch {
            return Err(BackendError::Fenced { current: self.epoch });
        }
        match &self.foreign_kind {
            Some(kind) => Err(BackendError::Forbidden(format!(
                "the {kind} belongs to another owner id, whose rows and tickets only its controller changes; was --owner-id changed?"
            ))),
            None => Ok(()),
        }
    }
}

/// A transaction that writes.
#[derive(Debug)]
pub(super) struct Tx {
    pub(super) session: Session,
    /// The time that goes with everything it writes.
    pub(super) now: String,
    /// Something was written: without it, the end is a rollback.
    pub(super) changed: bool,
    pub(super) erased: Erased,
    subject: Option<Key>,
    once: Option<Once>,
    outcome: Option<String>,
    freed: BTreeSet<i64>,
    wakes: Vec<Told>,
    conn: Conn,
    database: Database,
    voice: Voice,
}

impl Store {
    /// A mutation for the first of `keys`, which name all objects that it is about: `work` begins in a transaction, in the right store and
    /// the epoch in force, and ends it by [`Tx::finish`]. What the database ends in favour of others is begun again.
    pub(super) async fn mutate<T, W, F>(&self, write: Write<'_>, keys: &[&Key], work: W) -> Result<T>
    where
        T: Reply,
        W: Fn(Tx) -> F,
        F: Future<Output = Step<T>>,
    {
        let Write { session, condition, once } = write;
        let scope = Scope::Rows { store: &self.id, owner: &session.owner, keys };
        let attempt = async || {
            let mut tx = Tx::fenced(self, scope, session, keys).await?;
            if let Some(answer) = tx.answered(once).await? {
                return tx.finish(Ok(answer)).await;
            }
            tx.require(condition).await?;
            work(tx).await
        };
        let mut attempts = Attempts::default();
        loop {
            let ended = attempt().await;
            if !attempts.another(&ended) {
                return Ok(ended?);
            }
        }
    }
}

/// Counts how often a transaction is begun that the database ends in favour of others.
#[derive(Default)]
pub(super) struct Attempts(usize);

impl Attempts {
    /// Whether there is another one after that which ended so.
    pub(super) fn another<T>(&mut self, ended: &Step<T>) -> bool {
        self.0 += 1;
        self.0 < ATTEMPTS && matches!(ended, Err(Stop::Overtaken))
    }
}

impl Tx {
    /// Begins to write, without asking who does.
    pub(super) async fn begin(store: &Store, scope: Scope<'_>, session: Session) -> Step<Self> {
        let conn = store.database().begin(scope).await?;
        Ok(Self {
            session,
            now: jiff::Timestamp::now().to_string(),
            changed: false,
            erased: Erased::Nothing,
            subject: None,
            once: None,
            outcome: None,
            freed: BTreeSet::new(),
            wakes: Vec::new(),
            conn,
            database: store.database().clone(),
            voice: store.voice.clone(),
        })
    }

    /// Begins a mutation for the first of the keys.
    async fn fenced(store: &Store, scope: Scope<'_>, session: &Session, keys: &[&Key]) -> Step<Self> {
        let mut tx = Self::begin(store, scope, session.clone()).await?;
        let subject = keys[0];
        let fence = keys.iter().fold(query(FENCES[keys.len() - 1]).bind(&session.owner), |fence, key| fence.bind(&key.0));
        let fence: Fence = fence.fetch_one(tx.conn()).await?;
        if !store.is_still(&fence.store_id) {
            return Err(Stop::Failed(BackendError::WrongStore { found: fence.store_id }));
        }
        fence.lets_in(session).map_err(Stop::Failed)?;
        tx.subject = Some(subject.clone());
        tx.outcome = fence.outcome;
        Ok(tx)
    }

    /// The answer that was given to this request before. Without one, that which is given now is kept.
    pub(super) async fn answered<T: Reply>(&mut self, once: Option<&Once>) -> Step<Option<T>> {
        let Some(once) = once else { return Ok(None) };
        let answer = replies::find(&mut self.conn, once).await?;
        if answer.is_none() {
            self.once = Some(once.clone());
        }
        Ok(answer)
    }

    /// Refuses when the subject's row is not as it must be.
    async fn require(&mut self, condition: Option<&Condition>) -> Step<()> {
        let (Some(condition), Some(key)) = (condition, self.subject.clone()) else { return Ok(()) };
        let row = match keys::find(&mut self.conn, &key).await? {
            Some((kind, id)) => Some(lookup::row(&mut self.conn, kind, id).await?),
            None => None,
        };
        if condition.holds(row.as_ref()) { Ok(()) } else { Err(Stop::Failed(BackendError::PreconditionFailed)) }
    }

    /// The connection, for statements.
    pub(super) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Refuses when the row of the key was erased or let go: nothing is made for it again.
    pub(super) fn not_gone(&self) -> Step<()> {
        match self.outcome.as_deref() {
            None => Ok(()),
            Some("released") => refused(BackendError::Released),
            Some(_) => refused(BackendError::Erased),
        }
    }

    /// Places of this account may have become free: grants follow before the commit.
    pub(super) fn frees(&mut self, account: i64) {
        self.changed = true;
        self.freed.insert(account);
    }

    /// Wakes an object of `owner` after the commit.
    pub(super) fn wake(&mut self, owner: &str, tag: OwnerTag, ticket: Option<TicketView>) {
        self.wakes.push(Told { owner: owner.to_owned(), wake: Wake { tag, ticket } });
    }

    /// Ends the mutation: commits what it wrote, wakes, and hands its answer back.
    pub(super) async fn finish<T: Reply>(mut self, answer: Step<T>) -> Step<T> {
        match &answer {
            Err(Stop::Overtaken | Stop::Failed(_)) => return answer,
            Err(Stop::Refused(error)) => self.give_up_ticket(error).await?,
            Ok(answer) => {
                if let Some(once) = self.once.take() {
                    replies::keep(&mut self, &once, answer).await?;
                }
            }
        }
        // Also where nothing was written: a wake may be all there is to do.
        if self.changed || !self.wakes.is_empty() {
            self.commit().await?;
        } else {
            self.conn.end().await;
        }
        answer
    }

    /// Whoever is refused for another reason than the limit waits no longer (rule 2).
    async fn give_up_ticket(&mut self, error: &BackendError) -> Step<()> {
        match self.subject.clone() {
            Some(key) if !matches!(error, BackendError::LimitExceeded { .. }) => Ok(queue::drop_of(self, &key).await?),
            _ => Ok(()),
        }
    }

    async fn commit(mut self) -> Step<()> {
        for account in std::mem::take(&mut self.freed) {
            settle::settle(&mut self, account).await?;
        }
        if self.erased != Erased::Nothing {
            self.conn.mark_erased().await?;
        }
        self.wakes = last_of_each(std::mem::take(&mut self.wakes));
        if let Conn::Postgres(transaction) = &mut self.conn {
            self.voice.announce(transaction.conn(), &self.wakes).await?;
        }
        // From here on it no longer matters whether the caller still waits: a commit without its wakes would leave objects asleep.
        let ending = tokio::spawn(self.conclude());
        let closed = || Stop::Failed(BackendError::OutcomeUnknown("the store was closed meanwhile".to_owned()));
        ending.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn conclude(mut self) -> Step<()> {
        self.conn.commit().await.map_err(|error| commit_failed(&error))?;
        // While nobody else can commit: wakes are told in the order of the commits.
        if let Conn::SqliteWriter(_) = self.conn {
            self.voice.tell(&self.wakes);
        }
        drop(self.conn);
        if self.changed {
            self.voice.ring();
        }
        self.database.erased(self.erased).await;
        Ok(())
    }
}

/// An object woken twice by one transaction hears the last word only.
fn last_of_each(wakes: Vec<Told>) -> Vec<Told> {
    let mut seen = HashSet::new();
    let mut last: Vec<Told> = wakes.into_iter().rev().filter(|told| seen.insert(told.wake.tag.key.clone())).collect();
    last.reverse();
    last
}
