//! The verbs of the `deskplane` program, one file each.
//!
//! A verb fetches plain data, and a [`output::Report`] renders it: what people see is tested without a cluster.

pub mod ask;
pub mod confirm_deletion;
pub mod connect;
pub mod controller;
pub mod error;
pub mod exit;
pub mod log;
pub mod manifests;
pub mod output;
pub mod release;
pub mod server;
pub mod stop;
pub mod store;
pub mod target;
pub mod traces;
pub mod tree;
pub mod usage;
pub mod version;
pub mod view;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::policy;
use error::CliError;
use exit::Exit;

/// Name of the file that makes us a plug-in of kubectl.
const PLUGIN: &str = "kubectl-deskplane";

const MANIFESTS_EXAMPLES: &str = "\
Examples:
  # Install the kinds and the admission policies
  deskplane manifests | kubectl apply --server-side -f -

  # One file each, for a controller that runs as another user
  deskplane manifests --output-dir crds --controller-user system:serviceaccount:chat:deskplane";

/// Keeps chat accounts, their organizations, operators, departments and widgets equal to YAML.
#[derive(Parser, Debug)]
#[command(name = "deskplane", version, after_help = exit::HELP, max_term_width = 120, disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Run the controller: it brings the backend to what the objects say
    #[command(after_help = controller::EXAMPLES)]
    Controller(controller::ControllerArgs),
    /// Run the account server: REST over the accounts, for controllers in several clusters and for chat products
    #[command(after_help = server::EXAMPLES)]
    Server(server::ServerArgs),
    /// Print the kinds and the admission policies as YAML, to install
    #[command(after_help = MANIFESTS_EXAMPLES)]
    Manifests(ManifestsArgs),
    /// Show what an account uses of its plan, and its organizations
    #[command(after_help = usage::EXAMPLES)]
    Usage(usage::UsageArgs),
    /// Show accounts, their organizations, and what is in them
    #[command(after_help = tree::EXAMPLES)]
    Tree(tree::TreeArgs),
    /// Show what deleting an organization erases, and confirm it
    #[command(after_help = confirm_deletion::EXAMPLES)]
    ConfirmDeletion(confirm_deletion::ConfirmDeletionArgs),
    /// Let go of an organization or account, or of all before an uninstall: the backend keeps what is in them
    #[command(after_help = release::EXAMPLES)]
    Release(release::ReleaseArgs),
    /// Look after the embedded store's file
    #[command(after_help = store::EXAMPLES)]
    Store(store::StoreArgs),
    /// Show which program this is
    #[command(after_help = version::EXAMPLES)]
    Version(version::VersionArgs),
}

#[derive(Args, Debug)]
struct ManifestsArgs {
    /// Write one file each to this folder instead
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// The user the controller runs as: admission policies do not hold it up
    #[arg(long, value_name = "USER", default_value = policy::DEFAULT_CONTROLLER_USER)]
    controller_user: String,
}

/// The program: parses the arguments, runs the verb, says what went wrong.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = command(args.first()).try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, with exit code 0. Nobody may be reading them.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    match run(cli.verb) {
        Ok(exit) => exit.into(),
        Err(error) => {
            if !error.nobody_reads() {
                eprintln!("error: {error}");
            }
            error.exit().into()
        }
    }
}

fn run(verb: Verb) -> Result<Exit, CliError> {
    let mut runtime = match verb {
        Verb::Server(ref args) if args.serves() => tokio::runtime::Builder::new_multi_thread(),
        // One thread: the controller's order of things rests on it, and the other verbs wait more than they work.
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build();
    let runtime = runtime.map_err(|source| CliError::Io { what: "start", source })?;
    runtime.block_on(async {
        match verb {
            Verb::Controller(args) => Box::pin(controller::run(args)).await,
            Verb::Server(args) => server::run(args).await,
            Verb::Manifests(args) => {
                manifests::write(args.output_dir.as_deref(), &args.controller_user)?;
                Ok(Exit::Ok)
            }
            Verb::Usage(args) => usage::run(args).await,
            Verb::Tree(args) => tree::run(args).await,
            Verb::ConfirmDeletion(args) => confirm_deletion::run(args).await,
            Verb::Release(args) => release::run(args).await,
            Verb::Store(args) => store::run(args).await,
            Verb::Version(args) => version::run(args).await,
        }
    })
}

/// The command line. As a plug-in of kubectl, help shows what is typed then.
fn command(program: Option<&OsString>) -> Command {
    let name = program.and_then(|program| Path::new(program).file_name()).map(|name| name.to_string_lossy().into_owned());
    if !name.is_some_and(|name| name.starts_with(PLUGIN)) {
        return Cli::command();
    }
    let command = Cli::command().bin_name("kubectl deskplane");
    command.mut_subcommands(as_plugin)
}

fn as_plugin(verb: Command) -> Command {
    let examples = verb.get_after_help().map(|text| text.to_string().replace("  deskplane ", "  kubectl deskplane "));
    verb.after_help(examples.unwrap_or_default()).mut_subcommands(as_plugin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(program: &str, args: &[&str]) -> String {
        let program = OsString::from(program);
        let args = std::iter::once(program.clone()).chain(args.iter().map(OsString::from));
        command(Some(&program)).try_get_matches_from(args).unwrap_err().to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_examples_that_parse() {
        fn below(verb: &Command) -> Vec<&Command> {
            verb.get_subcommands().flat_map(|verb| std::iter::once(verb).chain(below(verb))).collect()
        }
        let root = Cli::command();
        for verb in below(&root) {
            let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("  deskplane ")).collect();
            assert!(!examples.is_empty(), "{} has no examples", verb.get_name());
            for example in examples {
                let words = example.split('|').next().unwrap().split_whitespace();
                let parsed = Cli::command().try_get_matches_from(std::iter::once("deskplane").chain(words));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn help_shows_what_is_typed() {
        assert!(help("/usr/bin/deskplane", &["usage", "--help"]).contains("Usage: deskplane usage "));
        let plugin = help("/usr/bin/kubectl-deskplane", &["usage", "--help"]);
        assert!(plugin.contains("Usage: kubectl deskplane usage ") && plugin.contains("\n  kubectl deskplane usage acme"), "{plugin}");
        assert!(help("kubectl-deskplane", &["store", "check", "--help"]).contains("\n  kubectl deskplane store check --database"));
        assert!(help("/usr/bin/kubectl-deskplane", &["--help"]).contains("Usage: kubectl deskplane <COMMAND>"));
    }
}
