//! What kind of store answers: S3 itself, or one of those that are like it.

use plugin_registry_core::{ErrorKind, Result};
use uuid::Uuid;

use crate::{
    S3Config,
    client::{Condition, Listing, Marks, S3Client, is_condition},
    content::Content,
    key::Keys,
};

/// How a store differs from S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nature {
    /// Conditions on writes are honoured. Some stores accept and ignore them (maxio issue 20).
    pub(crate) conditions: bool,
    /// Keys lie in directories: empty ones stay and are listed, and listings are in order of the components
    /// (`a/b` before `a-b`), not of the keys' bytes. SeaweedFS.
    pub(crate) directories: bool,
    /// Conditions on what is copied are honoured, and objects keep their metadata: a stage may be bytes that the
    /// store copies.
    pub(crate) copies: bool,
}

impl Nature {
    /// AWS is known, and what the settings say; any other store is asked, by a few objects that go again.
    ///
    /// # Errors
    /// Where the store cannot be reached, or does not know the credentials or the bucket.
    pub(crate) async fn find(config: &S3Config, client: &S3Client, keys: &Keys) -> Result<Self> {
        let aws = Self { conditions: true, directories: false, copies: true };
        match (config.conditional_writes, config.directories) {
            (Some(conditions), Some(directories)) => Ok(Self { conditions, directories, copies: conditions }),
            (conditions, directories) if config.endpoint.is_none() => Ok(Self {
                conditions: conditions.unwrap_or(aws.conditions),
                directories: directories.unwrap_or(aws.directories),
                copies: conditions.unwrap_or(aws.copies),
            }),
            (conditions, directories) => {
                let found = match ask(client, keys).await {
                    Ok(found) => found,
                    // Who may only read, or only write, gets what is safe; so does whoever has to make room first.
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::PermissionDenied | ErrorKind::ReadOnly | ErrorKind::NoSpace
                        ) =>
                    {
                        tracing::info!(%error, "what kind of store this is could not be found out");
                        Self { conditions: true, directories: true, copies: false }
                    }
                    Err(error) => return Err(error),
                };
                if !found.conditions {
                    tracing::warn!(
                        "the store ignores conditions on writes: two writers at a time are not told apart"
                    );
                }
                Ok(Self {
                    conditions: conditions.unwrap_or(found.conditions),
                    directories: directories.unwrap_or(found.directories),
                    copies: found.copies && conditions.unwrap_or(true),
                })
            }
        }
    }
}

/// 10 requests. The objects lie where no registry looks.
async fn ask(client: &S3Client, keys: &Keys) -> Result<Nature> {
    let place = keys.probe(&Uuid::new_v4().to_string());
    let file = format!("{place}a/probe.staged");
    let beside = format!("{place}a-.staged");
    let found = async {
        let marks = Marks { mark: None, stage: Some("probe") };
        let put = async |condition| match client.put(&file, Content::default(), condition, marks).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::Conflict) => Ok(false),
            // It refuses what it does not know: then it must not be sent.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Other) => Ok(true),
            Err(error) => Err(error),
        };
        put(Condition::Any).await?;
        let other = "\"00000000000000000000000000000000\"";
        let conditions = !put(Condition::Absent).await? && !put(Condition::Same(other)).await?;
        // Whoever may not copy or read, or cannot, writes stages that need neither.
        let keeps_metadata =
            client.head(&file).await.is_ok_and(|found| found.stage.as_deref() == marks.stage);
        let compares =
            matches!(client.copy_bytes(&file, other, &beside).await, Err(error) if is_condition(&error));
        let copies = keeps_metadata && compares;
        client.put(&beside, Content::default(), Condition::Any, Marks::default()).await?;
        let listing = Listing { prefix: &place, ..Listing::default() };
        let page = client.list(&listing, None).await?;
        let in_order_of_bytes = page.objects.first().is_some_and(|(key, ..)| *key == beside);
        client.delete(&file).await?;
        let listing = Listing { delimiter: Some("/"), ..listing };
        let page = client.list(&listing, None).await?;
        let directories = !in_order_of_bytes || !page.prefixes.is_empty();
        Ok(Nature { conditions, directories, copies })
    };
    let found = found.await;
    let mut rest = vec![file, beside];
    if matches!(found, Ok(Nature { directories: true, .. })) {
        rest.extend(keys.directories_above(&format!("{place}a/x")));
    }
    match client.delete_many(&rest).await {
        Err(error) if found.is_ok() => Err(error),
        _ => found,
    }
}
