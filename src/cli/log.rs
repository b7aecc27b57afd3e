//! The log of what runs for long: arguments, and how it is written.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use opentelemetry_sdk::trace::SdkTracer;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::error::CliError;
use super::output::wants_color;

const LOG_LEVEL_HELP: &str =
    "What is logged: error, warn, info, debug, trace, or as in RUST_LOG, such as info,deskplane=debug [default: RUST_LOG, then info]";

/// Arguments of the log.
#[derive(Args, Debug)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// A filter for the log.
    #[arg(long, help = LOG_LEVEL_HELP, env = "DESKPLANE_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<String>,
    /// The form of the log
    #[arg(long, env = "DESKPLANE_LOG_FORMAT", value_enum, value_name = "text|json", hide_possible_values = true, default_value_t)]
    log_format: LogFormat,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: an object a line.
    Json,
}

impl LogArgs {
    /// Begins to log.
    pub fn start(&self) -> Result<(), CliError> {
        self.start_with(None)
    }

    /// Begins to log, and to send traces.
    pub fn start_with(&self, tracer: Option<SdkTracer>) -> Result<(), CliError> {
        // Traces have the spans that the log has.
        let spans = tracer.map(|tracer| tracing_opentelemetry::layer().with_tracer(tracer));
        let registry = tracing_subscriber::registry().with(self.filter()?).with(spans);
        // Logs go to standard error, which leaves standard output to results.
        let log = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        let started = match self.log_format {
            LogFormat::Json => registry.with(log.json().flatten_event(true).with_current_span(false)).try_init(),
            LogFormat::Text if io::stderr().is_terminal() => {
                registry.with(log.with_ansi(wants_color(&io::stderr())).with_target(false)).try_init()
            }
            LogFormat::Text => registry.with(log.with_ansi(false)).try_init(),
        };
        started.map_err(|error| CliError::Start(format!("the log: {error}")))
    }

    fn filter(&self) -> Result<EnvFilter, CliError> {
        let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|value| !value.is_empty());
        let (source, directives) = match (&self.log_level, &from_environment) {
            (Some(level), _) => ("--log-level", level.as_str()),
            (None, Some(value)) => (EnvFilter::DEFAULT_ENV, value.as_str()),
            (None, None) => ("--log-level", "info"),
        };
        EnvFilter::try_new(directives).map_err(|error| CliError::Usage(format!("{source}: '{directives}' is no filter for logs: {error}")))
    }
}
