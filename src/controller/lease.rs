//! Which of several controllers works: the one that holds a Lease. The others stand by.
//!
//! Nobody's clock is compared with another's: a lease is taken over when its holder has not renewed it for its whole duration as
//! measured here, and its holder gives up two thirds through, whatever it is waiting for then. So two never hold it at once, unless
//! one of them stands still as a process: that is what epochs are for (rule 21). A Lease alone is no fence.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

/// A lease that this process may hold.
pub struct Lease {
    api: Api<Object>,
    name: String,
    identity: String,
    duration: Duration,
    /// What was seen last, and since when: nobody renewed it since.
    seen: Option<(Option<String>, Instant)>,
    renewed: Instant,
}

/// Whose the lease is.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Ours,
    Held { by: String },
}

impl Lease {
    /// A lease by name. `identity` must be this process's alone; `duration` is how long after its holder's end another takes over.
    pub fn new(client: Client, namespace: &str, name: &str, identity: String, duration: Duration) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), identity, duration, seen: None, renewed: Instant::now() }
    }

    /// Waits until this process holds the lease.
    pub async fn acquire(&mut self) {
        let mut holder = String::new();
        loop {
            let began = Instant::now();
            match self.attempt().await {
                Some(Standing::Ours) => {
                    self.renewed = began;
                    tracing::info!(lease = self.name, identity = self.identity, "this controller leads");
                    return;
                }
                Some(Standing::Held { by }) if by != holder => {
                    tracing::info!(lease = self.name, holder = by, "standing by");
                    holder = by;
                }
                Some(Standing::Held { .. }) | None => {}
            }
            sleep(self.retry()).await;
        }
    }

    /// Renews the lease for as long as that is possible. When this returns, the lease is lost: work must have ended by then.
    pub async fn keep(&mut self) {
        let deadline = self.duration * 2 / 3;
        loop {
            sleep(self.retry()).await;
            let began = Instant::now();
            // Nothing is left after a standstill of the process: another may hold it by now.
            let left = deadline.saturating_sub(began.duration_since(self.renewed));
            let standing = if left.is_zero() { Err(()) } else { timeout(left, self.attempt()).await.map_err(drop) };
            match standing {
                Ok(Some(Standing::Ours)) => self.renewed = began,
                Ok(None) => {}
                Ok(Some(Standing::Held { .. })) | Err(()) => break,
            }
        }
        tracing::error!(lease = self.name, "the lease is lost");
    }

    /// Gives the lease up, so that another need not wait for its end. For an orderly end, after the last write.
    pub async fn release(&mut self) {
        let giving_up = async {
            let mut object = self.api.get(&self.name).await?;
            let spec = object.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = None;
                self.api.replace(&self.name, &PostParams::default(), &object).await?;
            }
            Ok::<_, kube::Error>(())
        };
        if !matches!(timeout(self.retry(), giving_up).await, Ok(Ok(()))) {
            tracing::warn!(lease = self.name, "the lease could not be given up; it ends by itself");
        }
    }

    /// Between two attempts.
    fn retry(&self) -> Duration {
        self.duration / 7
    }

    /// Takes or renews the lease, if nobody else holds it. `None`: the API server did not answer in time, or another came first.
    async fn attempt(&mut self) -> Option<Standing> {
        match timeout(self.retry(), self.try_once()).await {
            Ok(Ok(standing)) => standing,
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, %error, "the lease could not be read or written; trying again");
                None
            }
            Err(_) => {
                tracing::warn!(lease = self.name, "the API server did not answer about the lease; trying again");
                None
            }
        }
    }

    async fn try_once(&mut self) -> Result<Option<Standing>, kube::Error> {
        let Some(mut object) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let object = Object { metadata, spec: Some(self.spec(None)) };
            return taken(self.api.create(&PostParams::default(), &object).await);
        };
        let before = object.spec.take().unwrap_or_default();
        let holder = before.holder_identity.clone().unwrap_or_default();
        if holder != self.identity && !holder.is_empty() && !self.has_ended(&object, &before) {
            return Ok(Some(Standing::Held { by: holder }));
        }
        object.spec = Some(self.spec(Some(before)));
        taken(self.api.replace(&self.name, &PostParams::default(), &object).await)
    }

    /// Whether the lease was not renewed for its duration, as measured here.
    fn has_ended(&mut self, object: &Object, spec: &LeaseSpec) -> bool {
        let version = &object.metadata.resource_version;
        match &self.seen {
            Some((seen, since)) if seen == version => {
                let stated = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
                since.elapsed() >= stated.map_or(self.duration, Duration::from_secs).max(self.duration)
            }
            _ => {
                self.seen = Some((version.clone(), Instant::now()));
                false
            }
        }
    }

    fn spec(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let before = before.unwrap_or_default();
        let now = MicroTime(Timestamp::now());
        let ours = before.holder_identity.as_deref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: before.acquire_time.filter(|_| ours).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or_default() + i32::from(!ours)),
            ..LeaseSpec::default()
        }
    }
}

/// A write that another's write preceded is no error: the next attempt sees whose.
fn taken(written: Result<Object, kube::Error>) -> Result<Option<Standing>, kube::Error> {
    match written {
        Ok(_) => Ok(Some(Standing::Ours)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}
