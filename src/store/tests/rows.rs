//! Rows and their fields; nothing is written where nothing differs; values that are refused.

use super::*;
use crate::backend::CredentialOutcome;
use crate::domain::rows::CredentialState;

through_all! {
    what_is_as_desired_is_not_written_again,
    an_absent_field_leaves_what_is_stored,
    every_put_returns_what_is_stored,
    emails_are_one_persons_in_an_organization_whatever_their_case,
    members_are_operators_of_the_organization_that_have_a_row,
    reach_needs_a_department_with_a_seat_holder,
    credentials_follow_their_secret,
    values_that_cannot_be_are_refused_by_field,
    rows_need_their_parent,
    an_organization_needs_a_fit_first_operator,
    nobody_moves_to_another_organization_but_out_of_a_dead_one,
}

async fn what_is_as_desired_is_not_written_again(on: On) {
    let world = World::with_account(on, seats(3)).await;
    world.organization("org").await.unwrap();
    world.put_with_intent("org", "tom", "sha256$1").await.unwrap();
    world.department("org", "sales", &["tom", "org-first", "nobody"]).await.unwrap();
    world.widget("org", "web").await.unwrap();
    world.operator("org", "eva").await.unwrap();
    missing(world.operator("org", "max").await);
    let writes = world.writes().await;
    for _ in 0..2 {
        world.account("acme", seats(3)).await.unwrap();
        world.organization("org").await.unwrap();
        world.put_with_intent("org", "tom", "sha256$2").await.unwrap();
        world.department("org", "sales", &["tom", "org-first", "nobody"]).await.unwrap();
        world.widget("org", "web").await.unwrap();
        missing(world.operator("org", "max").await);
        world.delete("nobody").await.unwrap();
        world.backend().drop_ticket(&world.session, &key("tom")).await.unwrap();
        world.backend().pause_ticket(&world.session, &key("max"), false).await.unwrap();
    }
    assert_eq!(world.writes().await, writes);
}

async fn an_absent_field_leaves_what_is_stored(on: On) {
    let world = World::with_account(on, seats(3)).await;
    world.organization("org").await.unwrap();
    let full = DesiredOperator { nickname: Some("Tommy".to_owned()), position: Some(7), ..person("tom") };
    world.put("org", "tom", &full).await.unwrap();
    let sparse = DesiredOperator { display_name: None, role: Role::Agent, ..person("tom") };
    let row = world.put("org", "tom", &sparse).await.unwrap();
    let expected = DesiredOperator { role: Role::Agent, switch_organizations: Some(false), ..full };
    assert_eq!(operator_fields(&row).values, expected);
    assert_eq!(world.present("tom").await, row, "what a put returns is what is stored");
}

async fn every_put_returns_what_is_stored(on: On) {
    let world = World::with_account(on, seats(3)).await;
    let (organization, first) = world.organization("org").await.unwrap();
    assert_eq!(world.present("org").await, organization);
    assert_eq!(world.present("org-first").await, first.unwrap());
    assert_eq!(world.present("acme").await, world.account("acme", seats(3)).await.unwrap());
    assert_eq!(world.widget("org", "web").await.unwrap(), world.present("web").await);
    assert_eq!(world.department("org", "sales", &["org-first"]).await.unwrap(), world.present("sales").await);
    let made = world.backend().starter_made(&world.session, &key("org")).await.unwrap();
    assert_eq!(world.present("org").await, made);
    assert_eq!(world.put_with_intent("org", "tom", "sha256$1").await.unwrap(), world.present("tom").await);
}

async fn emails_are_one_persons_in_an_organization_whatever_their_case(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    world.put("one", "tom", &DesiredOperator { email: "Émile@Acme.example".to_owned(), ..person("tom") }).await.unwrap();
    let same = DesiredOperator { email: "émile@acme.EXAMPLE".to_owned(), ..person("eva") };
    assert_eq!(world.put("one", "eva", &same).await, Err(BackendError::EmailTaken));
    world.put("two", "eva", &same).await.expect("another organization");
    world.backend().quarantine(&world.session, &key("tom")).await.unwrap();
    world.put("one", "max", &DesiredOperator { email: same.email.clone(), ..person("max") }).await.expect("quarantined: not in the way");
    assert_eq!(world.put("one", "tom", &same).await, Err(BackendError::EmailTaken), "back, but its e-mail is another's now");
    let back = world.operator("one", "tom").await.unwrap();
    assert!(!back.quarantined);
    world.assert_whole().await;
}

async fn members_are_operators_of_the_organization_that_have_a_row(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    let members = |row: &Row| match &row.fields {
        Fields::Department(fields) => fields.values.members.clone().unwrap_or_default().into_iter().map(|key| key.0).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let row = world.department("one", "sales", &["one-first", "two-first", "tom"]).await.unwrap();
    assert_eq!(members(&row), ["uid-one-first"]);
    world.operator("one", "tom").await.unwrap();
    let row = world.department("one", "sales", &["one-first", "two-first", "tom"]).await.unwrap();
    assert_eq!(members(&row), ["uid-one-first", "uid-tom"]);
    world.backend().quarantine(&world.session, &key("tom")).await.unwrap();
    assert_eq!(members(&world.present("sales").await), ["uid-one-first"]);
    world.operator("one", "tom").await.unwrap();
    let sparse = DesiredDepartment { display_name: "Sales".to_owned(), position: Some(3), members: None };
    let row = world.backend().put_department(&world.session, &tag(RowKind::Department, "sales"), &key("one"), &sparse).await.unwrap();
    assert_eq!(members(&row), ["uid-one-first", "uid-tom"], "absent members stay");
    assert_eq!(members(&world.department("one", "sales", &[]).await.unwrap()), [] as [&str; 0]);
}

async fn reach_needs_a_department_with_a_seat_holder(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("org").await.unwrap();
    let reach = async || {
        let reach = world.backend().reach(&key("org")).await.unwrap();
        (reach.departments, reach.assigned)
    };
    assert_eq!(reach().await, (0, false));
    world.operator("org", "tom").await.unwrap();
    world.department("org", "sales", &[]).await.unwrap();
    assert_eq!(reach().await, (1, false));
    world.department("org", "sales", &["tom"]).await.unwrap();
    assert_eq!(reach().await, (1, true));
    world.put("org", "tom", &suspended("tom")).await.unwrap();
    assert_eq!(reach().await, (1, false));
    world.operator("org", "tom").await.unwrap();
    world.backend().quarantine(&world.session, &key("sales")).await.unwrap();
    assert_eq!(reach().await, (0, false));
}

async fn credentials_follow_their_secret(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("org").await.unwrap();
    let state = |row: &Row| operator_fields(row).credentials;
    assert_eq!(state(&world.put_with_intent("org", "tom", "one").await.unwrap()), CredentialState::Intended);
    world.put_with_intent("org", "tom", "two").await.unwrap();
    let hash = "SELECT COUNT(*) FROM credentials WHERE hash = 'one' AND state = 'intended'";
    assert_eq!(world.number(hash).await, 1, "the first intent stays");
    let settle = async |outcome| world.backend().settle_credentials(&world.session, &key("tom"), outcome).await;
    assert_eq!(state(&settle(CredentialOutcome::FoundFromIntent).await.unwrap()), CredentialState::Active);
    assert_eq!(world.number("SELECT COUNT(*) FROM credentials WHERE hash = 'one' AND state = 'active'").await, 1);
    let created = CredentialOutcome::Created { hash: "two".to_owned() };
    assert_eq!(state(&settle(created.clone()).await.unwrap()), CredentialState::Active);
    assert_eq!(world.number("SELECT COUNT(*) FROM credentials WHERE hash = 'two' AND state = 'active'").await, 1);
    assert_eq!(state(&settle(CredentialOutcome::Dropped).await.unwrap()), CredentialState::Absent);
    assert!(matches!(settle(created).await, Err(BackendError::Invalid { .. })));
    assert_eq!(state(&settle(CredentialOutcome::FoundFromIntent).await.unwrap()), CredentialState::Absent);
}

async fn values_that_cannot_be_are_refused_by_field(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("org").await.unwrap();
    let field = |result: Result<Row>| match result {
        Err(BackendError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let bad = DesiredOperator { display_name: Some("Tom\u{0}".to_owned()), ..person("tom") };
    assert_eq!(field(world.put("org", "tom", &bad).await), "spec.displayName");
    let bad = DesiredOperator { nickname: Some("x".repeat(1 << 11)), ..person("tom") };
    assert_eq!(field(world.put("org", "tom", &bad).await), "spec.nickname");
    let bad = DesiredOperator { email: " ".to_owned(), ..person("tom") };
    assert_eq!(field(world.put("org", "tom", &bad).await), "spec.email");
    let rtl = DesiredOperator { display_name: Some("\u{202e}moT".to_owned()), ..person("tom") };
    world.put("org", "tom", &rtl).await.expect("stored as it is; messages show it stripped");
}

async fn rows_need_their_parent(on: On) {
    let world = World::with_account(on, seats(9)).await;
    assert_eq!(world.operator("org", "tom").await, Err(BackendError::ParentNotFound(RowKind::Organization)));
    assert_eq!(world.widget("org", "web").await, Err(BackendError::ParentNotFound(RowKind::Organization)));
    assert_eq!(world.department("org", "sales", &[]).await, Err(BackendError::ParentNotFound(RowKind::Organization)));
    world.organization("org").await.unwrap();
    world.backend().quarantine(&world.session, &key("org")).await.unwrap();
    assert_eq!(world.operator("org", "tom").await, Err(BackendError::ParentNotFound(RowKind::Organization)));
    world.backend().quarantine(&world.session, &key("acme")).await.unwrap();
    assert_eq!(world.organization("two").await, Err(BackendError::ParentNotFound(RowKind::Account)));
    assert_eq!(world.lookup("tom").await, Answer::Unknown);
}

async fn an_organization_needs_a_fit_first_operator(on: On) {
    let world = World::with_account(on, seats(9)).await;
    let desired = DesiredOrganization::default();
    let none = world.backend().put_organization(&world.session, &tag(RowKind::Organization, "org"), &key("acme"), &desired, None).await;
    assert!(matches!(none, Err(BackendError::Invalid { field, .. }) if field == "spec.firstOperator"));
    world.organization_with("one", "tom").await.unwrap();
    assert!(matches!(world.organization_with("two", "tom").await, Err(BackendError::Invalid { .. })));
    let (tag, desired) = (tag(RowKind::Operator, "eva"), suspended("eva"));
    let first = OperatorPut { tag: &tag, desired: &desired, intent: None };
    let (tag, desired) = (self::tag(RowKind::Organization, "two"), DesiredOrganization::default());
    let refused = world.backend().put_organization(&world.session, &tag, &key("acme"), &desired, Some(first)).await;
    assert!(matches!(refused, Err(BackendError::Invalid { .. })));
    assert_eq!(world.lookup("two").await, Answer::Unknown);
}

async fn nobody_moves_to_another_organization_but_out_of_a_dead_one(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    world.operator("one", "tom").await.unwrap();
    world.widget("one", "web").await.unwrap();
    world.department("one", "sales", &["tom"]).await.unwrap();
    let invalid = |result: Result<Row>| matches!(result, Err(BackendError::Invalid { field, .. }) if field == "spec.organizationRef");
    assert!(invalid(world.operator("two", "tom").await));
    assert!(invalid(world.widget("two", "web").await));
    assert!(invalid(world.department("two", "sales", &[]).await));
    let old = world.present("tom").await.external_id;
    world.backend().quarantine(&world.session, &key("one")).await.unwrap();
    let row = world.operator("two", "tom").await.unwrap();
    assert_ne!(row.external_id, old);
    world.widget("two", "web").await.unwrap();
    world.department("two", "sales", &["tom"]).await.unwrap();
    assert_eq!(world.held().await, 4, "the old row keeps its seat");
    let orphans = world.store.reader().orphans().await.unwrap();
    assert!(orphans.iter().any(|orphan| orphan.external_id == old && orphan.was.as_deref() == Some("chat/tom")));
    world.assert_whole().await;
}
