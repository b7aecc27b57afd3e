//! The token: sent to the server, and found nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use super::fake::{reply, with_headers};
use super::*;

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panicked here").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_token_comes_up_in_no_error_and_no_log() {
    let log = Log::default();
    let logging = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish().set_default();
    let echo = format!(r#"{{"type":"Invalid","status":422,"field":"{CANARY}","detail":"{CANARY}"}}"#);
    let mut said = Vec::new();
    for words in [
        with_headers("401 Unauthorized", "", ""),
        with_headers("302 Found", "location: https://elsewhere.example\r\n", ""),
        reply("200 OK", "text/html", "<h1>"),
        reply("500 Internal Server Error", "text/plain", "oh no"),
        "nonsense".to_owned(),
    ] {
        let fake = Fake::saying(words).await;
        let server = impatient(&fake.url);
        for error in [read(&server).await, write(&server).await] {
            said.push(format!("{error} {error:?}"));
        }
        let wakes = server.take_wakes();
        tokio::task::yield_now().await;
        drop(wakes);
        assert!(fake.requests()[0].to_lowercase().contains(&format!("authorization: bearer {CANARY}")), "the server gets it");
    }
    for bad in [format!("http://{CANARY}@accounts.example"), format!("https://accounts.example?token={CANARY}"), CANARY.to_owned()] {
        let error = Server::new(options(&bad)).err().expect("a bad URL");
        said.push(format!("{error} {error:?}"));
    }
    let error = Server::new(ServerOptions { token: SecretString::from(format!("{CANARY}\n")), ..options("https://accounts.example") });
    said.push(format!("{:?}", error.err().expect("a bad token")));
    drop(logging);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("refuses the token") && log.contains("connect"), "the log is heard: {log}");
    assert!(!said.iter().any(|said| said.contains(CANARY)), "{said:?}");
    assert!(!log.contains(CANARY), "{log}");
    // A server that knows it can say it: whoever can read that has it already. It is cut like all its words.
    let fake = Fake::saying(reply("422 Unprocessable Entity", "application/problem+json", &echo)).await;
    assert_eq!(read(&server(&fake.url)).await.class(), "Invalid");
}
