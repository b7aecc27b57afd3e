//! What only `PostgreSQL` has: a server that goes away, a pool that is used up, other processes, passwords.

use std::sync::Arc;

use super::*;
use crate::store::db::Scope;

impl World {
    /// On a server of its own.
    async fn apart() -> (Self, Cluster) {
        let cluster = Cluster::start();
        let location = Location::parse(&cluster.url().await).expect("a URL");
        let folder = TempDir::new().expect("a temporary folder");
        let store = Store::open(&location).await.expect("a new store");
        let session = store.begin_epoch("owner").await.expect("an epoch");
        let wakes = store.take_wakes("owner");
        let world = Self { store: Arc::new(store), serving: None, session, wakes, location, folder };
        world.account("acme", UNLIMITED).await.expect("an account");
        world.organization("org").await.expect("an organization");
        (world, cluster)
    }

    /// Another process on the same store, for the same owner in the same epoch: as replicas of a server are.
    pub(super) async fn beside(&self) -> Self {
        let store = Store::open(&self.location).await.expect("the store");
        let (session, wakes) = (self.session.clone(), store.take_wakes(&self.session.owner));
        Self {
            store: Arc::new(store),
            serving: None,
            session,
            wakes,
            location: self.location.clone(),
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    /// Waits until that object was given its place.
    pub(super) async fn granted(&mut self, name: &str) {
        let granted = async {
            while let Some(wake) = self.wakes.recv().await {
                if wake.tag == tag(RowKind::Operator, name) && wake.ticket.is_some_and(|ticket| ticket.reserved) {
                    return;
                }
            }
            panic!("nobody tells any more");
        };
        in_time(&format!("the place of {name}"), granted).await;
    }

    pub(super) fn connections(&self) -> &sqlx::PgPool {
        match self.store.database() {
            Database::Postgres(database) => database.connections(),
            Database::Sqlite(_) => panic!("not PostgreSQL"),
        }
    }
}

/// Whatever the server was doing when it went: what is said to be done is done, what is said not to be is not, and then it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_goes_in_mid_request_leaves_nothing_half_done() {
    let (world, cluster) = World::apart().await;
    let world = Arc::new(world);
    for round in 0..3 {
        let name = move |number: usize| format!("o{round}-{number}");
        let calls: Vec<_> = (0..60)
            .map(|number| {
                let world = Arc::clone(&world);
                tokio::spawn(async move { world.operator("org", &name(number)).await })
            })
            .collect();
        // Some are done, some are under way, some have not begun.
        in_time("the first row", async { while world.lookup(&name(0)).await == Answer::Unknown {} }).await;
        cluster.stop();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.expect("no panic"));
        }
        cluster.restart();
        for (number, answer) in answers.into_iter().enumerate() {
            let is_there = matches!(world.lookup(&name(number)).await, Answer::Present(_));
            match answer {
                Ok(_) => assert!(is_there, "{number} is lost"),
                Err(BackendError::Transient(_)) => assert!(!is_there, "{number} is there"),
                Err(BackendError::OutcomeUnknown(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        world.operator("org", &format!("after{round}")).await.expect("it goes on");
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn a_pool_that_is_used_up_is_said_and_survived() {
    for on in [On::Postgres, On::ServerOnPostgres] {
        a_pool_is_used_up(on).await;
    }
}

async fn a_pool_is_used_up(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("org").await.unwrap();
    let mut held = Vec::new();
    while held.len() < 10 {
        held.push(world.connections().acquire().await.unwrap());
    }
    let refused = world.operator("org", "tom").await;
    assert!(matches!(&refused, Err(BackendError::Transient(why)) if why.contains("no free connection")), "{refused:?}");
    drop(held);
    world.operator("org", "tom").await.unwrap();
}

#[tokio::test]
async fn a_seat_freed_by_one_process_goes_to_who_waits_at_another() {
    let world = World::with_account(On::Postgres, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    let mut other = world.beside().await;
    missing(other.operator("org", "eva").await);
    world.delete("tom").await.unwrap();
    other.granted("eva").await;
    other.operator("org", "eva").await.unwrap();
    world.assert_whole().await;
}

#[tokio::test]
async fn who_could_not_listen_is_told_afterwards() {
    let world = World::with_account(On::Postgres, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    let mut other = world.beside().await;
    missing(other.operator("org", "eva").await);
    let listeners = format!("query = 'LISTEN \"deskplane_{}\"'", world.store.id());
    let deadline = std::time::Instant::now() + DEADLINE;
    let cut = format!("SELECT COUNT(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listeners}) AS ended");
    while sqlx::query_scalar::<_, i64>(AssertSqlSafe(cut.clone())).fetch_one(world.connections()).await.unwrap() == 0 {
        assert!(std::time::Instant::now() < deadline, "nobody listens");
    }
    world.delete("tom").await.unwrap();
    other.granted("eva").await;
}

#[tokio::test]
async fn an_account_that_is_locked_holds_up_no_other() {
    let world = World::with_account(On::Postgres, seats(9)).await;
    world.account("beta", seats(9)).await.unwrap();
    world.organization("org").await.unwrap();
    let (owner, org) = (&world.session.owner, key("org"));
    let scope = Scope::Rows { store: world.store.id(), owner, keys: &[&org] };
    let held = world.store.database().begin(scope).await.unwrap();
    world.account("beta", seats(8)).await.expect("another account");
    let refused = world.operator("org", "tom").await;
    assert!(matches!(&refused, Err(BackendError::Transient(why)) if why.contains("busy")), "{refused:?}");
    drop(held);
    world.operator("org", "tom").await.unwrap();
}

/// Another program writes in another order than we do: the server ends our transaction, and we begin it again.
#[tokio::test]
async fn a_deadlock_with_another_program_is_begun_again() {
    let world = World::with_account(On::Postgres, seats(9)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    let mut other = world.connections().begin().await.unwrap();
    // Its own search for a deadlock comes later than ours.
    let first = "SET LOCAL deadlock_timeout = '1min'; UPDATE operators SET nickname = 'T' WHERE key = 'uid-tom'";
    sqlx::raw_sql(first).execute(&mut *other).await.unwrap();
    let deletion = world.delete("tom");
    let crossing = async {
        let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'transactionid' AND query LIKE 'DELETE FROM operators%'";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut *other).await.unwrap() == 0 {
            sqlx::raw_sql("SELECT pg_stat_clear_snapshot()").execute(&mut *other).await.unwrap();
        }
        sqlx::query("UPDATE accounts SET owner_display_name = 'Ada' WHERE key = 'uid-acme'").execute(&mut *other).await.unwrap();
        other.commit().await.unwrap();
    };
    let (deleted, ()) = in_time("the deletion", Box::pin(async { tokio::join!(deletion, crossing) })).await;
    deleted.unwrap();
    assert_eq!(world.lookup("tom").await, Answer::Erased);
    world.assert_whole().await;
}

/// A process that stands still in mid-transaction holds up the next epoch for a bounded time.
#[tokio::test]
async fn a_process_that_stands_still_is_ended_by_the_server() {
    let world = World::with_account(On::Postgres, seats(9)).await;
    let (owner, acme) = (&world.session.owner, key("acme"));
    let scope = Scope::Rows { store: world.store.id(), owner, keys: &[&acme] };
    let mut standing_still = world.store.database().begin(scope).await.unwrap();
    let begun = async {
        while let Err(error) = world.store.begin_epoch("owner").await {
            assert!(matches!(error, BackendError::Transient(_)), "{error:?}");
        }
    };
    in_time("the next epoch", begun).await;
    let refused = standing_still.commit().await;
    assert!(refused.is_err(), "it comes back too late");
}

/// The certificate is for `localhost`, by an authority of the server's own.
#[tokio::test]
async fn the_server_must_prove_who_it_is_and_the_password_is_never_shown() {
    let cluster = Cluster::shared();
    let (port, password, authority) = (cluster.file("port"), cluster.file("password"), cluster.path("ca.crt"));
    let location = |host: &str, password: &str, more: &str| {
        Location::parse(&format!("postgres://deskplane:{password}@{host}:{port}/postgres?{more}")).unwrap()
    };
    let trusted = location("localhost", &password, &format!("sslrootcert={authority}"));
    let refusal = async |location: Location| {
        let error = Store::open_readonly(&location).await.expect_err("an error");
        for shown in [error.to_string(), format!("{error:?}"), location.to_string(), format!("{location:?}")] {
            assert!(!shown.contains(&password) && !shown.contains("wrong-secret"), "{shown}");
        }
        error.to_string()
    };
    let other_name = location("127.0.0.1", &password, &format!("sslrootcert={authority}"));
    assert!(refusal(other_name).await.contains("certificate"));
    assert!(refusal(location("localhost", &password, "")).await.contains("certificate"), "an authority nobody named");
    let wrong = location("localhost", "wrong-secret", &format!("sslrootcert={authority}"));
    assert!(refusal(wrong).await.contains("refuses the user or its password"));
    // No store is in the schema of everybody: that the version is asked for shows that it was let in.
    assert!(refusal(trusted).await.contains("there is no store in it"));
    let bad = Location::parse(&format!("postgres://deskplane:{password}@localhost:port/postgres")).expect_err("an error");
    assert!(!format!("{bad} {bad:?}").contains(&password));
}
