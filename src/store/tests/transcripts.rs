//! Transcripts: what is written, what is refused, who finds them (rule 8), and how a million of them go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::Timestamp;

use super::*;
use crate::backend::Cursor;
use crate::domain::rows::Privacy;
use crate::domain::transcript::{Author, MAX_TEXT, Message, Transcript, Visitor};
use crate::store::TRANSCRIPTS_AT_ONCE;
use crate::store::erasure::BATCH;

on_both! {
    each_organization_lists_its_own_page_by_page,
    an_organization_is_named_by_its_id_before_any_key,
    an_organization_that_stores_none_refuses_and_keeps_what_it_has,
    visitors_are_anonymous_before_anything_is_written,
    what_is_being_erased_takes_none,
    one_that_is_unfit_keeps_all_from_being_written,
    a_transaction_has_a_bounded_number_of_them,
    transcripts_are_counted_whoever_writes_them,
    privacy_is_stored_and_what_is_absent_stays,
    an_erasure_of_many_survives_restarts_and_holds_up_nobody,
}

on_both! { threads:
    once_visitors_are_anonymous_no_write_under_way_names_them,
    an_erasure_lets_others_write_between_its_batches,
}

/// A chat that began at that time.
pub(super) fn chat(started_at: Timestamp, text: &str) -> Transcript {
    let visitor = Visitor { name: Some("Vera".to_owned()), email: Some("vera@mail.example".to_owned()), ip: Some([192, 0, 2, 7].into()) };
    let message = Message { at: started_at, author: Author::Visitor, text: text.to_owned() };
    Transcript { started_at, visitor, messages: vec![message] }
}

pub(super) fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

/// Keeps transcripts for so many days.
pub(super) fn keeps(days: i32) -> Privacy {
    Privacy { retention_days: Some(days), ..Privacy::default() }
}

const ANONYMOUS: Privacy = Privacy { store_transcripts: None, retention_days: None, anonymize_visitors: Some(true) };

impl World {
    /// Stores one chat a text in an organization.
    pub(super) async fn chats(&self, organization: &str, texts: impl IntoIterator<Item = String>) {
        let transcripts: Vec<_> = texts.into_iter().map(|text| chat(at("2026-11-25T10:00:00Z"), &text)).collect();
        for some in transcripts.chunks(TRANSCRIPTS_AT_ONCE) {
            assert_eq!(self.store.add_transcripts(&key(organization).0, some.to_vec(), None).await, Ok(some.len() as u64));
        }
    }

    /// Stores so many short chats.
    async fn many_chats(&self, organization: &str, count: i64) {
        self.chats(organization, (0..count).map(|number| format!("chat {number}"))).await;
    }

    /// Sets the privacy of an organization.
    pub(super) async fn privacy(&self, organization: &str, privacy: Privacy) -> Result<Row> {
        let desired = DesiredOrganization { privacy, ..DesiredOrganization::default() };
        let tag = tag(RowKind::Organization, organization);
        Ok(self.store.put_organization(&self.session, &tag, &key("acme"), &desired, None).await?.0)
    }

    /// All transcripts of an organization, and the sizes of the pages they came in.
    pub(super) async fn transcripts(&self, organization: &str) -> (Vec<Transcript>, Vec<usize>) {
        let (mut all, mut pages, mut next) = (Vec::new(), Vec::new(), None);
        loop {
            let page = self.store.list_transcripts(&key(organization).0, next.as_ref()).await.expect("a page");
            pages.push(page.transcripts.len());
            all.extend(page.transcripts.into_iter().map(|stored| stored.transcript));
            next = page.next;
            if next.is_none() {
                return (all, pages);
            }
        }
    }

    pub(super) async fn with_organizations(on: On, names: &[&str]) -> Self {
        let world = Self::with_account(on, UNLIMITED).await;
        for name in names {
            world.organization(name).await.expect("an organization");
        }
        world
    }
}

fn privacy_of(row: &Row) -> Privacy {
    match &row.fields {
        Fields::Organization(fields) => fields.values.privacy,
        other => panic!("not an organization: {other:?}"),
    }
}

async fn each_organization_lists_its_own_page_by_page(on: On) {
    let world = World::with_organizations(on, &["one", "two"]).await;
    for number in 0..5 {
        world.chats("one", (0..50).map(|chat| format!("one {number} {chat}"))).await;
        world.chats("two", [format!("two {number}")]).await;
    }
    let (one, pages) = world.transcripts("one").await;
    assert_eq!(pages, [100, 100, 50]);
    let said: Vec<_> = one.iter().map(|transcript| transcript.messages[0].text.clone()).collect();
    let expected: Vec<_> = (0..5).flat_map(|number| (0..50).map(move |chat| format!("one {number} {chat}"))).collect();
    assert_eq!(said, expected, "in the order in which they were stored");
    assert_eq!(one[0], chat(at("2026-11-25T10:00:00Z"), "one 0 0"), "nothing is lost");
    let (two, pages) = world.transcripts("two").await;
    assert_eq!((two.len(), pages), (5, vec![5]));

    let page = world.store.list_transcripts(&key("one").0, None).await.unwrap();
    let ids: BTreeSet<_> = page.transcripts.iter().map(|stored| stored.external_id.as_str()).collect();
    assert!(ids.len() == 100 && ids.iter().all(|id| id.starts_with("tscr_") && id.len() == 31), "{ids:?}");
    let bad = world.store.list_transcripts(&key("one").0, Some(&Cursor("x".to_owned()))).await;
    assert!(matches!(&bad, Err(BackendError::Invalid { field, .. }) if field == "cursor"), "{bad:?}");
    assert_eq!(world.store.list_transcripts("none", None).await, Err(BackendError::ParentNotFound(RowKind::Organization)));
    let nowhere = world.store.add_transcripts("none", vec![chat(Timestamp::UNIX_EPOCH, "lost")], None).await;
    assert_eq!(nowhere, Err(BackendError::ParentNotFound(RowKind::Organization)));
    world.assert_whole().await;
}

/// Others choose keys: one that is another organization's id opens nothing.
async fn an_organization_is_named_by_its_id_before_any_key(on: On) {
    let world = World::with_organizations(on, &["one", "thief"]).await;
    let id = world.present("one").await.external_id;
    world.others(&format!("UPDATE organizations SET key = '{id}' WHERE key = 'uid-thief'")).await;
    world.store.add_transcripts(&id, vec![chat(Timestamp::UNIX_EPOCH, "for one")], None).await.unwrap();
    assert_eq!(world.transcripts("one").await.0.len(), 1);
    assert_eq!(world.store.list_transcripts(&id, None).await.unwrap().transcripts.len(), 1);
    assert_eq!(world.number("SELECT transcripts FROM organizations WHERE key <> 'uid-one'").await, 0);
}

async fn an_organization_that_stores_none_refuses_and_keeps_what_it_has(on: On) {
    let world = World::with_organizations(on, &["one", "two"]).await;
    world.chats("one", ["before".to_owned()]).await;
    world.privacy("one", Privacy { store_transcripts: Some(false), ..Privacy::default() }).await.unwrap();
    let id = world.present("one").await.external_id;
    let refused = world.store.add_transcripts(&key("one").0, vec![chat(Timestamp::UNIX_EPOCH, "no")], None).await;
    let expected = format!("organization {id} stores no transcripts: its spec.privacy.storeTranscripts is false");
    assert_eq!(refused, Err(BackendError::Forbidden(expected)));
    world.chats("two", ["another organization's".to_owned()]).await;
    assert_eq!(world.transcripts("one").await.0.len(), 1);
    world.privacy("one", Privacy { store_transcripts: Some(true), ..Privacy::default() }).await.unwrap();
    world.chats("one", ["again".to_owned()]).await;
    assert_eq!(world.transcripts("one").await.0.len(), 2);
}

async fn visitors_are_anonymous_before_anything_is_written(on: On) {
    let world = World::with_organizations(on, &["one"]).await;
    world.privacy("one", ANONYMOUS).await.unwrap();
    let mut transcript = chat(at("2026-11-25T10:00:00Z"), "Hello");
    transcript.visitor =
        Visitor { name: Some("canary-name".to_owned()), email: Some("canary-mail".to_owned()), ip: Some([198, 51, 100, 77].into()) };
    world.store.add_transcripts(&key("one").0, vec![transcript.clone()], None).await.unwrap();
    transcript.visitor = Visitor::default();
    assert_eq!(world.transcripts("one").await.0, [transcript]);
    let named = "SELECT COUNT(*) FROM transcripts WHERE content LIKE '%canary%' OR content LIKE '%198.51.100.77%'";
    assert_eq!(world.number(named).await, 0);
    if on == On::Sqlite {
        let written = ["deskplane.db", "deskplane.db-wal"].map(|file| std::fs::read(world.folder.path().join(file)).unwrap_or_default());
        let has = |text: &str| written.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
        assert!(has("Hello") && !has("canary-name") && !has("canary-mail") && !has("198.51.100.77"), "not even for a moment");
    }
}

/// What is under way when the setting changes is done before it, or by it.
async fn once_visitors_are_anonymous_no_write_under_way_names_them(on: On) {
    let world = Arc::new(World::with_organizations(on, &["one"]).await);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    world.many_chats("one", 3).await;
                }
            })
        })
        .collect();
    while world.number("SELECT transcripts FROM organizations").await < 30 {}
    world.privacy("one", ANONYMOUS).await.unwrap();
    let named = world.number("SELECT COUNT(*) FROM transcripts WHERE content LIKE '%Vera%'").await;
    let all = world.number("SELECT transcripts FROM organizations").await;
    while world.number("SELECT transcripts FROM organizations").await < all + 30 {}
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert!(named >= 30);
    assert_eq!(world.number("SELECT COUNT(*) FROM transcripts WHERE content LIKE '%Vera%'").await, named);
    world.assert_whole().await;
}

async fn what_is_being_erased_takes_none(on: On) {
    let world = World::with_organizations(on, &["one", "gone"]).await;
    world.store.erase(&world.session, &key("one")).await.unwrap();
    let refused = world.store.add_transcripts(&key("one").0, vec![chat(Timestamp::UNIX_EPOCH, "no")], None).await;
    assert!(matches!(&refused, Err(BackendError::Forbidden(why)) if why.contains("is being erased")), "{refused:?}");
    world.erase("one").await.unwrap();
    // An account goes when only organizations without objects are left in it.
    world.store.quarantine(&world.session, &key("gone")).await.unwrap();
    world.chats("gone", ["its object vanished, its visitors did not".to_owned()]).await;
    world.store.erase(&world.session, &key("acme")).await.unwrap();
    let refused = world.store.add_transcripts(&key("gone").0, vec![chat(Timestamp::UNIX_EPOCH, "no")], None).await;
    assert!(matches!(&refused, Err(BackendError::Forbidden(why)) if why.contains("is being erased")), "{refused:?}");
}

async fn one_that_is_unfit_keeps_all_from_being_written(on: On) {
    let world = World::with_organizations(on, &["one"]).await;
    let good = chat(Timestamp::UNIX_EPOCH, "good");
    for (text, what) in [("t".repeat(MAX_TEXT + 1), "longer than"), ("a\u{0}b".to_owned(), "control characters")] {
        let mut transcripts = vec![good.clone(); TRANSCRIPTS_AT_ONCE - 1];
        transcripts.push(chat(Timestamp::UNIX_EPOCH, &text));
        let refused = world.store.add_transcripts(&key("one").0, transcripts, None).await;
        let says = |message: &str| message.starts_with("number 500: messages[0].text: ") && message.contains(what);
        assert!(
            matches!(&refused, Err(BackendError::Invalid { field, message }) if field == "transcripts" && says(message)),
            "{refused:?}"
        );
    }
    assert_eq!(world.transcripts("one").await.0.len(), 0);
    assert_eq!(world.store.add_transcripts(&key("one").0, Vec::new(), None).await, Ok(0));
}

async fn a_transaction_has_a_bounded_number_of_them(on: On) {
    let world = World::with_organizations(on, &["one"]).await;
    let add = async |count| world.store.add_transcripts(&key("one").0, vec![chat(Timestamp::UNIX_EPOCH, "short"); count], None).await;
    let refused = add(TRANSCRIPTS_AT_ONCE + 1).await;
    let says = |message: &str| message == "are 501, and at most 500 are stored at once: send fewer, in several requests";
    assert!(matches!(&refused, Err(BackendError::Invalid { field, message }) if field == "transcripts" && says(message)), "{refused:?}");
    assert_eq!(world.number("SELECT COUNT(*) FROM transcripts").await, 0);
    assert_eq!(add(TRANSCRIPTS_AT_ONCE).await, Ok(500));
}

async fn transcripts_are_counted_whoever_writes_them(on: On) {
    let world = World::with_organizations(on, &["one", "two"]).await;
    world.many_chats("one", 7).await;
    world.many_chats("two", 2).await;
    let others = "INSERT INTO transcripts (external_id, organization, started_at, content)
        SELECT 'tscr_others', id, 0, '{}' FROM organizations WHERE key = 'uid-two'";
    world.others(others).await;
    world.others("DELETE FROM transcripts WHERE id IN (SELECT MIN(id) FROM transcripts)").await;
    let usage = world.store.usage(&key("acme")).await.unwrap();
    assert_eq!(usage.total.transcripts, 9);
    let of = |name: &str| usage.organizations.iter().find(|(of, _)| *of == key(name)).expect("usage").1.transcripts;
    assert_eq!((of("one"), of("two")), (6, 3));
    world.assert_whole().await;
    world.others("UPDATE organizations SET transcripts = 4 WHERE key = 'uid-two'").await;
    let findings = world.store.reader().check().await.unwrap();
    let id = world.present("two").await.external_id;
    assert!(findings.iter().any(|finding| finding.subject == id && finding.detail.contains("as many transcripts")), "{findings:?}");
}

async fn privacy_is_stored_and_what_is_absent_stays(on: On) {
    let world = World::with_organizations(on, &["one"]).await;
    assert_eq!(privacy_of(&world.present("one").await), Privacy::default());
    let full = Privacy { store_transcripts: Some(false), retention_days: Some(90), anonymize_visitors: Some(true) };
    assert_eq!(privacy_of(&world.privacy("one", full).await.unwrap()), full);
    let writes = world.writes().await;
    world.privacy("one", full).await.unwrap();
    world.privacy("one", Privacy::default()).await.unwrap();
    assert_eq!(writes, world.writes().await, "nothing differs");
    assert_eq!(privacy_of(&world.present("one").await), full);
    let other = world.privacy("one", Privacy { store_transcripts: Some(true), ..keeps(7) }).await.unwrap();
    let expected = Privacy { store_transcripts: Some(true), retention_days: Some(7), ..full };
    assert_eq!((privacy_of(&other), privacy_of(&world.present("one").await)), (expected, expected));
    for days in [0, -1, 3651, i32::MAX] {
        let refused = world.privacy("one", keeps(days)).await;
        assert!(
            matches!(&refused, Err(BackendError::Invalid { field, message })
            if field == "spec.privacy.transcriptRetentionDays" && message == "must be from 1 to 3650"),
            "{refused:?}"
        );
    }
    assert_eq!(privacy_of(&world.present("one").await), expected);
}

async fn an_erasure_of_many_survives_restarts_and_holds_up_nobody(on: On) {
    const CHATS: i64 = 20_000;
    let mut world = World::with_organizations(on, &["one", "two"]).await;
    world.many_chats("one", CHATS).await;
    world.chats("two", ["stays".to_owned()]).await;
    let mut left = world.store.erase(&world.session, &key("one")).await.unwrap().remaining;
    assert_eq!(left, CHATS + 2, "with an operator and itself");
    let mut batches = 0;
    while left > 0 {
        let erasing = world.store.erase(&world.session, &key("one")).await.unwrap();
        batches += 1;
        assert!(erasing.remaining < left && left - erasing.remaining <= BATCH + 1, "{left} -> {}", erasing.remaining);
        left = erasing.remaining;
        if batches % 10 == 0 {
            world.operator("two", &format!("between-{batches}")).await.expect("others go on");
            world.chats("two", [format!("between {batches}")]).await;
        }
        // Once in order, once not.
        match batches {
            11 => world.restart().await,
            23 => world.crash().await,
            _ => {}
        }
    }
    assert_eq!(batches, CHATS / BATCH + 1);
    assert_eq!(world.lookup("one").await, Answer::Erased);
    assert_eq!(world.number("SELECT COUNT(*) FROM transcripts").await, 5, "those of the other organization");
    world.assert_whole().await;
}

async fn an_erasure_lets_others_write_between_its_batches(on: On) {
    let world = Arc::new(World::with_organizations(on, &["one", "two"]).await);
    world.many_chats("one", 20_000).await;
    let (done, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let other = tokio::spawn({
        let (world, done, writes) = (Arc::clone(&world), Arc::clone(&done), Arc::clone(&writes));
        async move {
            while !done.load(Ordering::Relaxed) {
                world.chats("two", ["meanwhile".to_owned()]).await;
                writes.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    while writes.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let before = writes.load(Ordering::Relaxed);
    let batches = world.erase("one").await.unwrap();
    let meanwhile = writes.load(Ordering::Relaxed) - before;
    done.store(true, Ordering::Relaxed);
    other.await.expect("no panic");
    assert!(batches > 40 && meanwhile > 10, "{meanwhile} writes during {batches} batches");
    world.assert_whole().await;
}
