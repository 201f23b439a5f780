//! The command `plugin-registry`: copies images in and out of a registry in a directory or a bucket, inspects
//! and verifies them, and serves the registry on loopback.

mod args;
mod completion;
mod copy;
mod failure;
mod hint;
mod inspect;
mod list;
mod location;
mod missing;
mod named;
mod outcome;
mod output;
mod progress;
mod purge;
mod quickstart;
mod remove;
mod report;
mod serve;
mod source;
mod store;
mod verify;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

use crate::{
    args::{Arguments, Command},
    failure::{Failure, Outcome},
};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return report::unparsed(&error, &words).into(),
    };
    let told = report::Told::of(&arguments);
    match run(arguments) {
        Ok(()) => Outcome::Ok.into(),
        Err(failure) => told.failure(&failure).into(),
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(async {
        // The command takes the options, and a hint about its failure needs what they name.
        let source = arguments.command.source().cloned();
        let ended = match arguments.command {
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
        };
        ended.map_err(|failure| match source {
            Some(source) => source.advise(failure),
            None => failure,
        })
    })
}
