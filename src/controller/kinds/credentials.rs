//! An operator's credentials: a random password in a Secret, its salted hash in the store, crash-safe without reading Secrets (rule 10).
//!
//! The intent (hash and name) is in the store before the Secret is posted, and each post has an intent of its own. A later pass that
//! finds an intent asks with a dry run whether its post arrived: then its hash counts. If not, the intent is dropped, and another
//! password is announced and posted. A conflict on a post that was announced just now is somebody else's Secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Resource};
use secrecy::{ExposeSecret, SecretString};

use crate::api::Operator;
use crate::api::condition::{READY, Reason, find};
use crate::api::names::{CREDENTIALS_SECRET_TYPE, FIELD_MANAGER};
use crate::backend::{CredentialIntent, CredentialOutcome, OperatorPut};
use crate::domain::hash;
use crate::domain::rows::{CredentialState, Fields, Row, RowKind};

use super::super::context::Context;
use super::super::failure::{Failure, Stop};
use super::super::object::{Meta, Status, tag_of};
use super::account::namespace_terminating;
use super::member::Member;
use super::operator::{desired, secret_name, wants_credentials};

/// Bytes of randomness in a password: 200 bits.
const PASSWORD_BYTES: usize = 25;
const SALT_BYTES: usize = 16;

/// A password on its way, and the intent that announces it.
pub struct Prepared {
    password: SecretString,
    intent: CredentialIntent,
}

impl Prepared {
    /// What goes into the store.
    pub fn intent(&self) -> &CredentialIntent {
        &self.intent
    }

    /// A new password for an operator whose spec asks for one.
    pub fn new(operator: &Operator) -> Result<Self, Stop> {
        let failed = |error: getrandom::Error| {
            Failure::new(Reason::Progressing, format!("The operating system gives no random numbers: {error}")).with_backoff()
        };
        let mut bytes = [0; PASSWORD_BYTES];
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut bytes).and_then(|()| getrandom::fill(&mut salt)).map_err(failed)?;
        let password = SecretString::from(base32(&bytes));
        let hash = hash::salted(&salt, password.expose_secret());
        Ok(Self { password, intent: CredentialIntent { hash, secret_name: secret_name(operator) } })
    }
}

/// Brings an operator's credentials to what the spec asks for. `announced`: the password whose intent was written just now.
pub async fn ensure(
    context: &Context,
    member: &Member,
    operator: &Operator,
    row: Arc<Row>,
    announced: Option<Prepared>,
) -> Result<Arc<Row>, Stop> {
    let Fields::Operator(fields) = &row.fields else { return Ok(row) };
    match (wants_credentials(&operator.spec), fields.credentials) {
        (true, CredentialState::Active) | (false, CredentialState::Absent) => Ok(row),
        (false, _) => settle(context, member, operator, CredentialOutcome::Dropped).await,
        (true, _) if namespace_terminating(context, operator.namespace()) => Ok(row),
        (true, CredentialState::Intended) => {
            if let Some(prepared) = announced {
                return post(context, member, operator, prepared).await;
            }
            if exists(context, member, operator).await? {
                return settle(context, member, operator, CredentialOutcome::FoundFromIntent).await;
            }
            settle(context, member, operator, CredentialOutcome::Dropped).await?;
            announce_and_post(context, member, operator).await
        }
        (true, CredentialState::Absent) => {
            // The last pass found the name taken: ask without writing anything whether it still is.
            if was_taken(operator) && exists(context, member, operator).await? {
                return Err(taken(operator).into());
            }
            announce_and_post(context, member, operator).await
        }
    }
}

async fn announce_and_post(context: &Context, member: &Member, operator: &Operator) -> Result<Arc<Row>, Stop> {
    let prepared = Prepared::new(operator)?;
    announce(context, member, operator, &prepared).await?;
    post(context, member, operator, prepared).await
}

async fn announce(context: &Context, member: &Member, operator: &Operator, prepared: &Prepared) -> Result<(), Stop> {
    let tag = tag_of(RowKind::Operator, Meta::metadata(operator));
    let desired = desired(&operator.spec);
    let connection = &member.lineage.connection;
    let put = OperatorPut { tag: &tag, desired: &desired, intent: Some(&prepared.intent) };
    let row = context
        .write(connection, &member.lineage.account_name(), async |backend, session| backend.put_operator(session, &member.key, put).await)
        .await?;
    connection.observed().wrote(row);
    Ok(())
}

async fn post(context: &Context, member: &Member, operator: &Operator, prepared: Prepared) -> Result<Arc<Row>, Stop> {
    let secret = secret(member, operator, &prepared);
    let created = secrets(context, operator).create(&parameters(false), &secret).await;
    context.metrics.api_write("create");
    let outcome = match created {
        Ok(_) => CredentialOutcome::Created { hash: prepared.intent.hash },
        Err(error) if already_exists(&error) => {
            settle(context, member, operator, CredentialOutcome::Dropped).await?;
            return Err(taken(operator).into());
        }
        Err(error) => return Err(error.into()),
    };
    settle(context, member, operator, outcome).await
}

async fn settle(context: &Context, member: &Member, operator: &Operator, outcome: CredentialOutcome) -> Result<Arc<Row>, Stop> {
    let key = operator.key();
    let connection = &member.lineage.connection;
    let row = context
        .write(connection, &member.lineage.account_name(), async |backend, session| {
            backend.settle_credentials(session, &key, outcome).await
        })
        .await?;
    Ok(connection.observed().wrote(row))
}

/// Whether the Secret exists, whosever it is: found out without reading or writing one.
async fn exists(context: &Context, member: &Member, operator: &Operator) -> Result<bool, Stop> {
    let probe = secret(member, operator, &Prepared::new(operator)?);
    match secrets(context, operator).create(&parameters(true), &probe).await {
        Ok(_) => Ok(false),
        Err(error) if already_exists(&error) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Not every conflict: a quota that others change at the same time answers with the same code.
fn already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 && status.reason == "AlreadyExists")
}

fn was_taken(operator: &Operator) -> bool {
    let conditions = operator.status.as_ref().map(Status::conditions).unwrap_or_default();
    find(conditions, READY).is_some_and(|ready| ready.reason == Reason::NameTaken.as_str())
}

fn taken(operator: &Operator) -> Failure {
    let name = secret_name(operator);
    let message = format!(
        "The Secret \"{name}\" exists already, and it is not one that was just made for this operator, so no credentials were made. \
         Delete that Secret, or delete this operator and create it with another spec.credentials.secretName."
    );
    Failure::new(Reason::NameTaken, message).with_backoff()
}

fn secrets(context: &Context, operator: &Operator) -> Api<Secret> {
    Api::namespaced(context.client.clone(), Meta::namespace(operator))
}

fn parameters(dry_run: bool) -> PostParams {
    PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) }
}

fn secret(member: &Member, operator: &Operator, prepared: &Prepared) -> Secret {
    let mut data = BTreeMap::from([
        ("username".to_owned(), operator.spec.email.clone()),
        ("password".to_owned(), prepared.password.expose_secret().to_owned()),
    ]);
    if let Some(url) = &member.lineage.backend.spec.public_url {
        data.insert("loginURL".to_owned(), format!("{}/login", url.trim_end_matches('/')));
    }
    let metadata = ObjectMeta {
        name: Some(prepared.intent.secret_name.clone()),
        namespace: Some(Meta::namespace(operator).to_owned()),
        owner_references: operator.owner_ref(&()).map(|owner| vec![owner]),
        ..Default::default()
    };
    Secret { metadata, type_: Some(CREDENTIALS_SECRET_TYPE.to_owned()), string_data: Some(data), ..Default::default() }
}

/// Crockford's alphabet: no letter that reads like a digit.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| usize::from(byte >> bit & 1)));
    let bits: Vec<_> = bits.collect();
    bits.chunks(5).map(|five| char::from(ALPHABET[five.iter().fold(0, |value, bit| value << 1 | bit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_at_least_160_random_bits_and_never_repeats() {
        let operator = Operator::new("tom", crate::api::OperatorSpec::default());
        let (one, two) = (Prepared::new(&operator).unwrap(), Prepared::new(&operator).unwrap());
        assert_eq!(one.password.expose_secret().len() * 5, 200);
        assert_ne!(one.password.expose_secret(), two.password.expose_secret());
        assert!(!one.intent.hash.contains(one.password.expose_secret()));
    }

    #[test]
    fn a_password_is_in_base32() {
        assert_eq!(base32(&[0xff; 5]), "zzzzzzzz");
    }
}
