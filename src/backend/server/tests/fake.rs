//! A server that does what a test says, byte by byte.

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Ends with the test.
pub(super) struct Fake {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

/// A connection to it.
pub(super) struct Peer<S = TcpStream> {
    pub(super) stream: S,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Does this with each connection.
    pub(super) async fn start<F: Future<Output = ()> + Send + 'static>(work: impl Fn(Peer) -> F + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(work(Peer { stream, requests: seen.clone() }));
            }
        });
        Self { url, requests, task }
    }

    /// Reads each request, and answers it with these bytes.
    pub(super) async fn saying(reply: impl Into<Vec<u8>>) -> Self {
        let reply = Arc::new(reply.into());
        Self::start(move |mut peer| {
            let reply = reply.clone();
            async move { while peer.request().await.is_some() && peer.say(&reply).await {} }
        })
        .await
    }

    /// The requests it has read, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no test panicked here").clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The next request, read to its end; `None`: there is none.
    pub(super) async fn request(&mut self) -> Option<String> {
        let mut read = Vec::new();
        while !complete(&read) {
            self.stream.read_buf(&mut read).await.ok().filter(|length| *length > 0)?;
        }
        let request = String::from_utf8(read).expect("text");
        self.requests.lock().expect("no test panicked here").push(request.clone());
        Some(request)
    }

    /// Says it; false: nobody listens any more.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Waits until the other side hangs up.
    pub(super) async fn hung_up(&mut self) {
        let mut nothing = [0; 1024];
        while self.stream.read(&mut nothing).await.is_ok_and(|length| length > 0) {}
    }
}

impl Peer {
    /// The same peer, once it has agreed on TLS.
    pub(super) async fn over_tls(self, acceptor: &TlsAcceptor) -> Option<Peer<TlsStream<TcpStream>>> {
        let Self { stream, requests } = self;
        Some(Peer { stream: acceptor.accept(stream).await.ok()?, requests })
    }
}

fn complete(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// A reply with a body of its length.
pub(super) fn reply(status: &str, media: &str, body: &str) -> String {
    with_headers(status, &format!("content-type: {media}\r\n"), body)
}

/// The same with any headers.
pub(super) fn with_headers(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
