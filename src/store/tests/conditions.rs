//! Writing on a condition (`If-Match`), and once (`Idempotency-Key`): both are decided in the transaction that writes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::backend::Released;
use crate::domain::etag::{Condition, ETag};
use crate::store::{Once, Write};

on_both! {
    a_row_is_written_only_as_it_was_read,
    the_version_of_a_row_is_the_same_by_every_way,
    a_request_is_done_once,
    a_key_is_good_for_one_request,
    an_answer_is_kept_for_a_day,
    no_kept_answer_names_anybody,
    a_refusal_is_not_kept,
}

on_both! { threads:
    of_many_who_read_the_same_version_one_writes,
    of_many_requests_with_one_key_one_is_done,
}

fn once(key: &str, request: &str) -> Once {
    Once::new("dpt_test", key, [request.as_bytes()]).expect("a key")
}

fn version(row: &Row) -> Condition {
    Condition::OneOf(vec![ETag::of(row)])
}

impl World {
    async fn account_if(&self, condition: &Condition, seats: i64) -> Result<Row> {
        let limits = Limits { seats, ..UNLIMITED };
        let desired = DesiredAccount { owner_email: "ada@acme.example".to_owned(), owner_display_name: None, limits };
        let write = Write { condition: Some(condition), ..(&self.session).into() };
        self.store.put_account(write, &tag(RowKind::Account, "acme"), &desired).await
    }

    async fn release_once(&self, name: &str, once: &Once) -> Result<Released> {
        self.store.release(Write { once: Some(once), ..(&self.session).into() }, &key(name)).await
    }
}

async fn a_row_is_written_only_as_it_was_read(on: On) {
    let world = World::new(on).await;
    assert_eq!(world.account_if(&Condition::Exists, 1).await, Err(BackendError::PreconditionFailed));
    let first = world.account_if(&Condition::Absent, 1).await.unwrap();
    let second = world.account_if(&version(&first), 2).await.unwrap();
    let writes = world.writes().await;
    for stale in [version(&first), Condition::Absent, Condition::OneOf(vec![])] {
        assert_eq!(world.account_if(&stale, 3).await, Err(BackendError::PreconditionFailed), "{stale:?}");
    }
    assert_eq!(world.writes().await, writes, "nothing was written");
    assert_eq!(world.present("acme").await, second);
    world.account_if(&Condition::OneOf(vec![ETag::of(&first), ETag::of(&second)]), 4).await.unwrap();
    world.account_if(&Condition::Exists, 5).await.unwrap();
    // Also what is deleted.
    let row = world.organization("org").await.unwrap().0;
    let widget = world.widget("org", "web").await.unwrap();
    let delete = async |condition: &Condition| {
        let write = Write { condition: Some(condition), ..(&world.session).into() };
        world.store.delete(write, &key("web")).await
    };
    assert_eq!(delete(&version(&row)).await, Err(BackendError::PreconditionFailed));
    delete(&version(&widget)).await.unwrap();
    assert_eq!(world.lookup("web").await, Answer::Erased);
}

async fn the_version_of_a_row_is_the_same_by_every_way(on: On) {
    let world = World::with_account(on, seats(5)).await;
    let (organization, first) = world.organization("org").await.unwrap();
    let account = world.account("acme", seats(6)).await.unwrap();
    let operator = world.operator("org", "tom").await.unwrap();
    let department = world.department("org", "sales", &["tom", "org-first"]).await.unwrap();
    let widget = world.widget("org", "web").await.unwrap();
    let organization =
        Row { ..world.store.starter_made(&world.session, organization.tag.map(|tag| tag.key).as_ref().unwrap()).await.unwrap() };
    let page = world.store.page(&key("acme"), None).await.unwrap();
    for written in [account, organization, first.unwrap(), operator, department, widget] {
        let read = world.store.find(&written.external_id).await.unwrap().unwrap();
        let listed = page.rows.iter().find(|row| row.external_id == written.external_id).unwrap();
        assert_eq!((ETag::of(&written), ETag::of(&written)), (ETag::of(&read), ETag::of(listed)), "{written:?} {read:?}");
    }
}

async fn of_many_who_read_the_same_version_one_writes(on: On) {
    let world = Arc::new(World::new(on).await);
    let mut read = world.account_if(&Condition::Absent, 1).await.unwrap();
    for round in 0..5 {
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let (world, condition) = (Arc::clone(&world), version(&read));
                tokio::spawn(async move { world.account_if(&condition, 10 + 10 * round + number).await })
            })
            .collect();
        let mut written = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(row) => written.push(row),
                refused => assert_eq!(refused, Err(BackendError::PreconditionFailed)),
            }
        }
        assert_eq!(written.len(), 1, "round {round}");
        read = written.remove(0);
        assert_eq!(world.present("acme").await, read);
    }
}

async fn a_request_is_done_once(on: On) {
    let world = World::with_account(on, seats(5)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    let request = once("a", "release org");
    let released = world.release_once("org", &request).await.unwrap();
    assert_eq!(released.rows, 3);
    let writes = world.writes().await;
    assert_eq!(world.release_once("org", &request).await, Ok(released), "the same answer, though nothing is left to let go");
    assert_eq!(world.writes().await, writes);
    assert_eq!(world.release_once("org", &once("b", "release org")).await, Ok(Released { rows: 0 }), "asked anew");
    // Nor does another's key give an answer, or a condition that no longer holds keep it back.
    let other = Once::new("dpt_other", "a", [b"release org".as_slice()]).unwrap();
    assert_eq!(world.release_once("org", &other).await, Ok(Released { rows: 0 }));
    let write = Write { once: Some(&request), condition: Some(&Condition::Exists), ..(&world.session).into() };
    assert_eq!(world.store.release(write, &key("org")).await, Ok(released));
    // But whose turn it is no longer learns nothing.
    let newer = world.store.begin_epoch("owner").await.unwrap();
    assert_eq!(world.release_once("org", &request).await, Err(BackendError::Fenced { current: newer.epoch }));
}

async fn a_key_is_good_for_one_request(on: On) {
    let world = World::with_account(on, seats(5)).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    world.release_once("one", &once("a", "release one")).await.unwrap();
    let refused = world.release_once("two", &once("a", "release two")).await;
    assert!(matches!(refused, Err(BackendError::Invalid { field, .. }) if field == "Idempotency-Key"));
    assert!(matches!(world.lookup("two").await, Answer::Present(_)), "nothing was done");
}

async fn of_many_requests_with_one_key_one_is_done(on: On) {
    let world = World::with_account(on, seats(50)).await;
    // Of accounts of their own: nothing else makes them wait for each other.
    for number in 0..8 {
        world.account(&format!("a{number}"), seats(5)).await.unwrap();
        world.organization_in(&format!("a{number}"), &format!("g{number}"), &format!("p{number}")).await.unwrap();
    }
    let world = Arc::new(world);
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let (world, name) = (Arc::clone(&world), format!("g{}", number / 2));
            tokio::spawn(async move { world.release_once(&name, &once("a", &name)).await.map(|released| (name, released)) })
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok((name, released)) => {
                assert_eq!(released.rows, 2);
                done.push(name);
            }
            refused => assert!(matches!(&refused, Err(BackendError::Invalid { .. })), "{refused:?}"),
        }
    }
    assert!(done.len() == 2 && done[0] == done[1], "one request, asked twice: {done:?}");
    assert_eq!(world.number("SELECT COUNT(*) FROM organizations WHERE key IS NULL").await, 1);
}

async fn an_answer_is_kept_for_a_day(on: On) {
    let world = World::with_account(on, seats(5)).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    world.release_once("one", &once("a", "release one")).await.unwrap();
    let now = Timestamp::now();
    assert_eq!(world.store.forget_replies(now + Duration::from_hours(23)).await, Ok(0));
    world.others("UPDATE replies SET at = at - 86401").await;
    world.release_once("two", &once("a", "release two")).await.expect("the key is free again");
    assert_eq!(world.store.forget_replies(now + Duration::from_hours(25)).await, Ok(1));
    assert_eq!(world.number("SELECT COUNT(*) FROM replies").await, 0);
}

/// Erasing a row would have to find its name there.
async fn no_kept_answer_names_anybody(on: On) {
    let world = World::with_account(on, seats(5)).await;
    world.organization("org").await.unwrap();
    let (tag, desired, request) = (tag(RowKind::Operator, "tom"), person("tom"), once("a", "put tom"));
    let put = async || {
        let put = OperatorPut { tag: &tag, desired: &desired, intent: None };
        world.store.put_operator(Write { once: Some(&request), ..(&world.session).into() }, &key("org"), put).await
    };
    let row = put().await.unwrap();
    assert_eq!(put().await, Ok(row), "asked again it is done again, which changes nothing");
    assert_eq!(world.number("SELECT COUNT(*) FROM replies WHERE reply IS NULL").await, 1);
    assert_eq!(world.number("SELECT COUNT(*) FROM audit WHERE key = 'uid-tom'").await, 1);
    let (other, sales) = (once("a", "put sales"), self::tag(RowKind::Department, "sales"));
    let write = Write { once: Some(&other), ..(&world.session).into() };
    let refused = world.store.put_department(write, &sales, &key("org"), &DesiredDepartment::default()).await;
    assert!(matches!(refused, Err(BackendError::Invalid { field, .. }) if field == "Idempotency-Key"));
}

async fn a_refusal_is_not_kept(on: On) {
    let world = World::with_account(on, seats(1)).await;
    world.organization("org").await.unwrap();
    let (tag, desired, request) = (tag(RowKind::Operator, "tom"), person("tom"), once("a", "put tom"));
    let put = async || {
        let put = OperatorPut { tag: &tag, desired: &desired, intent: None };
        world.store.put_operator(Write { once: Some(&request), ..(&world.session).into() }, &key("org"), put).await
    };
    assert_eq!(missing(put().await), (Place::Seat, Some(1)));
    world.account("acme", seats(2)).await.unwrap();
    put().await.expect("now there is a seat");
}
