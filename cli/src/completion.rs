//! `completion`.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::{
    args::{Arguments, Completion},
    failure::Failure,
};

pub(crate) fn run(options: &Completion) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "plugin-registry", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    Ok(out.flush()?)
}
