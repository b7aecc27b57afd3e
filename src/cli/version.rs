//! `deskplane version`: which program this is, and what the cluster serves.

use clap::Args;
use serde::Serialize;

use crate::api::names::{GROUP, VERSION};

use super::connect::ClusterArgs;
use super::error::CliError;
use super::exit::Exit;
use super::output::{OutputArgs, Report, Style, print};

/// Examples of `deskplane version --help`.
pub const EXAMPLES: &str = "\
Examples:
  # Which program this is
  deskplane version

  # And what the cluster serves
  deskplane version --server -o json";

/// The commit the program was built from, when the build was told (the environment variable `DESKPLANE_GIT_SHA`).
const COMMIT: Option<&str> = option_env!("DESKPLANE_GIT_SHA");
/// The oldest Kubernetes that has every API the program uses: the admission policy that sets finalizers.
const KUBERNETES: &str = "v1.36";

/// Arguments of `deskplane version`.
#[derive(Args, Debug)]
pub struct VersionArgs {
    /// Ask the API server for its version and the versions of our kinds that it serves
    #[arg(long)]
    server: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionReport {
    client: Client,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_commit: Option<&'static str>,
    api_version: String,
    kubernetes_api: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    kubernetes: String,
    api_versions: Vec<String>,
}

/// Runs the verb.
pub async fn run(args: VersionArgs) -> Result<Exit, CliError> {
    let server = if args.server { Some(server(&args.cluster).await?) } else { None };
    let client = Client {
        version: env!("CARGO_PKG_VERSION"),
        git_commit: COMMIT.filter(|commit| !commit.is_empty()),
        api_version: format!("{GROUP}/{VERSION}"),
        kubernetes_api: KUBERNETES,
    };
    print(&VersionReport { client, server }, args.output.output)?;
    Ok(Exit::Ok)
}

async fn server(cluster: &ClusterArgs) -> Result<Server, CliError> {
    let client = cluster.connect().await?.client;
    let failed = |error: &kube::Error| CliError::request("the API server's version", error);
    let version = client.apiserver_version().await.map_err(|error| failed(&error))?;
    let groups = client.list_api_groups().await.map_err(|error| failed(&error))?;
    let ours = groups.groups.into_iter().filter(|group| group.name == GROUP).flat_map(|group| group.versions);
    Ok(Server { kubernetes: version.git_version, api_versions: ours.map(|version| version.group_version).collect() })
}

impl Report for VersionReport {
    fn text(&self, _: Style) -> String {
        let commit = self.client.git_commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
        let program = format!(
            "deskplane       {}{commit}\nkinds           {}\nKubernetes API  {} or later\n",
            self.client.version, self.client.api_version, self.client.kubernetes_api
        );
        let Some(server) = &self.server else { return program };
        let kinds = if server.api_versions.is_empty() { "not installed".to_owned() } else { server.api_versions.join(", ") };
        format!("{program}server          Kubernetes {}\nserver kinds    {kinds}\n", server.kubernetes)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    #[test]
    fn the_text_names_program_kinds_and_server() {
        let client = Client {
            version: "0.1.0",
            git_commit: Some("abc1234"),
            api_version: "deskplane.dev/v1alpha1".to_owned(),
            kubernetes_api: "v1.36",
        };
        let server = Some(Server { kubernetes: "v1.36.3".to_owned(), api_versions: vec![] });
        let style = Style { color: false, now: Timestamp::UNIX_EPOCH };
        insta::assert_snapshot!(VersionReport { client, server }.text(style), @"
        deskplane       0.1.0 (abc1234)
        kinds           deskplane.dev/v1alpha1
        Kubernetes API  v1.36 or later
        server          Kubernetes v1.36.3
        server kinds    not installed
        ");
    }
}
