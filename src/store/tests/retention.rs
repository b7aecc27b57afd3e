//! Retention, with the clock moved: what is too old goes, in batches, and nothing else.

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::transcripts::{at, chat, keeps};
use super::*;
use crate::store::TRANSCRIPTS_AT_ONCE;
use crate::store::retention::{self, Round};

on_both! {
    what_is_too_old_goes_and_nothing_else,
    it_goes_in_bounded_batches_and_others_write_between,
    what_was_changed_meanwhile_is_left_alone,
    one_that_fails_holds_up_no_other,
    what_is_being_erased_is_left_to_the_erasure,
    a_clock_that_was_fast_keeps_nothing_longer,
    the_loop_begins_at_once_and_ends_when_asked_to,
}

const NOW: &str = "2026-11-25T10:00:00Z";

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

impl World {
    /// Stores chats that began so many days before now, and a second.
    async fn aged(&self, organization: &str, ages: &[i64]) {
        let start = |age: &i64| at(NOW) - days(*age) - SignedDuration::from_secs(1);
        for some in ages.chunks(TRANSCRIPTS_AT_ONCE) {
            let transcripts = some.iter().map(|age| chat(start(age), &age.to_string())).collect();
            self.store.add_transcripts(&key(organization).0, transcripts, None).await.expect("stored");
        }
    }

    /// The ages of an organization's transcripts.
    async fn ages(&self, organization: &str) -> Vec<String> {
        self.transcripts(organization).await.0.into_iter().map(|transcript| transcript.messages[0].text.clone()).collect()
    }
}

async fn what_is_too_old_goes_and_nothing_else(on: On) {
    let world = World::with_account(on, UNLIMITED).await;
    for name in ["month", "quarter", "also-month", "ever"] {
        world.organization(name).await.unwrap();
        world.aged(name, &[0, 29, 30, 31, 89, 90, 4000]).await;
    }
    for (name, days) in [("month", 30), ("quarter", 90), ("also-month", 30)] {
        world.privacy(name, keeps(days)).await.unwrap();
    }
    let now = at(NOW);
    assert_eq!(world.store.retain(now).await, Ok(5 + 2 + 5));
    assert_eq!(world.ages("month").await, ["0", "29"]);
    assert_eq!(world.ages("also-month").await, ["0", "29"]);
    assert_eq!(world.ages("quarter").await, ["0", "29", "30", "31", "89"]);
    assert_eq!(world.ages("ever").await.len(), 7, "kept for ever");
    assert_eq!(world.store.retain(now).await, Ok(0), "again: nothing");
    // Each was stored a second before its day was full.
    let second = SignedDuration::from_secs(1);
    assert_eq!(world.store.retain(now + days(1) - second).await, Ok(0));
    assert_eq!(world.store.retain(now + days(1) - second + SignedDuration::from_millis(1)).await, Ok(3));
    assert_eq!(world.ages("month").await, ["0"]);
    assert_eq!(world.store.retain(now + days(365)).await, Ok(1 + 1 + 4));
    assert_eq!(world.ages("ever").await.len(), 7);
    world.assert_whole().await;
}

async fn it_goes_in_bounded_batches_and_others_write_between(on: On) {
    let world = World::with_account(on, UNLIMITED).await;
    for name in ["one", "two", "fresh", "other"] {
        world.organization(name).await.unwrap();
    }
    for (name, count) in [("one", 1300), ("two", 500), ("fresh", 0)] {
        world.aged(name, &vec![10; count]).await;
        world.aged(name, &[1]).await;
        world.privacy(name, keeps(7)).await.unwrap();
    }
    let mut round = Round::at(at(NOW));
    let mut batches = Vec::new();
    while let Some(deleted) = world.store.retain_a_batch(&mut round).await.unwrap() {
        batches.push(deleted);
        world.operator("other", &format!("between-{}", batches.len())).await.expect("others go on");
        world.aged("one", &[1]).await;
        assert!(batches.len() < 10, "{batches:?}");
    }
    assert_eq!(batches, [500, 500, 300, 500], "an organization without anything too old costs no batch");
    assert_eq!(world.number("SELECT COUNT(*) FROM transcripts").await, 3 + 4);
    world.assert_whole().await;
}

async fn what_was_changed_meanwhile_is_left_alone(on: On) {
    let world = World::with_account(on, UNLIMITED).await;
    world.organization("one").await.unwrap();
    world.aged("one", &[10, 40]).await;
    world.privacy("one", keeps(7)).await.unwrap();
    let mut round = Round::at(at(NOW));
    let found = round.next(&world.store).await.unwrap().expect("something too old");
    world.privacy("one", keeps(30)).await.unwrap();
    assert_eq!(world.store.delete_a_batch(&round, &found).await, Ok(0), "it keeps them longer by now");
    assert_eq!(world.store.retain(at(NOW)).await, Ok(1));
    assert_eq!(world.ages("one").await, ["10"]);
}

/// A row that nobody can delete: a trigger of somebody else's refuses.
async fn one_that_fails_holds_up_no_other(on: On) {
    let world = World::with_account(on, UNLIMITED).await;
    for name in ["first", "second"] {
        world.organization(name).await.unwrap();
        world.aged(name, &[10]).await;
        world.privacy(name, keeps(7)).await.unwrap();
    }
    let stuck = match on {
        On::Sqlite => "CREATE TRIGGER stuck BEFORE DELETE ON transcripts WHEN OLD.organization = 1 BEGIN SELECT RAISE(ABORT, 'stuck'); END",
        _ => {
            "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'stuck'; END $$;
            CREATE TRIGGER stuck BEFORE DELETE ON transcripts FOR EACH ROW WHEN (OLD.organization = 1) EXECUTE FUNCTION stuck()"
        }
    };
    world.others(stuck).await;
    assert_eq!(world.store.retain(at(NOW)).await, Ok(1));
    assert_eq!((world.ages("first").await.len(), world.ages("second").await.len()), (1, 0));
}

async fn what_is_being_erased_is_left_to_the_erasure(on: On) {
    let world = World::with_account(on, UNLIMITED).await;
    world.organization("one").await.unwrap();
    world.aged("one", &[10; 3]).await;
    world.privacy("one", keeps(7)).await.unwrap();
    assert_eq!(world.store.erase(&world.session, &key("one")).await.unwrap().remaining, 5);
    assert_eq!(world.store.retain(at(NOW)).await, Ok(0));
    world.erase("one").await.unwrap();
    assert_eq!(world.number("SELECT COUNT(*) FROM transcripts").await, 0);
    world.assert_whole().await;
}

async fn a_clock_that_was_fast_keeps_nothing_longer(on: On) {
    let world = World::with_account(on, UNLIMITED).await;
    world.organization("one").await.unwrap();
    world.privacy("one", keeps(7)).await.unwrap();
    let fast = chat(at("2999-01-01T00:00:00Z"), "from the future");
    world.store.add_transcripts(&key("one").0, vec![fast.clone()], None).await.unwrap();
    assert_eq!(world.transcripts("one").await.0, [fast], "it says what it said");
    assert_eq!(world.store.retain(Timestamp::now() + days(6)).await, Ok(0));
    assert_eq!(world.store.retain(Timestamp::now() + days(8)).await, Ok(1), "counted from when it was stored");
}

async fn the_loop_begins_at_once_and_ends_when_asked_to(on: On) {
    let world = World::with_account(on, UNLIMITED).await;
    world.organization("one").await.unwrap();
    world.privacy("one", keeps(7)).await.unwrap();
    let old = vec![chat(Timestamp::now() - days(8), "old"), chat(Timestamp::now(), "new")];
    world.store.add_transcripts(&key("one").0, old, None).await.unwrap();
    let stop = CancellationToken::new();
    let watching = async {
        while world.number("SELECT transcripts FROM organizations").await > 1 {}
        stop.cancel();
    };
    tokio::join!(retention::run(&world.store, &stop), watching);
    let (left, _) = world.transcripts("one").await;
    assert_eq!(left[0].messages[0].text, "new");
}

/// Each of them begins where there is most to do: together they delete everything once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_delete_everything_once_on_postgres() {
    let world = World::with_account(On::Postgres, UNLIMITED).await;
    for number in 0..4 {
        let name = format!("g{number}");
        world.organization(&name).await.unwrap();
        world.privacy(&name, keeps(7)).await.unwrap();
        world.aged(&name, &vec![10; 1600]).await;
        world.aged(&name, &[1]).await;
    }
    let (second, third) = (world.beside().await, world.beside().await);
    let now = at(NOW);
    let (a, b, c) = tokio::join!(world.store.retain(now), second.store.retain(now), third.store.retain(now));
    assert_eq!(a.unwrap() + b.unwrap() + c.unwrap(), 4 * 1600);
    assert_eq!(world.number("SELECT COUNT(*) FROM transcripts").await, 4);
    world.assert_whole().await;
}
