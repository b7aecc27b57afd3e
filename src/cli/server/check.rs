//! `deskplane server check`: whether a server is ready for who asks from here, certificate and all.

use std::time::Duration;

use clap::Args;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode, Url};

use crate::cli::error::{CliError, chain};
use crate::cli::exit::Exit;
use crate::cli::output::say;
use crate::domain::text::display;

/// Examples of `deskplane server check --help`.
pub const EXAMPLES: &str = "\
Examples:
  deskplane server check https://accounts.example

  # With an authority of your own
  DESKPLANE_CA_BUNDLE=$(cat ca.crt) deskplane server check https://accounts.example:8443";

/// How long the answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// As much of an answer is shown.
const SHOWN: usize = 200;

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Where the server is; a path in it stays in front of the server's own
    #[arg(value_name = "URL")]
    url: Url,
    /// The authorities of its certificate, in PEM; absent or empty: those that this system trusts
    #[arg(long, env = "DESKPLANE_CA_BUNDLE", hide_env_values = true, allow_hyphen_values = true, value_name = "PEM")]
    ca_bundle: Option<String>,
}

/// Runs the verb.
pub async fn run(args: CheckArgs) -> Result<Exit, CliError> {
    let CheckArgs { url, ca_bundle } = args;
    let url = readyz(&url)?;
    let failed = |message: String| CliError::Request { what: "the account server".to_owned(), message };
    let builder = Client::builder().no_proxy().redirect(Policy::none()).timeout(DEADLINE);
    let builder = match ca_bundle.filter(|bundle| !bundle.trim().is_empty()) {
        Some(bundle) => builder.tls_certs_only(authorities(&bundle)?),
        // The system's are not even looked for.
        None if url.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    let client = builder.build().map_err(|error| failed(chain(&error)))?;
    let mut answer = client.get(url.clone()).send().await.map_err(|error| failed(chain(&error)))?;
    let status = answer.status();
    if status != StatusCode::OK {
        let begin = answer.chunk().await.ok().flatten().unwrap_or_default();
        return Err(failed(format!("{url} answers {status}: {}", display(&String::from_utf8_lossy(&begin), SHOWN))));
    }
    say(&format!("{url}: ready\n"))?;
    Ok(Exit::Ok)
}

/// Below the server's URL, which may have a path.
fn readyz(server: &Url) -> Result<Url, CliError> {
    let mut url = server.clone();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().push("readyz");
        }
        Err(()) => return Err(CliError::Usage(format!("{server}: this is no URL of a server, such as https://accounts.example"))),
    }
    Ok(url)
}

fn authorities(bundle: &str) -> Result<Vec<Certificate>, CliError> {
    match Certificate::from_pem_bundle(bundle.as_bytes()) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(CliError::Usage("--ca-bundle holds no certificate in PEM".to_owned())),
    }
}
