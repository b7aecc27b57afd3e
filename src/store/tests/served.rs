//! What only an account server can show: interruptions, tokens, and others who write through it.

use std::collections::BTreeSet;

use super::*;
use crate::domain::access::Scope;

/// The server is gone for a while, and comes back where it was: what was told meanwhile is heard.
#[tokio::test]
async fn wakes_missed_while_the_server_was_gone_are_heard() {
    let mut world = World::with_account(On::ServerOnSqlite, seats(2)).await;
    world.organization("org").await.unwrap();
    world.operator("org", "tom").await.unwrap();
    missing(world.operator("org", "eva").await);
    let (backend, before) = (world.backend(), world.serving.take().expect("a server"));
    let (address, token) = (before.address, before.token.clone());
    before.end().await;
    let gone = backend.lookup(&key("eva")).await;
    assert!(matches!(gone, Err(BackendError::Transient(_))), "{gone:?}");
    // Without the server in between.
    world.delete("tom").await.unwrap();
    world.serving = Some(Serving::start_at(world.store.clone(), address, token).await);
    let wake = in_time("the missed wake", world.wakes.recv()).await.expect("a wake");
    assert_eq!((wake.tag, wake.ticket.map(|ticket| ticket.reserved)), (tag(RowKind::Operator, "eva"), Some(true)));
    assert!(matches!(backend.lookup(&key("eva")).await, Ok(Answer::Waiting(_))), "and the same provider works again");
}

/// A controller that took over, or was to be taken over from, changed a row.
#[tokio::test]
async fn what_another_session_changes_is_looked_at_again() {
    let mut world = World::with_account(On::ServerOnSqlite, seats(9)).await;
    world.organization("org").await.unwrap();
    world.widget("org", "web").await.unwrap();
    let other = world.serving.as_ref().expect("a server").provider("owner");
    let session = other.begin_epoch().await.unwrap();
    let desired = DesiredWidget { display_name: Some("Shop".to_owned()), ..DesiredWidget::default() };
    other.put_widget(&session, &tag(RowKind::Widget, "web"), &key("org"), &desired).await.unwrap();
    let wake = in_time("the change", world.wakes.recv()).await.expect("a wake");
    assert_eq!(wake, Wake { tag: tag(RowKind::Widget, "web"), ticket: None });
    assert!(world.wakes.try_recv().is_err(), "what this session did is no news");
}

#[tokio::test]
async fn what_other_owners_change_is_nothing_to_us() {
    let mut world = World::with_account(On::ServerOnSqlite, seats(9)).await;
    let other = world.serving.as_ref().expect("a server").provider("another cluster");
    let session = other.begin_epoch().await.unwrap();
    let beta = tag(RowKind::Account, "beta");
    let desired = DesiredAccount { owner_email: "ada@acme.example".to_owned(), owner_display_name: None, limits: seats(1) };
    other.put_account(&session, &beta, &desired).await.unwrap();
    let mine = world.backend().put_account(&world.session, &beta, &desired).await;
    assert!(matches!(&mine, Err(BackendError::Forbidden(why)) if why.contains("owner id")), "{mine:?}");
    // Behind it comes one that is ours to hear.
    let next = world.serving.as_ref().expect("a server").provider("owner");
    let session = next.begin_epoch().await.unwrap();
    next.put_account(&session, &tag(RowKind::Account, "acme"), &DesiredAccount { limits: seats(8), ..desired }).await.unwrap();
    let wake = in_time("the change", world.wakes.recv()).await.expect("a wake");
    assert_eq!(wake.tag.name, "acme");
}

#[tokio::test]
async fn a_revoked_token_ends_it_and_another_one_begins_anew() {
    let world = World::with_account(On::ServerOnSqlite, seats(9)).await;
    let serving = world.serving.as_ref().expect("a server");
    let id = world.store.list_tokens().await.unwrap().remove(0).id;
    world.store.revoke_token(&id).await.unwrap();
    let refused = |result: Result<Row>| assert_eq!(result, Err(BackendError::CredentialsInvalid));
    refused(world.account("acme", seats(8)).await);
    refused(world.account("acme", seats(8)).await);
    let (_, token) = world.store.create_token(&Scope::Admin, "another").await.unwrap();
    let backend = serving.provider_with(token, "owner");
    let session = backend.begin_epoch().await.unwrap();
    assert_eq!(backend.delete(&session, &key("nobody")).await, Ok(()));
}

#[tokio::test]
async fn a_token_of_another_scope_is_forbidden_to_write_and_says_so() {
    let world = World::with_account(On::ServerOnSqlite, seats(9)).await;
    let acme = world.present("acme").await.external_id;
    let (_, token) = world.store.create_token(&Scope::Account(acme), "readers").await.unwrap();
    let backend = world.serving.as_ref().expect("a server").provider_with(token, "owner");
    for _ in 0..2 {
        let refused = backend.begin_epoch().await;
        assert!(matches!(refused, Err(BackendError::Forbidden(_))), "{refused:?}");
    }
}

/// An organization as large as any: every reply still fits.
#[tokio::test]
async fn a_department_of_everybody_fits_into_a_reply() {
    let world = World::with_account(On::ServerOnSqlite, seats(1_000_000)).await;
    world.organization("org").await.unwrap();
    let people = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)
        INSERT INTO operators (external_id, key, owner, owner_namespace, owner_name, organization, account, email, email_folded, role)
        SELECT 'oper_' || n, printf('00000000-0000-0000-0000-%012d', n), 'owner', 'chat', 'p' || n, g.id, g.account, n || '@x.example',
        n || '@x.example', 'Agent' FROM numbers, organizations g";
    world.others(people).await;
    world.department("org", "all", &[]).await.unwrap();
    world
        .others(
            "INSERT INTO department_members (department, operator, organization)
             SELECT d.id, p.id, d.organization FROM departments d JOIN operators p ON p.organization = d.organization",
        )
        .await;
    let Fields::Department(fields) = world.present("all").await.fields else { panic!("not a department") };
    let desired = DesiredDepartment { position: Some(1), ..fields.values };
    assert_eq!(desired.members.as_ref().map(BTreeSet::len), Some(20_001));
    let row = world.backend().put_department(&world.session, &tag(RowKind::Department, "all"), &key("org"), &desired).await;
    assert!(row.is_ok(), "and into a request: {:?}", row.err());
}
