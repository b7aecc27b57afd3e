//! What people and products look up: by external id or key, with the rows that have no object.

use super::*;
use crate::store::Place as Where;

on_both! {
    rows_are_listed_by_their_parent_also_without_an_object,
    long_lists_come_in_pages,
    a_parent_of_another_kind_is_none,
    everything_is_found_by_both_its_names,
    an_external_id_is_not_shadowed_by_a_key,
    what_waits_for_a_row_is_somewhere_too,
}

fn ids(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.external_id.as_str()).collect()
}

/// A store with rows of every kind, some of which were let go.
async fn world(on: On) -> World {
    let world = World::with_account(on, seats(9)).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    world.operator("one", "tom").await.unwrap();
    world.department("one", "sales", &["tom"]).await.unwrap();
    world.department("one", "help", &["one-first"]).await.unwrap();
    world.widget("one", "web").await.unwrap();
    world.widget("two", "shop").await.unwrap();
    world
}

async fn rows_are_listed_by_their_parent_also_without_an_object(on: On) {
    let world = world(on).await;
    world.account("beta", seats(1)).await.unwrap();
    let row = async |name| world.present(name).await;
    let (one, two, sales, help, web) = (row("one").await, row("two").await, row("sales").await, row("help").await, row("web").await);
    let (acme, beta, tom, first) = (row("acme").await, row("beta").await, row("tom").await, row("one-first").await);
    let store = &world.store;
    assert_eq!(store.list_accounts(None, None).await, Ok((vec![acme.clone(), beta], None)));
    assert_eq!(store.list_accounts(Some("other"), None).await, Ok((vec![], None)));
    for name in [&acme.external_id, "uid-acme"] {
        assert_eq!(store.list_organizations(name, None).await, Ok((vec![one.clone(), two.clone()], None)));
    }
    assert_eq!(store.list_operators("uid-one", None).await, Ok((vec![first.clone(), tom.clone()], None)));
    assert_eq!(store.list_departments("uid-one", None).await, Ok((vec![sales.clone(), help.clone()], None)), "with their members");
    assert_eq!(store.list_widgets("uid-one", None).await, Ok((vec![web.clone()], None)));

    world.store.release(&world.session, &key("one")).await.unwrap();
    let (organizations, _) = store.list_organizations("uid-acme", None).await.unwrap();
    assert_eq!(ids(&organizations), [&one.external_id, &two.external_id]);
    assert!(organizations[0].tag.is_none() && organizations[1].tag.is_some());
    let name = &one.external_id;
    assert_eq!(ids(&store.list_operators(name, None).await.unwrap().0), [&first.external_id, &tom.external_id]);
    assert_eq!(ids(&store.list_departments(name, None).await.unwrap().0), [&sales.external_id, &help.external_id]);
    assert_eq!(ids(&store.list_widgets(name, None).await.unwrap().0), [&web.external_id]);
}

async fn long_lists_come_in_pages(on: On) {
    let world = world(on).await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)";
    let columns = "external_id, key, owner, owner_namespace, owner_name";
    let names = |kind: &str| format!("'x_{kind}' || i, 'key-{kind}' || i, 'owner', 'chat', '{kind}' || i");
    let from = "FROM n, organizations g WHERE g.key = 'uid-two'";
    world
        .others(&format!(
            "INSERT INTO operators ({columns}, organization, account, email, email_folded, role) {numbers}
             SELECT {}, g.id, g.account, 'o' || i, 'o' || i, 'Agent' {from};
         INSERT INTO departments ({columns}, organization, account, display_name) {numbers} SELECT {}, g.id, g.account, 'd' {from};
         INSERT INTO department_members (department, operator, organization) SELECT d.id, p.id, p.organization
             FROM departments d JOIN operators p ON p.key = REPLACE(d.key, 'key-d', 'key-p') WHERE d.external_id LIKE 'x_d%'",
            names("p"),
            names("d")
        ))
        .await;
    let (mut operators, mut departments) = (Vec::new(), Vec::new());
    let (mut next, mut pages) = (None, 0);
    loop {
        let (rows, after) = world.store.list_operators("uid-two", next.as_ref()).await.unwrap();
        operators.extend(rows);
        pages += 1;
        match after {
            Some(after) => next = Some(after),
            None => break,
        }
    }
    assert_eq!((operators.len(), pages), (1201, 3));
    next = None;
    while pages > 0 {
        let (rows, after) = world.store.list_departments("uid-two", next.as_ref()).await.unwrap();
        departments.extend(rows);
        next = after;
        pages = if next.is_some() { pages } else { 0 };
    }
    assert_eq!(departments.len(), 1200);
    for department in &departments {
        let Fields::Department(fields) = &department.fields else { panic!("{department:?}") };
        let member = department.tag.as_ref().unwrap().key.0.replace("key-d", "key-p");
        assert_eq!(fields.values.members, Some([Key(member)].into()));
    }
}

async fn a_parent_of_another_kind_is_none(on: On) {
    let world = world(on).await;
    let organization = Err(BackendError::ParentNotFound(RowKind::Organization));
    for name in ["uid-acme", "uid-tom", "uid-none", "", "org_none"] {
        assert_eq!(world.store.list_operators(name, None).await, organization, "{name}");
        assert_eq!(world.store.list_departments(name, None).await, organization, "{name}");
        assert_eq!(world.store.list_widgets(name, None).await, organization, "{name}");
    }
    assert_eq!(world.store.list_organizations("uid-one", None).await, Err(BackendError::ParentNotFound(RowKind::Account)));
    let bad = crate::backend::Cursor("x".to_owned());
    assert!(matches!(world.store.list_operators("uid-one", Some(&bad)).await, Err(BackendError::Invalid { .. })));
}

async fn everything_is_found_by_both_its_names(on: On) {
    let world = world(on).await;
    let account = world.present("acme").await.external_id;
    let organization = world.present("one").await.external_id;
    for (name, kind, within) in [
        ("acme", RowKind::Account, None),
        ("one", RowKind::Organization, Some(&organization)),
        ("tom", RowKind::Operator, Some(&organization)),
        ("sales", RowKind::Department, Some(&organization)),
        ("web", RowKind::Widget, Some(&organization)),
    ] {
        let row = world.present(name).await;
        let place = Where { kind, account: account.clone(), organization: within.cloned() };
        for name in [row.external_id.clone(), format!("uid-{name}")] {
            assert_eq!(world.store.find(&name).await, Ok(Some(row.clone())), "{name}");
            assert_eq!(world.store.locate(&name).await, Ok(Some(place.clone())), "{name}");
        }
    }
    for name in ["", "none", "acct_none"] {
        assert_eq!((world.store.find(name).await, world.store.locate(name).await), (Ok(None), Ok(None)), "{name}");
    }
}

/// Keys are chosen by clients: one that is written like another's external id changes nobody's answer.
async fn an_external_id_is_not_shadowed_by_a_key(on: On) {
    let world = world(on).await;
    let organization = world.present("two").await;
    let shadow = OwnerTag { key: Key(organization.external_id.clone()), ..tag(RowKind::Widget, "shadow") };
    world.store.put_widget(&world.session, &shadow, &key("one"), &DesiredWidget::default()).await.unwrap();
    assert_eq!(world.store.find(&organization.external_id).await, Ok(Some(organization.clone())));
    assert_eq!(world.store.locate(&organization.external_id).await.unwrap().unwrap().organization, Some(organization.external_id));
}

async fn what_waits_for_a_row_is_somewhere_too(on: On) {
    let world = World::with_account(on, seats(1)).await;
    let organization = world.organization("org").await.unwrap().0.external_id;
    let account = world.present("acme").await.external_id;
    missing(world.operator("org", "eva").await);
    missing(world.organization("second").await);
    let at = |kind, organization| Where { kind, account: account.clone(), organization };
    assert_eq!(world.store.locate("uid-eva").await, Ok(Some(at(RowKind::Operator, Some(organization)))));
    assert_eq!(world.store.locate("uid-second").await, Ok(Some(at(RowKind::Organization, None))));
    assert_eq!(world.store.find("uid-eva").await, Ok(None));
}
