//! Explains failed steps in words, with what to check.

use plugin_registry_core::{ErrorKind, Permissions};

use super::report::ProbeVerb;

/// Names the kind of failure in two or three words.
pub(super) fn headline(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not found",
        ErrorKind::AlreadyExists => "already exists",
        ErrorKind::InvalidPath => "invalid path",
        ErrorKind::InvalidOffset => "not the bytes that were written",
        ErrorKind::TooLarge => "too large",
        ErrorKind::PermissionDenied => "not permitted",
        ErrorKind::Unauthenticated => "not authenticated",
        ErrorKind::NoSpace => "no space",
        ErrorKind::ReadOnly => "read-only",
        ErrorKind::Conflict => "conflict",
        ErrorKind::RateLimited => "too many requests",
        ErrorKind::Timeout => "no answer in time",
        ErrorKind::Unavailable => "not available",
        ErrorKind::Unsupported => "not supported by the store",
        ErrorKind::Corrupted => "not the bytes that were written",
        ErrorKind::InvalidConfig => "invalid settings",
        _ => "failed",
    }
}

/// The permission that a step needs.
pub(super) fn needed(store: &Permissions, verb: ProbeVerb) -> &'static str {
    match verb {
        ProbeVerb::List => store.list,
        ProbeVerb::Missing => store.missing,
        ProbeVerb::Write | ProbeVerb::Replace => store.write,
        ProbeVerb::Read => store.read,
        ProbeVerb::ConditionalWrite => store.conditional_write,
        ProbeVerb::Stage => store.stage,
        ProbeVerb::FindStages => store.find_stages,
        ProbeVerb::Delete => store.delete,
    }
}

/// Says what to look at after a failed step on this store.
pub(super) fn hint(store: &Permissions, verb: ProbeVerb, kind: ErrorKind) -> String {
    match kind {
        ErrorKind::PermissionDenied => format!("needed: {}", needed(store, verb)),
        ErrorKind::Unauthenticated => {
            format!("the credentials are missing, wrong or expired; check {}", store.identity)
        }
        ErrorKind::NotFound if matches!(verb, ProbeVerb::List | ProbeVerb::Missing | ProbeVerb::Write) => {
            format!("is this the right place? Check {}", store.place)
        }
        ErrorKind::NotFound => {
            format!(
                "an object that was just written was not found: check {}; requests may reach different \
                 stores",
                store.place
            )
        }
        ErrorKind::InvalidConfig => format!("check {}", store.place),
        ErrorKind::Unavailable => format!("check {}, and the state of the store itself", store.connection),
        ErrorKind::Timeout => {
            format!("check {}; the request may still have taken effect", store.connection)
        }
        ErrorKind::RateLimited => "the store limits requests: try again later, with fewer clients".to_owned(),
        ErrorKind::NoSpace => "the store is full, or a quota is used up".to_owned(),
        ErrorKind::ReadOnly => {
            "the store does not accept writes: if that is intended, make the registry read-only".to_owned()
        }
        ErrorKind::Conflict => "another program is changing the same object: try again".to_owned(),
        ErrorKind::AlreadyExists => {
            "the store reports that a new name already exists: check whether it supports conditional writes"
                .to_owned()
        }
        ErrorKind::Unsupported => {
            "this store, or a proxy in front of it, does not support the request: see what the driver's \
             settings can turn off"
                .to_owned()
        }
        ErrorKind::Corrupted | ErrorKind::InvalidOffset => {
            format!("something changes bytes in transit, or a cache answers: check {}", store.connection)
        }
        ErrorKind::TooLarge | ErrorKind::InvalidPath => {
            format!(
                "even a small object with a short name exceeds a limit of the store: check {}",
                store.place
            )
        }
        _ => format!("check {} and {}", store.place, store.connection),
    }
}

#[cfg(test)]
mod tests {
    use plugin_registry_core::StorageDriver;
    use plugin_registry_drivers_fs::{FsConfig, FsDriver};

    use super::*;

    const KINDS: [ErrorKind; 17] = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::InvalidPath,
        ErrorKind::InvalidOffset,
        ErrorKind::TooLarge,
        ErrorKind::PermissionDenied,
        ErrorKind::Unauthenticated,
        ErrorKind::NoSpace,
        ErrorKind::ReadOnly,
        ErrorKind::Conflict,
        ErrorKind::RateLimited,
        ErrorKind::Timeout,
        ErrorKind::Unavailable,
        ErrorKind::Unsupported,
        ErrorKind::Corrupted,
        ErrorKind::InvalidConfig,
        ErrorKind::Other,
    ];

    /// The words of a store with much to say.
    static BUCKET: Permissions = Permissions {
        place: "the bucket, the region and the endpoint",
        identity: "the access key",
        connection: "the endpoint, its certificate, the network and the proxy",
        write: "s3:PutObject",
        ..Permissions::ANY
    };

    /// A mark of the hint for each kind.
    #[test]
    fn every_kind_says_what_to_look_at() {
        for (kind, verb, mark) in [
            (ErrorKind::NotFound, ProbeVerb::List, "the bucket"),
            (ErrorKind::NotFound, ProbeVerb::Read, "just written"),
            (ErrorKind::AlreadyExists, ProbeVerb::ConditionalWrite, "conditional writes"),
            (ErrorKind::InvalidPath, ProbeVerb::Write, "limit"),
            (ErrorKind::InvalidOffset, ProbeVerb::Read, "cache"),
            (ErrorKind::TooLarge, ProbeVerb::Write, "limit"),
            (ErrorKind::PermissionDenied, ProbeVerb::Write, "s3:PutObject"),
            (ErrorKind::Unauthenticated, ProbeVerb::List, "access key"),
            (ErrorKind::NoSpace, ProbeVerb::Write, "quota"),
            (ErrorKind::ReadOnly, ProbeVerb::Write, "read-only"),
            (ErrorKind::Conflict, ProbeVerb::Write, "try again"),
            (ErrorKind::RateLimited, ProbeVerb::Write, "fewer clients"),
            (ErrorKind::Timeout, ProbeVerb::Write, "proxy"),
            (ErrorKind::Unavailable, ProbeVerb::Write, "certificate"),
            (ErrorKind::Unsupported, ProbeVerb::Stage, "settings"),
            (ErrorKind::Corrupted, ProbeVerb::Read, "bytes"),
            (ErrorKind::InvalidConfig, ProbeVerb::List, "the region"),
            (ErrorKind::Other, ProbeVerb::List, "the endpoint"),
        ] {
            let hint = hint(&BUCKET, verb, kind);
            assert!(hint.contains(mark), "{kind}: {hint}");
        }
    }

    #[tokio::test]
    async fn a_local_store_is_told_of_no_network() {
        let directory = FsDriver::open(FsConfig::new(std::env::temp_dir())).await.unwrap().permissions();
        for store in [directory, &Permissions::ANY] {
            for (kind, verb) in
                KINDS.iter().flat_map(|kind| ProbeVerb::ALL.iter().map(move |verb| (kind, verb)))
            {
                let hint = hint(store, *verb, *kind);
                for wrong in
                    ["bucket", "container", "endpoint", "network", "certificate", "key", "s3:", "SAS"]
                {
                    assert!(!hint.contains(wrong), "{kind}: {hint}");
                }
            }
        }
    }
}
