//! moto 5.1.22.

use std::{ops::Deref, sync::LazyLock};

use super::{
    Account, Missing,
    process::{Process, request},
    tool,
};

/// A running moto: a second opinion, in memory. It checks no signatures and no checksums.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    account: Account,
}

impl Deref for Moto {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl Moto {
    /// The instance of this process, started when it is first asked for.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn shared() -> Result<&'static Self, Missing> {
        static SHARED: LazyLock<Result<Moto, Missing>> = LazyLock::new(Moto::start);
        SHARED.as_ref().map_err(Clone::clone)
    }

    /// Starts an instance with an empty bucket, and waits until it answers.
    ///
    /// # Errors
    /// If it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Result<Self, Missing> {
        let program = tool("moto_server")?;
        let mut process = Process::start(&program, &[], &[("PYTHONUNBUFFERED", "1")], |_| {
            // The system chooses the port, and the log contains it.
            ["-H", "127.0.0.1", "-p", "0"].map(str::to_owned).to_vec()
        });
        let listening = |process: &Process| {
            let log = process.log()?;
            let (_, rest) = log.split_once("Running on http://")?;
            // Only a complete line has the complete port.
            rest.split_once('\n').map(|(address, _)| address.trim().to_owned())
        };
        let address = process.wait(listening).unwrap_or_else(|log| panic!("moto does not start: {log}"));
        let account = Account::new(address, "bucket".to_owned());
        let (status, body) = request(&account.address, "PUT", "/bucket", b"").unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        Ok(Self { process, account })
    }

    /// The number of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// The log so far: one line per request.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log().unwrap_or_default()
    }
}
