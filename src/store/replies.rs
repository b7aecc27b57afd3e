//! Answers that are kept to be given again (`Idempotency-Key`): in the transaction that does what was asked, for [`KEPT`].
//!
//! An answer that says what people are called is not kept: erasing its row would have to find it here too. What is answered by a row is
//! idempotent by its key anyway, and simply done again. A refusal is no answer: whoever asks again may be admitted by then.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::FromRow;

use crate::backend::{BackendError, Erasing, Released, Result, Session};
use crate::domain::rows::Row;

use super::Store;
use super::db::{Conn, Scope, query};
use super::error::{Step, Stop};
use super::tx::Tx;
use super::write::Once;

/// How long an answer is kept.
pub(super) const KEPT: Duration = Duration::from_hours(24);

/// How many are forgotten in one transaction.
const BATCH: i64 = 1000;

/// What a mutation answers.
pub(super) trait Reply: Sized {
    /// What is kept of it, if anything.
    fn keep(&self) -> Option<String>;

    /// The answer, from what was kept.
    fn again(kept: &str) -> Option<Self>;
}

/// Numbers, and nothing.
impl<T: Number> Reply for T {
    fn keep(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    fn again(kept: &str) -> Option<Self> {
        serde_json::from_str(kept).ok()
    }
}

/// An answer that names nobody.
pub(super) trait Number: Serialize + DeserializeOwned {}

impl Number for () {}
impl Number for u64 {}
impl Number for Erasing {}
impl Number for Released {}
impl Number for Session {}

/// Answers with people in them.
macro_rules! not_kept {
    ($($type:ty),*) => {$(
        impl Reply for $type {
            fn keep(&self) -> Option<String> {
                None
            }

            fn again(_: &str) -> Option<Self> {
                None
            }
        }
    )*};
}

not_kept!(Row, (Row, Option<Row>));

pub(super) const FIND: &str = "SELECT digest, reply FROM replies WHERE token = $1 AND key = $2 AND at > $3";

#[derive(FromRow)]
struct Kept {
    digest: String,
    reply: Option<String>,
}

/// The answer that was given to the request, if it was and was kept; refused when the key was another request's.
pub(super) async fn find<T: Reply>(conn: &mut Conn, once: &Once) -> Step<Option<T>> {
    let statement = query(FIND).bind(&once.token).bind(&once.key).bind(oldest(Timestamp::now()));
    match statement.fetch_optional::<Kept>(conn).await? {
        None => Ok(None),
        Some(kept) if kept.digest == once.digest => Ok(kept.reply.as_deref().and_then(T::again)),
        Some(_) => Err(another_request()),
    }
}

/// Keeps an answer. Whoever used the key meanwhile for something else was first.
pub(super) async fn keep<T: Reply>(tx: &mut Tx, once: &Once, answer: &T) -> Step<()> {
    let sql = "INSERT INTO replies (token, key, digest, reply, at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (token, key) DO UPDATE SET digest = excluded.digest, reply = excluded.reply, at = excluded.at
        WHERE replies.at <= $6 OR replies.digest = excluded.digest";
    let now = Timestamp::now();
    let statement = query(sql).bind(&once.token).bind(&once.key).bind(&once.digest).bind(answer.keep());
    let written = statement.bind(now.as_second()).bind(oldest(now)).execute(tx.conn()).await?;
    tx.changed = true;
    if written == 0 { Err(another_request()) } else { Ok(()) }
}

fn oldest(now: Timestamp) -> i64 {
    now.as_second() - KEPT.as_secs().cast_signed()
}

fn another_request() -> Stop {
    let message = "was used for another request; take a new one for every request".to_owned();
    Stop::Failed(BackendError::Invalid { field: "Idempotency-Key".into(), message })
}

impl Store {
    /// Forgets the answers that were kept long enough by `now`, in batches; says how many.
    pub async fn forget_replies(&self, now: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM replies WHERE (token, key) IN (SELECT token, key FROM replies WHERE at <= $1 ORDER BY at LIMIT $2)";
        let mut forgotten = 0;
        loop {
            let mut conn = self.database().begin(Scope::Store).await?;
            let batch = query(sql).bind(oldest(now)).bind(BATCH).execute(&mut conn).await?;
            conn.commit().await?;
            forgotten += batch;
            if batch < BATCH.cast_unsigned() {
                return Ok(forgotten);
            }
        }
    }
}
