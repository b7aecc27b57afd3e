//! A connection that only listens for notifications.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use sqlx::{Executor, PgPool};

use super::{CONNECTION_WAIT, in_time};

/// After how long a silence the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(30);

/// What is heard on a channel, from when it began to when the connection is lost.
#[derive(Debug)]
pub(in crate::store) struct Listening {
    listener: PgListener,
    /// The store's connections: when they are closed, this one is.
    pool: PgPool,
}

impl Listening {
    /// Begins: what is announced from here on is heard. The connection comes from a pool of its own, so that the next one need not wait
    /// until this one, should its network be gone, is given up.
    pub(super) async fn start(pool: &PgPool, channel: &str) -> sqlx::Result<Self> {
        let own = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECTION_WAIT).max_lifetime(None).idle_timeout(None);
        let own = own.connect_lazy_with((*pool.connect_options()).clone());
        let begun = Box::pin(async {
            let mut listener = PgListener::connect_with(&own).await?;
            // Whoever lost it has to ask what was missed.
            listener.eager_reconnect(false);
            in_time(CONNECTION_WAIT, listener.listen(channel)).await?;
            Ok(Self { listener, pool: pool.clone() })
        });
        pool.close_event().do_until(begun).await?
    }

    /// The next notification, whenever that is; `None`: the connection is lost. A call that is dropped loses nothing.
    pub(in crate::store) async fn next(&mut self) -> sqlx::Result<Option<PgNotification>> {
        let mut closed = self.pool.close_event();
        loop {
            let heard = closed.do_until(tokio::time::timeout(SILENCE, self.listener.try_recv())).await?;
            match heard {
                Ok(heard) => return heard,
                Err(_) => in_time(CONNECTION_WAIT, self.listener.execute("SELECT 1")).await.map(drop)?,
            }
        }
    }
}
