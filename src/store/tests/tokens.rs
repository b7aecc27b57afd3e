//! Tokens of an account server: made, found, revoked, also beside whoever has the store.

use std::collections::HashSet;

use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::domain::access::Scope;
use crate::store::Tokens;

on_both! {
    a_token_is_good_until_it_is_revoked,
    what_is_no_token_opens_nothing,
    a_scope_names_what_is_there,
    nothing_secret_is_kept_or_shown,
    tokens_are_made_and_revoked_beside_a_running_store,
}

on_both! { threads:
    who_writes_and_who_makes_tokens_do_not_hinder_each_other,
}

async fn a_token_is_good_until_it_is_revoked(on: On) {
    let world = World::with_account(on, seats(1)).await;
    let (info, token) = world.store.create_token(&Scope::Admin, "for a test").await.unwrap();
    let (other, second) = world.store.create_token(&Scope::Admin, "").await.unwrap();
    assert_eq!(world.store.authenticate(&token).await, Ok(Some(info.clone())));
    assert_eq!(world.store.list_tokens().await.unwrap(), [info.clone(), other.clone()]);

    let revoked = world.store.revoke_token(&info.id).await.unwrap().unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(world.store.authenticate(&token).await, Ok(None));
    assert_eq!(world.store.authenticate(&second).await, Ok(Some(other.clone())));
    assert_eq!(world.store.revoke_token(&info.id).await, Ok(Some(revoked.clone())), "the first time counts");
    assert_eq!(world.store.revoke_token("dpt_none").await, Ok(None));
    assert_eq!(world.store.list_tokens().await.unwrap(), [revoked, other]);
}

async fn what_is_no_token_opens_nothing(on: On) {
    let world = World::new(on).await;
    let (_, token) = world.store.create_token(&Scope::Admin, "").await.unwrap();
    let (_, other) = world.store.create_token(&Scope::Admin, "").await.unwrap();
    let (id, secret) = token.expose_secret().rsplit_once('_').unwrap();
    let (other_id, _) = other.expose_secret().rsplit_once('_').unwrap();
    let mut wrong = secret.to_owned();
    wrong.replace_range(51.., if secret.ends_with('a') { "b" } else { "a" });
    let texts = [
        String::new(),
        "dpt__".to_owned(),
        id.to_owned(),
        format!("{id}_"),
        format!("{id}_{wrong}"),
        format!("{id}_{}", &secret[..51]),
        format!("{id}_{secret}a"),
        format!("{id}_{}", secret.to_uppercase()),
        format!("{other_id}_{secret}"),
        format!("dpt_{}_{secret}", "a".repeat(26)),
        format!(" {id}_{secret}"),
        format!("{id}_{secret}\n"),
        format!("{}_{secret}", id.replace("dpt_", "dpt_%")),
        "x".repeat(1_000_000),
        "\0".to_owned(),
    ];
    for text in texts {
        assert_eq!(world.store.authenticate(&SecretString::from(text.clone())).await, Ok(None), "{text:.100}");
    }
    assert!(world.store.authenticate(&token).await.unwrap().is_some());
}

async fn a_scope_names_what_is_there(on: On) {
    let world = World::with_account(on, seats(3)).await;
    let organization = world.organization("org").await.unwrap().0.external_id;
    let account = world.present("acme").await.external_id;
    for scope in [Scope::Account(account.clone()), Scope::Transcripts(organization.clone())] {
        let (info, token) = world.store.create_token(&scope, "").await.unwrap();
        assert_eq!(info.scope, scope);
        assert_eq!(world.store.authenticate(&token).await.unwrap().unwrap().scope, scope);
    }
    for scope in [Scope::Account("acct_none".to_owned()), Scope::Account(organization), Scope::Transcripts(account)] {
        let refused = world.store.create_token(&scope, "").await.map(|(info, _)| info);
        assert!(matches!(&refused, Err(BackendError::Invalid { field, message }) if field == "scope" && message.contains("there is no")));
    }
    let refused = world.store.create_token(&Scope::Admin, "a\u{7}b").await.map(|(info, _)| info);
    assert!(matches!(refused, Err(BackendError::Invalid { field, .. }) if field == "description"));
    assert_eq!(world.store.list_tokens().await.unwrap().len(), 2);
}

async fn nothing_secret_is_kept_or_shown(on: On) {
    let world = World::new(on).await;
    let (info, token) = world.store.create_token(&Scope::Admin, "").await.unwrap();
    let (id, secret) = token.expose_secret().rsplit_once('_').unwrap();
    assert_eq!((id, id.len(), secret.len()), (info.id.as_str(), 30, 52));
    assert!(!format!("{info:?} {token:?}").contains(secret));
    let kept: Vec<String> = query("SELECT id || hash || scope || description || created_at FROM tokens")
        .scalars(&mut world.store.reader().snapshot().await.unwrap())
        .await
        .unwrap();
    assert!(kept.len() == 1 && kept[0].contains(id) && !kept[0].contains(secret));
    let more = futures::future::try_join_all((0..20).map(|_| world.store.create_token(&Scope::Admin, ""))).await.unwrap();
    let texts: HashSet<_> = more.iter().map(|(_, token)| token.expose_secret().to_owned()).collect();
    assert_eq!(texts.len(), 20);
}

/// In a file another process holds the lock: here it is the store of the same test.
async fn tokens_are_made_and_revoked_beside_a_running_store(on: On) {
    let world = World::with_account(on, seats(2)).await;
    let tokens = Tokens::open(&world.location).await.unwrap();
    let (info, token) = tokens.create(&Scope::Admin, "beside").await.unwrap();
    assert_eq!(world.store.authenticate(&token).await, Ok(Some(info.clone())), "at once");
    // While a transaction of the store's own is open, it waits for its end and no longer.
    let (written, second) = tokio::join!(world.organization("org"), tokens.create(&Scope::Admin, ""));
    written.unwrap();
    let (_, second) = second.unwrap();
    assert!(world.store.authenticate(&second).await.unwrap().is_some());
    tokens.revoke(&info.id).await.unwrap().unwrap();
    assert_eq!(world.store.authenticate(&token).await, Ok(None), "at once");
    tokens.close().await;
    drop(tokens);
    world.operator("org", "tom").await.expect("the store goes on");
    world.assert_whole().await;
}

async fn who_writes_and_who_makes_tokens_do_not_hinder_each_other(on: On) {
    let world = World::with_account(on, seats(100)).await;
    world.organization("org").await.unwrap();
    let tokens = Tokens::open(&world.location).await.unwrap();
    let operators = async {
        for number in 0..40 {
            world.operator("org", &format!("o{number}")).await.expect("an operator");
        }
    };
    let made = async {
        for _ in 0..40 {
            let (info, token) = tokens.create(&Scope::Admin, "").await.expect("a token");
            assert!(world.store.authenticate(&token).await.expect("an answer").is_some());
            tokens.revoke(&info.id).await.expect("revoked");
            assert!(world.store.authenticate(&token).await.expect("an answer").is_none());
        }
    };
    tokio::join!(operators, made);
    assert_eq!(world.held().await, 41);
    world.assert_whole().await;
}

#[tokio::test]
async fn a_file_of_another_version_is_not_written_beside_its_process() {
    let world = World::new(On::Sqlite).await;
    world.others("UPDATE _sqlx_migrations SET version = 999 WHERE version = 2").await;
    let error = Tokens::open(&world.location).await.expect_err("an error").to_string();
    assert!(error.contains("newer version") && error.contains("999"), "{error}");
}

#[tokio::test]
async fn where_nobody_has_a_store_it_is_made_and_left_free() {
    let folder = TempDir::new().unwrap();
    let location = Location::File(folder.path().join("deskplane.db"));
    let tokens = Tokens::open(&location).await.unwrap();
    let (_, token) = tokens.create(&Scope::Admin, "").await.unwrap();
    tokens.close().await;
    drop(tokens);
    let store = Store::open(&location).await.unwrap();
    assert!(store.authenticate(&token).await.unwrap().is_some());
}
