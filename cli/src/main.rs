//! The command `plugin-registry`: copies images in and out of a registry in a directory or a bucket, inspects
//! and verifies them, and serves the registry on loopback.

mod args;
mod completion;
mod copy;
mod failure;
mod inspect;
mod list;
mod location;
mod output;
mod progress;
mod purge;
mod quickstart;
mod remove;
mod serve;
mod source;
mod store;
mod verify;

use std::{io::Write, process::ExitCode};

use clap::Parser;

use crate::{
    args::{Arguments, Command},
    failure::Failure,
};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Help and version go to standard output and are not failures. Everything else is one.
            let code = if usage.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            return if usage.print().is_ok() { code } else { ExitCode::FAILURE };
        }
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                // If standard error is closed, there is nowhere left to report it.
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(async {
        match arguments.command {
            Command::Quickstart(options) => Box::pin(quickstart::run(options)).await,
            Command::Copy(options) => Box::pin(copy::run(options)).await,
            Command::Ls(options) => list::repositories(options).await,
            Command::Tags(options) => list::tags(options).await,
            Command::Inspect(options) => inspect::run(options).await,
            Command::Rm(options) => remove::run(options).await,
            Command::Verify(options) => verify::run(options).await,
            Command::Purge(options) => purge::run(options).await,
            Command::Location(options) => Box::pin(location::run(options)).await,
            Command::Serve(options) => Box::pin(serve::run(options)).await,
            Command::Completion(options) => completion::run(&options),
        }
    })
}
