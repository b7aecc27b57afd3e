//! Whose certificate is taken: that of the given authority, for that host, and no other.

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::certificates::Authority;
use super::fake::reply;
use super::*;

/// A server that speaks TLS; the host of its URL is `localhost`.
async fn speaking_tls(config: Arc<ServerConfig>) -> (Fake, String) {
    let acceptor = TlsAcceptor::from(config);
    let fake = Fake::start(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let Some(mut peer) = peer.over_tls(&acceptor).await else { return };
            while peer.request().await.is_some() {
                peer.say(reply("200 OK", "application/json", r#"{"state":"Unknown"}"#).as_bytes()).await;
            }
        }
    })
    .await;
    let url = fake.url.replace("http://127.0.0.1", "https://localhost");
    (fake, url)
}

fn trusting(url: &str, authority: &Authority) -> Server {
    Server::new(ServerOptions { ca_bundle: Some(authority.pem()), ..options(url) }).expect("a server")
}

/// Nothing was sent, and the words say what to check.
async fn assert_untrusted(server: &Server, fake: &Fake, words: &str) {
    for error in [read(server).await, write(server).await] {
        let said = matches!(&error, BackendError::Transient(why) if why.contains(words));
        assert!(said, "{error}");
    }
    assert!(fake.requests().is_empty(), "the token was not sent");
}

#[tokio::test]
async fn the_given_authority_is_trusted() {
    let authority = Authority::new();
    let (_fake, url) = speaking_tls(authority.server("DNS:localhost")).await;
    assert_eq!(trusting(&url, &authority).lookup(&"uid".into()).await, Ok(Answer::Unknown));
    let (_fake, url) = speaking_tls(authority.server("IP:127.0.0.1")).await;
    let url = url.replace("localhost", "127.0.0.1");
    assert_eq!(trusting(&url, &authority).lookup(&"uid".into()).await, Ok(Answer::Unknown));
}

#[tokio::test]
async fn one_of_several_given_authorities_is_enough() {
    let (one, other) = (Authority::new(), Authority::new());
    let (_fake, url) = speaking_tls(other.server("DNS:localhost")).await;
    let ca_bundle = Some(format!("# two of them\n{}\n{}", one.pem(), other.pem()));
    let server = Server::new(ServerOptions { ca_bundle, ..options(&url) }).expect("a server");
    assert_eq!(server.lookup(&"uid".into()).await, Ok(Answer::Unknown));
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (fake, url) = speaking_tls(theirs.server("DNS:localhost")).await;
    assert_untrusted(&trusting(&url, &ours), &fake, "spec.server.caBundle").await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_not_taken() {
    let authority = Authority::new();
    let (fake, url) = speaking_tls(authority.server("DNS:elsewhere.example")).await;
    assert_untrusted(&trusting(&url, &authority), &fake, "is the certificate for that host").await;
}

#[tokio::test]
async fn a_certificate_by_nobody_is_not_taken() {
    let authority = Authority::new();
    let (fake, url) = speaking_tls(authority.itself()).await;
    assert_untrusted(&trusting(&url, &authority), &fake, "spec.server.caBundle").await;
}

#[tokio::test]
async fn what_the_system_trusts_does_not_include_anybody() {
    let authority = Authority::new();
    let (fake, url) = speaking_tls(authority.server("DNS:localhost")).await;
    match Server::new(options(&url)) {
        Ok(server) => assert_untrusted(&server, &fake, "spec.server.caBundle").await,
        // On a system that trusts nobody at all.
        Err(error) => assert!(matches!(&error, BackendError::Invalid { field, .. } if field == "spec.server.caBundle"), "{error}"),
    }
}

#[tokio::test]
async fn a_plain_port_is_said_to_be_one() {
    let authority = Authority::new();
    let fake = Fake::start(async |mut peer| {
        let _ = peer.say(reply("400 Bad Request", "text/plain", "what?").as_bytes()).await;
        peer.hung_up().await;
    })
    .await;
    let url = fake.url.replace("http://127.0.0.1", "https://localhost");
    assert_untrusted(&trusting(&url, &authority), &fake, "does not speak TLS").await;
}

#[tokio::test]
async fn a_tls_port_gets_no_token_in_plain() {
    let authority = Authority::new();
    let (fake, url) = speaking_tls(authority.server("DNS:localhost")).await;
    let server = server(&url.replace("https://", "http://"));
    assert_lost(&server, "http://localhost").await;
    assert!(fake.requests().is_empty());
}
