//! Wakes: which object should be looked at again, told after the commit to the process that looks after it.
//!
//! On `SQLite` this process is the only one: whoever listens in it is told with the commit. On `PostgreSQL` whoever frees a place may not
//! be the process that looks after whoever waits for it, so a wake is announced to all of them ([`super::announcements`]).
//!
//! What is told while nobody listens is lost; so who begins to listen hears first of all tickets that have something to hear.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sqlx::PgConnection;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::backend::Wake;
use crate::domain::rows::RowKind;

use super::announcements::{self, Listener};
use super::db::postgres::Postgres;
use super::db::{Conn, Database, query};
use super::error::in_words;
use super::operators::{Operator, select_operators};
use super::queue::{Ticket, select_tickets};

/// A wake, and the owner it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) owner: String,
    pub(super) wake: Wake,
}

/// Whoever listens for an owner.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    pub(super) owner: String,
    wakes: UnboundedSender<Wake>,
}

/// All who listen in this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Ears(Arc<Mutex<Vec<Ear>>>);

impl Ears {
    fn all(&self) -> MutexGuard<'_, Vec<Ear>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one, and forgets those that no longer listen.
    pub(super) fn add(&self, ear: Ear) {
        let mut ears = self.all();
        ears.retain(|ear| !ear.wakes.is_closed());
        ears.push(ear);
    }

    /// Those for whom somebody listens.
    pub(super) fn owners(&self) -> Vec<String> {
        let mut owners: Vec<String> = self.all().iter().map(|ear| ear.owner.clone()).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// Tells who listens for its owner.
    pub(super) fn tell(&self, told: &Told) {
        for ear in self.all().iter().filter(|ear| ear.owner == told.owner) {
            ear.hear(told.wake.clone());
        }
    }
}

impl Ear {
    pub(super) fn hear(&self, wake: Wake) {
        // Whoever listened may have gone.
        let _ = self.wakes.send(wake);
    }
}

/// Where wakes are told: to all processes of the store, or to who listens in this one.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    store: String,
    ears: Ears,
    /// Who begins to listen, on its way to the task that hears the other processes. It starts with the first.
    arrivals: Arc<OnceLock<UnboundedSender<Ear>>>,
    /// Counts what was committed, here or elsewhere.
    changes: watch::Sender<u64>,
    /// Counts what was committed here, for the task that tells the other processes. It starts with the first who follows changes.
    own_changes: Arc<OnceLock<watch::Sender<u64>>>,
}

impl Voice {
    pub(super) fn new(store: String) -> Self {
        Self { store, ears: Ears::default(), arrivals: Arc::default(), changes: watch::Sender::new(0), own_changes: Arc::default() }
    }

    /// Listens for an owner.
    pub(super) fn wakes(&self, database: &Database, owner: &str) -> UnboundedReceiver<Wake> {
        let (wakes, heard) = unbounded_channel();
        let ear = Ear { owner: owner.to_owned(), wakes };
        match database {
            Database::Sqlite(_) => {
                self.ears.add(ear.clone());
                greet_with_the_next(database, ear);
            }
            Database::Postgres(postgres) => {
                // It ends with the store only.
                let _ = self.listening(postgres).send(ear);
            }
        }
        heard
    }

    /// Hears of every commit that changed something.
    pub(super) fn changed(&self, database: &Database) -> watch::Receiver<u64> {
        if let Database::Postgres(postgres) = database {
            self.listening(postgres);
            self.own_changes.get_or_init(|| announcements::ring_elsewhere(&self.store, postgres.clone()));
        }
        self.changes.subscribe()
    }

    /// Tells that something was committed.
    pub(super) fn ring(&self) {
        for count in std::iter::once(&self.changes).chain(self.own_changes.get()) {
            count.send_modify(|count| *count += 1);
        }
    }

    fn listening(&self, postgres: &Postgres) -> &UnboundedSender<Ear> {
        self.arrivals.get_or_init(|| Listener::start(&self.store, postgres.clone(), self.ears.clone(), self.changes.clone()))
    }

    /// Tells who listens in this process.
    pub(super) fn tell(&self, wakes: &[Told]) {
        for told in wakes {
            self.ears.tell(told);
        }
    }

    /// Tells all processes, should the transaction commit.
    pub(super) async fn announce(&self, conn: &mut PgConnection, wakes: &[Told]) -> sqlx::Result<()> {
        announcements::announce(&self.store, conn, wakes).await
    }
}

/// Tells whoever begins to listen what it may have missed: as the next to write, so that what it hears afterwards is newer.
fn greet_with_the_next(database: &Database, ear: Ear) {
    let Some(turn) = database.turn() else { return };
    tokio::spawn(async move {
        let greeted = async {
            let mut conn = turn.await?;
            missed(&mut conn, &ear.owner).await?.into_iter().for_each(|wake| ear.hear(wake));
            conn.end().await;
            Ok::<_, sqlx::Error>(())
        };
        if let Err(error) = greeted.await {
            tracing::warn!(error = in_words(&error), "what the store has to say to whoever waits could not be read");
        }
    });
}

/// All that may have been told to nobody.
pub(super) async fn missed(conn: &mut Conn, owner: &str) -> sqlx::Result<Vec<Wake>> {
    let sql = select_tickets!("WHERE owner = $1 AND NOT paused AND (reserved OR position IS NOT NULL) ORDER BY number");
    let tickets: Vec<Ticket> = query(sql).bind(owner).fetch_all(conn).await?;
    let sql = select_operators!("WHERE p.owner = $1 AND p.leaving IS NOT NULL ORDER BY p.id");
    let leaving: Vec<Operator> = query(sql).bind(owner).fetch_all(conn).await?;
    let tickets = tickets.iter().map(|ticket| Wake { tag: ticket.tag(), ticket: Some(ticket.view()) });
    let leaving = leaving.iter().filter_map(|operator| Some(Wake { tag: operator.head.tag(RowKind::Operator)?, ticket: None }));
    Ok(tickets.chain(leaving).collect())
}
