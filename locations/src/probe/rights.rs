//! The rights that each step needs, in the words of each store, and where its settings are: the one table by
//! driver.

use super::report::ProbeVerb;

/// The words for one kind of store.
#[derive(Debug)]
pub(super) struct Store {
    driver: &'static str,
    /// The settings that say which store it is.
    pub(super) place: &'static str,
    /// What says which client asks.
    pub(super) identity: &'static str,
    /// What lies between this process and the bytes.
    pub(super) way: &'static str,
    list: &'static str,
    missing: &'static str,
    write: &'static str,
    read: &'static str,
    conditional_write: &'static str,
    stage: &'static str,
    find_stages: &'static str,
    delete: &'static str,
}

impl Store {
    /// Returns the words for a driver, or general ones if the driver is not in the table.
    pub(super) fn of(driver: &str) -> &'static Self {
        STORES.iter().find(|store| store.driver == driver).unwrap_or(&ANY)
    }

    /// Returns what a step needs.
    pub(super) fn needs(&self, verb: ProbeVerb) -> &'static str {
        match verb {
            ProbeVerb::List => self.list,
            ProbeVerb::Missing => self.missing,
            ProbeVerb::Write | ProbeVerb::Replace => self.write,
            ProbeVerb::Read => self.read,
            ProbeVerb::ConditionalWrite => self.conditional_write,
            ProbeVerb::Stage => self.stage,
            ProbeVerb::FindStages => self.find_stages,
            ProbeVerb::Delete => self.delete,
        }
    }
}

static STORES: [Store; 4] = [
    Store {
        driver: "s3",
        place: "the bucket, the region and the endpoint",
        identity: "the access key, the secret key, the session token or the role, and this machine's clock",
        way: "the endpoint, its certificate, the network and the proxy",
        list: "s3:ListBucket on the bucket",
        missing: "s3:ListBucket on the bucket, without a condition on the prefix: without it, missing \
                  objects look forbidden",
        write: "s3:PutObject on the bucket's objects",
        read: "s3:GetObject on the bucket's objects, and s3:ListBucket on the bucket: without it, missing \
               objects look forbidden",
        conditional_write: "s3:PutObject and s3:GetObject on the bucket's objects",
        stage: "s3:PutObject, s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload on the bucket's objects, \
                and s3:ListBucket on the bucket",
        find_stages: "s3:ListBucketMultipartUploads and s3:ListBucket on the bucket, s3:GetObject and \
                      s3:ListMultipartUploadParts on its objects",
        delete: "s3:DeleteObject, s3:AbortMultipartUpload and, for unfinished uploads, s3:GetObject on the \
                 bucket's objects, and s3:ListBucket on the bucket",
    },
    Store {
        driver: "gcs",
        place: "the bucket",
        identity: "the service account, its key or the workload identity, and this machine's clock",
        way: "the endpoint, its certificate, the network and the proxy",
        list: "storage.objects.list on the bucket",
        missing: "storage.objects.list on the bucket: without it, missing objects look forbidden",
        write: "storage.objects.create on the bucket, and storage.objects.delete to replace objects",
        read: "storage.objects.get on the bucket, and storage.objects.list: without it, missing objects look \
               forbidden",
        conditional_write: "storage.objects.create on the bucket",
        stage: "storage.objects.create, storage.objects.get and storage.objects.delete on the bucket",
        find_stages: "storage.objects.list and storage.objects.get on the bucket",
        delete: "storage.objects.delete and storage.objects.list on the bucket",
    },
    Store {
        driver: "azure",
        place: "the storage account, the container and the endpoint",
        identity: "the account key, the SAS token or the identity, and this machine's clock",
        way: "the endpoint, its certificate, the network and the proxy",
        list: "the role Storage Blob Data Contributor on the container (Storage Blob Data Reader is enough \
               for reads), or a SAS token with `l`",
        missing: "the role Storage Blob Data Contributor on the container (Storage Blob Data Reader is \
                  enough for reads), or a SAS token with `r`",
        write: "the role Storage Blob Data Contributor on the container, or a SAS token with `c` and `w`",
        read: "the role Storage Blob Data Contributor on the container (Storage Blob Data Reader is enough \
               for reads), or a SAS token with `r`",
        conditional_write: "the role Storage Blob Data Contributor on the container, or a SAS token with `c` and \
                            `w`",
        stage: "the role Storage Blob Data Contributor on the container, or a SAS token with `r`, `c`, `w` and `d`",
        find_stages: "the role Storage Blob Data Contributor on the container, or a SAS token with `r` and `l`",
        delete: "the role Storage Blob Data Contributor on the container, or a SAS token with `d` and `l`",
    },
    Store {
        driver: "filesystem",
        place: "the root directory",
        identity: "the user and the groups of this process",
        way: "the disk and its mount",
        list: "this process needs to read and search `docker/registry/v2` and the directories in it (`r-x`)",
        missing: "this process needs to search the directories (`--x`)",
        write: "this process needs to write to the root directory and the directories in it (`rwx`)",
        read: "this process needs to search the directories (`--x`) and to read the files in them (`r--`)",
        conditional_write: "this process needs to write to the directories (`rwx`), on a file system with hard \
                            links or exclusive renames",
        stage: "this process needs to write to the directories (`rwx`), to read and write the files in them \
                (`rw-`), and to lock files",
        find_stages: "this process needs to read and search all directories (`r-x`)",
        delete: "this process needs to write to the directories (`rwx`), including those of other owners",
    },
];

static ANY: Store = Store {
    driver: "",
    place: "the driver's settings",
    identity: "the credentials",
    way: "the store and the connection to it",
    list: "the right to list",
    missing: "the right to see that something is missing",
    write: "the right to write",
    read: "the right to read",
    conditional_write: "the right to write and to read",
    stage: "the rights to write, to read and to delete",
    find_stages: "the right to list, unfinished uploads included",
    delete: "the rights to delete and to list",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_has_its_own_words() {
        for (driver, list, delete) in [
            ("s3", "s3:ListBucket", "s3:DeleteObject"),
            ("gcs", "storage.objects.list", "storage.objects.delete"),
            ("azure", "Storage Blob Data Contributor", "`d`"),
            ("filesystem", "`r-x`", "`rwx`"),
            ("inmemory", "the right to list", "the rights to delete"),
        ] {
            let store = Store::of(driver);
            assert!(store.needs(ProbeVerb::List).contains(list), "{driver}");
            assert!(store.needs(ProbeVerb::Delete).contains(delete), "{driver}");
        }
    }

    #[test]
    fn no_store_is_told_of_the_rights_of_another() {
        let own =
            [("s3", "s3:"), ("gcs", "storage.objects"), ("azure", "SAS"), ("filesystem", "this process")];
        for store in STORES.iter().chain([&ANY]) {
            for verb in ProbeVerb::ALL {
                for (driver, mark) in own {
                    let words = store.needs(*verb);
                    assert_eq!(words.contains(mark), store.driver == driver, "{}: {words}", store.driver);
                }
            }
        }
    }

    /// The rights are those that the guide to S3 names.
    #[test]
    fn the_rights_of_s3_by_step() {
        for (verb, right) in [
            (ProbeVerb::List, "s3:ListBucket"),
            (ProbeVerb::Missing, "without a condition on the prefix"),
            (ProbeVerb::Replace, "s3:PutObject"),
            (ProbeVerb::Write, "s3:PutObject"),
            (ProbeVerb::Read, "s3:GetObject"),
            (ProbeVerb::ConditionalWrite, "s3:PutObject"),
            (ProbeVerb::Stage, "s3:AbortMultipartUpload"),
            (ProbeVerb::FindStages, "s3:ListBucketMultipartUploads"),
            (ProbeVerb::Delete, "s3:DeleteObject"),
        ] {
            assert!(Store::of("s3").needs(verb).contains(right), "{verb}");
        }
    }
}
