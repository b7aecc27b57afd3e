//! The feed of changes: all of them, once, in an order that nobody overtakes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::domain::changes::{Action, Change, ChangeCursor};

/// What takes milliseconds is waited for this long.
const DEADLINE: Duration = Duration::from_secs(90);

on_both! {
    the_feed_tells_every_change_once_and_in_order,
    whoever_waits_is_told_of_a_change,
    whoever_waits_in_vain_comes_back_with_nothing,
    a_cursor_that_is_none_of_this_store_is_refused,
    the_audit_log_of_an_account_is_read_in_pages,
    credentials_are_changes_too,
}

on_both! { threads:
    no_change_is_skipped_under_concurrent_writers,
}

impl World {
    /// The end, with nothing hidden.
    async fn end(&self) -> ChangeCursor {
        self.all_shown().await;
        self.end_in_sight().await
    }

    /// Waits for the transactions of other tests: they run on the same server, and hold back every feed of it.
    async fn all_shown(&self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut snapshot = self.store.reader().snapshot().await.expect("a snapshot");
            let written: i64 = query("SELECT COALESCE(MAX(xact), 0) FROM audit").scalar(&mut snapshot).await.expect("a number");
            if written < snapshot.horizon().await.expect("a number") {
                return;
            }
            assert!(Instant::now() < deadline, "somebody's transaction does not end");
        }
    }

    async fn end_in_sight(&self) -> ChangeCursor {
        let (none, end) = self.store.changes(None, 10).await.expect("the end");
        assert!(none.is_empty());
        end
    }

    /// All changes after a cursor, some at a time, with nothing hidden.
    async fn follow(&self, after: ChangeCursor, limit: usize) -> Vec<Change> {
        self.all_shown().await;
        self.follow_in_sight(after, limit).await
    }

    async fn follow_in_sight(&self, mut after: ChangeCursor, limit: usize) -> Vec<Change> {
        let mut all = Vec::new();
        loop {
            let (changes, next) = self.store.changes(Some(&after), limit).await.expect("changes");
            assert!(changes.len() <= limit && changes.last().is_none_or(|last| last.cursor == next));
            if changes.is_empty() {
                return all;
            }
            all.extend(changes);
            after = next;
        }
    }
}

async fn the_feed_tells_every_change_once_and_in_order(on: On) {
    let world = World::with_account(on, seats(3)).await;
    let start = world.end().await;
    assert!(world.follow(start.clone(), 10).await.is_empty());
    let organization = world.organization("org").await.unwrap().0.external_id;
    world.operator("org", "tom").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    world.department("org", "sales", &["tom"]).await.unwrap();
    world.widget("org", "web").await.unwrap();
    let middle = world.end().await;
    world.delete("tom").await.unwrap();
    world.store.quarantine(&world.session, &key("web")).await.unwrap();
    world.erase("org").await.unwrap();

    let changes = world.follow(start.clone(), 2).await;
    let told: Vec<_> = changes.iter().map(|change| (change.action, change.kind, change.key.clone().unwrap().0)).collect();
    let expected = [
        (Action::Create, RowKind::Organization, "uid-org"),
        (Action::Create, RowKind::Operator, "uid-org-first"),
        (Action::Create, RowKind::Operator, "uid-tom"),
        (Action::Create, RowKind::Department, "uid-sales"),
        (Action::Create, RowKind::Widget, "uid-web"),
        (Action::Delete, RowKind::Operator, "uid-tom"),
        (Action::Quarantine, RowKind::Widget, "uid-web"),
        (Action::BeginErasing, RowKind::Organization, "uid-org"),
        (Action::Erase, RowKind::Operator, "uid-org-first"),
        (Action::Erase, RowKind::Department, "uid-sales"),
        (Action::Erase, RowKind::Widget, "uid-web"),
        (Action::Erase, RowKind::Organization, "uid-org"),
    ];
    assert_eq!(told, expected.map(|(action, kind, key)| (action, kind, key.to_owned())));
    let account = world.present("acme").await.external_id;
    for change in &changes {
        assert_eq!((&change.owner, change.epoch), (&world.session.owner, world.session.epoch));
        assert_eq!(change.account.as_ref(), Some(&account));
        assert_eq!(change.organization.as_ref(), Some(&organization), "{change:?}");
    }
    assert_eq!(changes[2].seats_held, Some(2));
    assert_eq!(world.follow(middle, 1000).await, changes[5..]);
    assert_eq!(world.follow(changes[10].cursor.clone(), 1000).await, changes[11..]);
    assert_eq!(world.end().await, changes[11].cursor);
    assert_eq!(world.store.changes(Some(&start), 0).await.unwrap().0.len(), 1, "at least one");
}

async fn whoever_waits_is_told_of_a_change(on: On) {
    let world = Arc::new(World::with_account(on, seats(3)).await);
    let start = world.end().await;
    let mut changed = world.store.changed();
    let waiting = {
        let (world, start) = (Arc::clone(&world), start.clone());
        tokio::spawn(async move { world.store.next_changes(&start, 10, DEADLINE).await })
    };
    world.organization("org").await.unwrap();
    let (heard, _) = waiting.await.unwrap().unwrap();
    assert_eq!(heard[0].key, Some(key("org")));
    tokio::time::timeout(DEADLINE, changed.changed()).await.expect("it was told").unwrap();
}

async fn whoever_waits_in_vain_comes_back_with_nothing(on: On) {
    let world = World::with_account(on, seats(3)).await;
    let start = world.end().await;
    let begun = Instant::now();
    let patience = Duration::from_millis(1500);
    assert_eq!(world.store.next_changes(&start, 10, patience).await, Ok((vec![], start)));
    assert!(begun.elapsed() >= patience);
}

async fn a_cursor_that_is_none_of_this_store_is_refused(on: On) {
    let world = World::with_account(on, seats(3)).await;
    let end = world.end().await;
    let id = world.store.id();
    let texts = ["", "1", "store_other.0.0", &format!("{id}.0"), &format!("{id}.a.b"), &format!("{id}.0.0.0"), &format!("{id}0.0")];
    let later = format!("{id}.{}.0", 1_i64 << 60);
    for text in texts.into_iter().chain([later.as_str()]) {
        let refused = world.store.changes(Some(&ChangeCursor(text.to_owned())), 10).await;
        assert!(matches!(&refused, Err(BackendError::Invalid { field, .. }) if field == "after"), "{text}: {refused:?}");
    }
    // An older copy of the store does not have what the cursor has seen.
    world.others("DELETE FROM audit").await;
    let refused = world.store.changes(Some(&end), 10).await;
    assert!(matches!(&refused, Err(BackendError::Invalid { message, .. }) if message.contains("list everything again")), "{refused:?}");
}

async fn the_audit_log_of_an_account_is_read_in_pages(on: On) {
    let world = World::with_account(on, seats(3)).await;
    world.account("beta", seats(3)).await.unwrap();
    let account = world.present("acme").await.external_id;
    world.organization("org").await.unwrap();
    let more = "INSERT INTO audit (at, owner, epoch, action, kind, external_id, account) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL
        SELECT i + 1 FROM n WHERE i < 600) SELECT 'now', 'owner', 1, 'update', 'Account', external_id, external_id FROM n, accounts
        WHERE key = 'uid-acme'";
    world.others(more).await;
    let (first, next) = world.store.list_audit("uid-acme", None).await.unwrap();
    let (second, end) = world.store.list_audit(&account, next.as_ref()).await.unwrap();
    assert_eq!((first.len(), second.len(), end), (500, 103, None));
    assert_eq!((first[0].action, first[0].kind, first[1].kind), (Action::Create, RowKind::Account, RowKind::Organization));
    assert!(first.iter().chain(&second).all(|change| change.account.as_ref() == Some(&account)));
    // It outlives the account.
    world.erase("org").await.unwrap();
    world.erase("acme").await.unwrap();
    let (_, next) = world.store.list_audit(&account, None).await.unwrap();
    let (last, _) = world.store.list_audit(&account, next.as_ref()).await.unwrap();
    assert_eq!(last.last().map(|change| (change.action, change.kind)), Some((Action::Erase, RowKind::Account)));
    assert_eq!(world.store.list_audit("uid-none", None).await, Ok((vec![], None)));
}

/// They are part of what an operator's row shows.
async fn credentials_are_changes_too(on: On) {
    use crate::backend::CredentialOutcome;
    let world = World::with_account(on, seats(3)).await;
    world.organization("org").await.unwrap();
    let start = world.end().await;
    world.put_with_intent("org", "tom", "sha256$aa$bb").await.unwrap();
    assert_eq!(world.follow(start.clone(), 10).await.len(), 1, "made with its intent");
    world.put_with_intent("org", "org-first", "sha256$aa$bb").await.unwrap();
    world.store.settle_credentials(&world.session, &key("tom"), &CredentialOutcome::FoundFromIntent).await.unwrap();
    world.store.settle_credentials(&world.session, &key("tom"), &CredentialOutcome::FoundFromIntent).await.unwrap();
    world.store.settle_credentials(&world.session, &key("tom"), &CredentialOutcome::Dropped).await.unwrap();
    let told: Vec<_> = world.follow(start, 10).await.into_iter().map(|change| (change.action, change.key.unwrap().0)).collect();
    let update = |name: &str| (Action::Update, format!("uid-{name}"));
    assert_eq!(told, [(Action::Create, "uid-tom".to_owned()), update("org-first"), update("tom"), update("tom")]);
}

/// Writers of many accounts commit in whichever order; a reader goes on from each page at once. What it saw is what there is.
async fn no_change_is_skipped_under_concurrent_writers(on: On) {
    const WRITERS: usize = 6;
    const ROUNDS: usize = 15;
    let world = World::new(on).await;
    for writer in 0..WRITERS {
        world.account(&format!("a{writer}"), seats(100)).await.unwrap();
        world.organization_in(&format!("a{writer}"), &format!("g{writer}"), &format!("first{writer}")).await.unwrap();
    }
    let world = Arc::new(world);
    let start = world.end().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let name = format!("o{writer}-{round}");
                    world.operator(&format!("g{writer}"), &name).await.expect("an operator");
                    world.delete(&name).await.expect("gone");
                }
            })
        })
        .collect();
    let mut seen: Vec<(Action, String)> = Vec::new();
    let mut after = start;
    let deadline = Instant::now() + DEADLINE;
    while seen.len() < 2 * WRITERS * ROUNDS && Instant::now() < deadline {
        let (changes, next) = world.store.next_changes(&after, 3, DEADLINE).await.expect("changes");
        seen.extend(changes.into_iter().map(|change| (change.action, change.key.expect("a key").0)));
        after = next;
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    let names = (0..WRITERS).flat_map(|writer| (0..ROUNDS).map(move |round| format!("uid-o{writer}-{round}")));
    let expected: BTreeSet<_> = names.flat_map(|name| [("create", name.clone()), ("delete", name)]).collect();
    let told: BTreeSet<_> = seen.iter().map(|(action, name)| (action.as_str(), name.clone())).collect();
    assert_eq!(told, expected);
    assert_eq!(seen.len(), expected.len(), "once each");
    let of_one: Vec<_> = seen.iter().filter(|(_, name)| name == "uid-o0-0").map(|(action, _)| *action).collect();
    assert_eq!(of_one, [Action::Create, Action::Delete], "and in order");
}

/// An entry whose number was drawn first and that is committed last.
#[tokio::test]
async fn a_change_that_is_committed_late_is_not_overtaken() {
    let world = World::with_account(On::Postgres, seats(9)).await;
    let Database::Postgres(database) = world.store.database() else { panic!("not PostgreSQL") };
    let start = world.end().await;
    let mut late = database.connections().begin().await.unwrap();
    let entry =
        "INSERT INTO audit (at, owner, epoch, action, kind, key, external_id) VALUES ('now', 'x', 1, 'update', 'Account', 'late', 'x')";
    sqlx::raw_sql(entry).execute(&mut *late).await.unwrap();
    world.organization("org").await.unwrap();
    assert!(world.follow_in_sight(start.clone(), 10).await.is_empty(), "what is beside it waits for it");
    assert_eq!(world.end_in_sight().await, start, "who begins now begins before it");
    late.commit().await.unwrap();
    let keys: Vec<_> = world.follow(start, 1).await.into_iter().map(|change| change.key.unwrap().0).collect();
    assert_eq!(keys, ["late", "uid-org", "uid-org-first"]);
}

/// Whoever waits is not told when a longer transaction ends: it looks again.
#[tokio::test]
async fn a_change_that_was_hidden_by_a_longer_transaction_comes_by_itself() {
    let world = World::with_account(On::Postgres, seats(9)).await;
    let Database::Postgres(database) = world.store.database() else { panic!("not PostgreSQL") };
    let start = world.end().await;
    let mut longer = database.connections().begin().await.unwrap();
    sqlx::raw_sql("CREATE TEMPORARY TABLE t (i INT); INSERT INTO t VALUES (1)").execute(&mut *longer).await.unwrap();
    world.organization("org").await.unwrap();
    let (found, ()) = tokio::join!(world.store.next_changes(&start, 10, DEADLINE), async {
        // Until it has looked in vain.
        while !world.store.changes(Some(&start), 10).await.unwrap().0.is_empty() {}
        longer.rollback().await.unwrap();
    });
    assert_eq!(found.unwrap().0.len(), 2);
}

#[tokio::test]
async fn other_processes_are_told_of_a_change() {
    let world = World::with_account(On::Postgres, seats(9)).await;
    let beside = Store::open(&world.location).await.unwrap();
    let (_own, mut elsewhere) = (world.store.changed(), beside.changed());
    let (_, end) = beside.changes(None, 1).await.unwrap();
    let waiting = beside.next_changes(&end, 10, DEADLINE);
    let (changes, written) = tokio::join!(waiting, world.organization("org"));
    written.unwrap();
    assert_eq!(changes.unwrap().0[0].key, Some(key("org")));
    tokio::time::timeout(DEADLINE, elsewhere.changed()).await.expect("it was told").unwrap();
}

/// A dump brings entries with the numbers of another server's transactions, which here are yet to come.
#[tokio::test]
async fn what_came_from_another_server_is_before_what_is_done_here() {
    let world = World::with_account(On::Postgres, seats(9)).await;
    world.organization("org").await.unwrap();
    world.others("UPDATE audit SET xact = xact + 1000000000000").await;
    let beginning = ChangeCursor(format!("{}.0.0", world.store.id()));
    assert!(world.follow_in_sight(beginning.clone(), 10).await.is_empty());
    let beside = World { store: Arc::new(Store::open(&world.location).await.unwrap()), ..world };
    beside.operator("org", "tom").await.unwrap();
    let keys: Vec<_> = beside.follow(beginning, 2).await.into_iter().map(|change| change.key.unwrap().0).collect();
    assert_eq!(keys, ["uid-acme", "uid-org", "uid-org-first", "uid-tom"]);
}
