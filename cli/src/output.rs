//! The output of a command.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;

use crate::{args::Format, failure::Failure};

/// Standard output, in the form that was asked for: lines, or one JSON document.
pub(crate) struct Output {
    format: Format,
    out: io::StdoutLock<'static>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, out: io::stdout().lock() }
    }

    /// Prints the result: as JSON, or as `text` writes it.
    pub(crate) fn print(
        &mut self,
        document: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => {
                serde_json::to_writer(&mut self.out, document).map_err(io::Error::from)?;
                writeln!(self.out)?;
            }
            Format::Text => text(&mut self.out)?,
        }
        Ok(self.out.flush()?)
    }
}

/// A number of bytes for people: three figures and a binary unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = next;
        }
        let text = match unit {
            "B" => format!("{} B", self.0),
            _ if value < 10.0 => format!("{value:.2} {unit}"),
            _ if value < 100.0 => format!("{value:.1} {unit}"),
            _ => format!("{value:.0} {unit}"),
        };
        f.pad(&text)
    }
}

/// `1 blob`, `2 blobs`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10 * 1024 * 1024 + 300_000, "10.3 MiB"),
            (500 << 30, "500 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(format!("{:>10}", Bytes(1)), "       1 B");
    }
}
