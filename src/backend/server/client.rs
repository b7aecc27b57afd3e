//! One exchange with the server: over TLS that we trust, through the gate, under a deadline, and no longer than agreed.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::backend::wire::{EPOCH, OWNER, STORE};
use crate::backend::{BackendError, Result, Session};

use super::address;
use super::failure::{no_answer, not_sent_or_lost};
use super::gate::Gate;
use super::reply::{Call, Reply};
use super::{ServerOptions, trust};

/// The longest reply about one row, or to a write. A department of 20,000 members, the largest of all, is 800 KB.
const LONGEST_REPLY: usize = 1 << 20;

/// The longest page. It has up to 500 rows: of operators, whose strings are as long as their kind allows, 2 MB; of widgets with 64 origins
/// of 300 characters each, 10 MB. What is longer is no page that an account server means to send.
pub(super) const LONGEST_PAGE: usize = 16 << 20;

/// The longest error.
const LONGEST_ERROR: usize = 64 << 10;

/// Connections that are kept open for the next calls.
const IDLE_CONNECTIONS: usize = 32;

/// How long: less than servers, and what stands before them, keep a connection open that nobody uses.
const IDLE: Duration = Duration::from_secs(20);

/// How long anything may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// Until a connection stands, TLS included.
    pub(super) connect: Duration,
    /// A call, from its turn to the last byte of its reply.
    pub(super) call: Duration,
    /// Until the next sign of life of a stream. The server gives one every 15 s.
    pub(super) silence: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), call: Duration::from_secs(10), silence: Duration::from_secs(45) }
    }
}

/// The way to one server. Has no `Debug`: it holds the token.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    /// The base as people wrote it.
    at: String,
    token: HeaderValue,
    gate: Gate,
    pub(super) deadlines: Deadlines,
}

/// A request that is being put together.
pub(super) struct Request<'a> {
    client: &'a Client,
    builder: RequestBuilder,
    call: Call,
    longest: usize,
    deadline: Duration,
}

impl Client {
    /// A way to the server. Sends nothing.
    pub(super) fn new(options: &ServerOptions, deadlines: Deadlines) -> Result<Self> {
        let base = address::parse(&options.url)?;
        let invalid = |field: &'static str, message: &str| BackendError::Invalid { field: field.into(), message: message.to_owned() };
        if options.rate_limit.is_some_and(|limit| limit.requests_per_second == 0 || limit.burst == 0) {
            return Err(invalid("spec.rateLimit", "needs at least 1 request a second, and 1 at once"));
        }
        if options.owner.trim().is_empty() || !options.owner.is_ascii() || HeaderValue::from_str(&options.owner).is_err() {
            return Err(invalid("owner", "cannot be sent to a server: choose an owner id of letters, digits and '-' (--owner-id)"));
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("deskplane/", env!("CARGO_PKG_VERSION")))
            // A dropped call costs its connection and no other call's.
            .http1_only()
            .https_only(base.scheme() == "https")
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(deadlines.connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        let http = trust::trusting(builder, &base, options.ca_bundle.as_deref())?;
        let mut token = HeaderValue::try_from(format!("Bearer {}", options.token.expose_secret()))
            .map_err(|_| invalid("token", "has characters that no token has: put it into the Secret as one word"))?;
        token.set_sensitive(true);
        Ok(Self { http, base, at: options.url.clone(), token, gate: Gate::new(options.rate_limit), deadlines })
    }

    /// The server's URL, for people.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// It says something that an account server of this version does not say.
    pub(super) fn not_understood(&self) -> BackendError {
        BackendError::Transient(format!("{} says what is not understood here. Is it an account server, of the same version?", self.at))
    }

    /// A question.
    pub(super) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Request<'_>> {
        self.request(Method::GET, path, query, Call::Read)
    }

    /// Something to write, in a session.
    pub(super) fn write(&self, method: Method, path: &[&str], session: &Session) -> Result<Request<'_>> {
        let mut request = self.request(method, path, &[], Call::Write)?;
        request.builder = request.builder.header(OWNER, &session.owner).header(EPOCH, session.epoch).header(STORE, &session.store_id);
        Ok(request)
    }

    /// Something to begin with, before there is a session.
    pub(super) fn post(&self, path: &[&str]) -> Result<Request<'_>> {
        self.request(Method::POST, path, &[], Call::Write)
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)], call: Call) -> Result<Request<'_>> {
        let url = address::below(&self.base, path, query)?;
        let builder = self.http.request(method, url).header(AUTHORIZATION, self.token.clone());
        Ok(Request { client: self, builder, call, longest: LONGEST_REPLY, deadline: self.deadlines.call })
    }
}

impl<'a> Request<'a> {
    /// The same with a body.
    pub(super) fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    /// The same for a page.
    pub(super) fn paged(mut self) -> Self {
        self.longest = LONGEST_PAGE;
        self
    }

    /// The same for a question that the server may think about for so long.
    pub(super) fn patient(mut self, wait: Duration) -> Self {
        self.deadline += wait;
        self
    }

    /// Sends it: an answer is expected.
    pub(super) async fn answer<T: DeserializeOwned>(self) -> Result<T> {
        let (client, call) = (self.client, self.call);
        let answer = match self.exchange().await {
            Ok(reply) => reply.answer(call),
            Err(error) => Err(error),
        };
        client.mind(answer)
    }

    /// Sends it: there is nothing to say but that it was done.
    pub(super) async fn done(self) -> Result<()> {
        let (client, call) = (self.client, self.call);
        let done = match self.exchange().await {
            Ok(reply) => reply.done(call),
            Err(error) => Err(error),
        };
        client.mind(done)
    }

    /// Sends it: a reply is expected that does not end.
    pub(super) async fn stream(self) -> Result<Response> {
        let deadline = Instant::now() + self.deadline;
        let (client, call) = (self.client, self.call);
        let open = async {
            let response = self.send().await?;
            if response.status().is_success() {
                Reply::new(&client.at, response.status(), response.headers(), Vec::new()).begins_stream(call)?;
                return Ok(response);
            }
            Err(client.read(response, LONGEST_ERROR, call).await?.error(call))
        };
        client.mind(in_time(deadline, client, call, open).await)
    }

    async fn exchange(self) -> Result<Reply<'a>> {
        let deadline = Instant::now() + self.deadline;
        let (client, call, longest) = (self.client, self.call, self.longest);
        let exchange = async {
            let response = self.send().await?;
            let longest = if response.status().is_success() { longest } else { LONGEST_ERROR };
            client.read(response, longest, call).await
        };
        in_time(deadline, client, call, exchange).await
    }

    async fn send(self) -> Result<Response> {
        let Self { client, builder, call, .. } = self;
        client.gate.pass().await?;
        builder.send().await.map_err(|error| not_sent_or_lost(&client.at, call, &error))
    }
}

async fn in_time<T>(deadline: Instant, client: &Client, call: Call, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(call.lost(no_answer(&client.at))))
}

impl Client {
    /// Reads a reply to its end, piece by piece, and gives it up where it is too long.
    async fn read(&self, mut response: Response, longest: usize, call: Call) -> Result<Reply<'_>> {
        // Whatever else is said: there is nothing to wait for.
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(BackendError::CredentialsInvalid);
        }
        let too_long = || call.lost(format!("{} answers with more than {longest} bytes: is it an account server?", self.at));
        if response.content_length().is_some_and(|length| length > longest as u64) {
            return Err(too_long());
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| not_sent_or_lost(&self.at, call, &error))? {
            if body.len() + piece.len() > longest {
                return Err(too_long());
            }
            body.extend_from_slice(&piece);
        }
        let reply = Reply::new(&self.at, response.status(), response.headers(), body);
        if let Some(pause) = reply.pause() {
            self.gate.pause(pause);
        }
        Ok(reply)
    }

    /// Takes note of a refused token: it is not shown to the server again.
    fn mind<T>(&self, result: Result<T>) -> Result<T> {
        if matches!(result, Err(BackendError::CredentialsInvalid)) && self.gate.refuse() {
            tracing::warn!(server = self.at, "the account server refuses the token; it is not asked again until there is another one");
        }
        result
    }
}
