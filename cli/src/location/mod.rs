//! `location`.

mod check;
mod show;

use crate::{
    args::{Location, LocationCommand},
    failure::Failure,
};

pub(crate) async fn run(options: Location) -> Result<(), Failure> {
    match options.command {
        LocationCommand::Check(options) => check::run(options).await,
        LocationCommand::Show(options) => show::run(&options),
    }
}
