//! Provider azure.

use super::*;

const PRINCIPAL: [&str; 4] = [
    "credentials.clientid=c",
    "credentials.secret=s#1",
    "credentials.tenantid=t",
    "credentials.type=client_secret",
];
const WORKLOAD: [&str; 4] = [
    "credentials.clientid=c",
    "credentials.tenantid=t",
    "credentials.tokenfile=/token",
    "credentials.type=workload_identity",
];
const DEFAULT: [&str; 1] = ["credentials.type=default_credentials"];

#[test]
fn settings_become_parameters() {
    let none = LocationCredentials::none();
    assert_eq!(parameters(&azure(), &none), DEFAULT);
    assert_eq!(config(&azure(), &none).parameters.get("accountname"), Some("account"));
    let location = azure().with_config("storageAccountURI", "https://account.blob.core.windows.net");
    assert_eq!(
        parameters(&location, &none),
        [DEFAULT[0], "serviceurl=https://account.blob.core.windows.net"]
    );
    let location = azure()
        .with_config("resourceGroup", "r")
        .with_config("subscriptionId", "s")
        .with_config("blockSizeInBytes", "1048576")
        .with_config("activeDirectoryAuthorityURI", "https://login.example/")
        .with_config("apiVersion", "2020");
    assert_eq!(
        ignored(&location, &none),
        [
            "spec.config.resourceGroup is ignored: Azure's management API is not used",
            "spec.config.subscriptionId is ignored: Azure's management API is not used",
            "spec.config.blockSizeInBytes is ignored: the driver chooses the size of blocks",
            "spec.config.activeDirectoryAuthorityURI is ignored: the cloud of the account determines where \
             tokens come from",
            "spec.config.apiVersion is ignored: the driver chooses the API version",
        ]
    );
    let nameless = BackupStorageLocation::new("velero", "x", "azure", "b").with_config("storageaccount", "a");
    assert_eq!(
        wrong(&nameless, &none),
        "2 mistakes: `spec.config.storageAccount`: required, but not given; \
         `spec.config.storageaccount`: unknown, did you mean `spec.config.storageAccount`?"
    );
}

#[test]
fn which_credentials_are_used() {
    let principal = "AZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\nAZURE_CLIENT_SECRET=s#1\n";
    let with_key = format!("{principal}AZURE_STORAGE_ACCOUNT_ACCESS_KEY=a2V5\nMINE=bWluZQ==\n");
    let key = ["accountkey=a2V5"];
    let with_ad = azure().with_config("useAAD", "true");
    let named = azure().with_config("storageAccountKeyEnvVar", "MINE");
    for (location, contents, expected) in [
        (azure(), principal, &PRINCIPAL[..]),
        (azure(), &with_key, &key),
        (azure(), &format!("{principal}OTHER=x\nAZURE_REGION=x\n"), &PRINCIPAL),
        (azure().with_config("useAAD", "false"), &with_key, &key),
        (with_ad.clone(), &with_key, &PRINCIPAL),
        (named.clone(), &with_key, &["accountkey=bWluZQ=="]),
        (named.clone(), "MINE=bWluZQ==", &["accountkey=bWluZQ=="]),
        (named.clone().with_config("useAAD", "true"), &with_key, &PRINCIPAL),
        (azure(), &format!("AZURE_STORAGE_ACCOUNT_ACCESS_KEY=\n{principal}"), &PRINCIPAL),
    ] {
        assert_eq!(parameters(&location, &file(contents)), expected, "{contents}");
        // A path beside the content does not matter.
        assert_eq!(parameters(&location, &file(contents).with_path("/c")), expected, "{contents}");
    }
    // The host allows the identity of the process where the file names none.
    for (location, contents) in [
        (with_ad, "AZURE_STORAGE_ACCOUNT_ACCESS_KEY=a2V5\n"),
        (azure(), "AZURE_SUBSCRIPTION_ID=s\nAZURE_RESOURCE_GROUP=r\n"),
        (azure(), "AZURE_SUBSCRIPTION_ID=s\nMINE=x\n"),
    ] {
        assert_eq!(parameters(&location, &file(contents).with_ambient()), DEFAULT, "{contents}");
        let found = wrong(&location, &file(contents));
        assert!(
            found.starts_with("credentials file: has none of `AZURE_STORAGE_ACCOUNT_ACCESS_KEY`, "),
            "{found}"
        );
    }
    assert_eq!(
        ignored(&named.with_config("useAAD", "true"), &file(principal)),
        ["spec.config.storageAccountKeyEnvVar is ignored: `useAAD` is true, so the account key is not used"]
    );
    assert_eq!(
        ignored(&azure(), &file("AZURE_TENANT_ID=t\n\nAZURE_CLIENT_ID=c\n").with_ambient()),
        [
            "credentials file, line 3: AZURE_CLIENT_ID is ignored: without a client secret, the identity of \
             the process is used",
            "credentials file, line 1: AZURE_TENANT_ID is ignored: without a client secret, the identity of \
             the process is used",
        ]
    );
}

#[test]
fn forms_of_lines() {
    for contents in [
        "AZURE_TENANT_ID=t\r\nAZURE_CLIENT_ID=c\r\nAZURE_CLIENT_SECRET=s#1\r\n",
        "[default]\n# a\nAZURE_TENANT_ID = \"t\"\nAZURE_CLIENT_ID = 'c' # mine\nAZURE_CLIENT_SECRET = s#1 ; mine",
        "export AZURE_TENANT_ID=t\n  export  AZURE_CLIENT_ID=c\nexport AZURE_CLIENT_SECRET=\"s#1\" # x\n",
        "AZURE_CLIENT_SECRET=old\nAZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\nAZURE_CLIENT_SECRET=s#1\n",
    ] {
        assert_eq!(parameters(&azure(), &file(contents)), PRINCIPAL, "{contents}");
    }
    for text in ["0123456", "1e9", "a: b", "@abc", "~", "null", "yes", "0x10", "a=b=="] {
        let contents = format!("AZURE_STORAGE_ACCOUNT_ACCESS_KEY={text}\n");
        assert_eq!(parameters(&azure(), &file(&contents)), [format!("accountkey={text}")]);
    }
}

#[test]
fn clouds() {
    for (name, realm) in [
        ("AzurePublicCloud", "core.windows.net"),
        ("AZURECLOUD", "core.windows.net"),
        ("AzureUSGovernmentCloud", "core.usgovcloudapi.net"),
        ("AzureUSGovernment", "core.usgovcloudapi.net"),
        ("azurechinacloud", "core.chinacloudapi.cn"),
    ] {
        let contents = format!("AZURE_CLOUD_NAME={name}\n");
        let found = parameters(&azure(), &file(&contents).with_ambient());
        assert_eq!(found, [DEFAULT[0].to_owned(), format!("realm={realm}")]);
    }
    assert_eq!(parameters(&azure(), &file("AZURE_CLOUD_NAME=\n").with_ambient()), DEFAULT);
    assert_eq!(
        wrong(&azure(), &file("\nAZURE_CLOUD_NAME=AzureMoonCloud\n").with_ambient()),
        "credentials file, line 2: `AZURE_CLOUD_NAME` has to be one of AzurePublicCloud, AzureUSGovernmentCloud, \
         AzureChinaCloud"
    );
}

#[test]
fn what_is_wrong_with_files() {
    let named = azure().with_config("storageAccountKeyEnvVar", "MINE");
    let gone = "credentials file: has no `MINE`, but `spec.config.storageAccountKeyEnvVar` asks for it";
    for (location, contents, expected) in [
        (azure(), "", "credentials file: is empty"),
        (
            azure(),
            "[default]\naws_access_key_id=a\n",
            "credentials file: has no line that begins with `AZURE_`",
        ),
        (azure(), "AZURE_TENANT_ID\nAZURE_CLIENT_ID=c\n", "credentials file, line 1: has to be KEY=VALUE"),
        (
            azure(),
            "AZURE_CLIENT_SECRET=s\n",
            "2 mistakes: credentials file: has no `AZURE_CLIENT_ID`, but `AZURE_CLIENT_SECRET` needs it; \
             credentials file: has no `AZURE_TENANT_ID`, but `AZURE_CLIENT_SECRET` needs it",
        ),
        (
            azure(),
            "AZURE_CLIENT_SECRET=s\nAZURE_TENANT_ID=t\nAZURE_CLIENT_ID=\n",
            "credentials file: has no `AZURE_CLIENT_ID`, but `AZURE_CLIENT_SECRET` needs it",
        ),
        (
            azure(),
            "AZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\nAZURE_CLIENT_SECRET=\n",
            "credentials file, line 3: `AZURE_CLIENT_SECRET` is empty",
        ),
        (
            azure(),
            "AZURE_STORAGE_ACCOUNT_ACCESS_KEY=\"\"\n",
            "credentials file, line 1: `AZURE_STORAGE_ACCOUNT_ACCESS_KEY` is empty",
        ),
        (
            azure(),
            "AZURE_CLIENT_CERTIFICATE_PATH=/c\n",
            "credentials file, line 1: `AZURE_CLIENT_CERTIFICATE_PATH` is not supported: set \
             `AZURE_CLIENT_SECRET` or an account key",
        ),
        (named.clone(), "AZURE_STORAGE_ACCOUNT_ACCESS_KEY=a\n", gone),
        (named.clone(), "AZURE_CLIENT_SECRET=s\nAZURE_CLIENT_ID=c\nAZURE_TENANT_ID=t\n", gone),
        (named.clone(), "MINE= # soon\n", "credentials file, line 1: `MINE` is empty"),
    ] {
        assert_eq!(wrong(&location, &file(contents)), expected, "{contents}");
    }
    assert_eq!(
        wrong(&named, &LocationCredentials::none()),
        "`spec.config.storageAccountKeyEnvVar`: names a line of the credentials file, but there is no file"
    );
    assert_eq!(
        wrong(&azure(), &LocationCredentials::none().with_path("/c")),
        "path of the credentials file: cannot be read by this driver: pass its content with \
         `LocationCredentials::from_contents`"
    );
    assert_eq!(
        wrong(&azure().with_config("useAAD", "maybe"), &LocationCredentials::none()),
        "`spec.config.useAAD`: has to be true or false"
    );
}

/// A misspelt name never means the identity of the process.
#[test]
fn names_that_nobody_knows() {
    let id = "AZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\n";
    let unknown = |line: usize, name: &str, near: &str| {
        format!("credentials file, line {line}: `{name}` is unknown, did you mean `{near}`?")
    };
    for (contents, expected) in [
        (format!("{id}AZURE_CLIENT_SECERT=s\n"), unknown(3, "AZURE_CLIENT_SECERT", "AZURE_CLIENT_SECRET")),
        (format!("{id}azure_client_secret=s\n"), unknown(3, "azure_client_secret", "AZURE_CLIENT_SECRET")),
        (format!("{id}CLIENT_SECRET=s\n"), unknown(3, "CLIENT_SECRET", "AZURE_CLIENT_SECRET")),
        (
            format!("{id}AZURE_STORAGE_ACCOUNT_ACCES_KEY=s\n"),
            unknown(3, "AZURE_STORAGE_ACCOUNT_ACCES_KEY", "AZURE_STORAGE_ACCOUNT_ACCESS_KEY"),
        ),
        (
            format!("{id}MINE=s\n"),
            "credentials file, line 3: `MINE` is unknown, and there is neither a key nor `AZURE_CLIENT_SECRET`".to_owned(),
        ),
        // An incomplete service principal does not count.
        (
            "AZURE_CLIENT_SECRET=s\nAZURE_TENANT_ID=t\nAZURE_CLIENTID=c\n".to_owned(),
            format!(
                "2 mistakes: credentials file: has no `AZURE_CLIENT_ID`, but `AZURE_CLIENT_SECRET` needs it; \
                 {}",
                unknown(3, "AZURE_CLIENTID", "AZURE_CLIENT_ID")
            ),
        ),
        (
            format!("{id}AZURE_FEDERATED_TOKEN_FILE=/etc/passwd\n"),
            "credentials file, line 3: `AZURE_FEDERATED_TOKEN_FILE` names a file that the host has not \
             allowed: allow it with `LocationCredentials::with_token_files` or `--token-file`"
                .to_owned(),
        ),
    ] {
        // Where the token of a workload identity is allowed, nothing unknown may be beside it.
        let allowed = file(&contents).with_token_files(["/token"]);
        assert_eq!(wrong(&azure(), &allowed), expected, "{contents}");
    }
    let contents =
        format!("{id}AZURE_FEDERATED_TOKEN_FILE=/token\nAZURE_AUTHORITY_HOST=https://login.example\n");
    assert_eq!(
        ignored(&azure(), &file(&contents).with_token_files(["/token"])),
        ["credentials file, line 4: AZURE_AUTHORITY_HOST is ignored: the cloud of the account determines \
          where tokens come from"]
    );
    // A file of another kind does not make an endless message.
    let many: String = (0..5000).map(|n| format!("AZURE_CLIENT_SECRE{n}=x\n")).collect();
    let found = wrong(&azure(), &file(&many));
    assert!(found.starts_with("11 mistakes: ") && found.ends_with("has 90 more unknown names"), "{found}");
    let many: String = (0..5000).map(|n| format!("MINE{n}=x\n")).collect();
    let found = wrong(&azure(), &file(&(many + id)).with_token_files(["/token"]));
    assert!(found.starts_with("11 mistakes: ") && found.ends_with("has 4990 more unknown names"), "{found}");
}

/// Beside a key or a whole service principal other names change nothing: two locations share a Secret so.
#[test]
fn names_beside_an_identity() {
    let key = "AZURE_STORAGE_ACCOUNT_ACCESS_KEY=a2V5\n";
    let principal = "AZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\nAZURE_CLIENT_SECRET=s#1\n";
    let others = "AZURE_STORAGE_ACCOUNT_ACCESS_KEY_2=bWluZQ==\nAZURE_STORAGE_ACCOUNT_KEY=x\n\
                  AZURE_STORAGE_ACCOUNT_NAME=x\nAZURE_STORAGE_CONTAINER=x\nAZURE_SUBSCRIPTION_NAME=x\n\
                  AZURE_RESOURCE_GROUP_NAME=x\nAZURE_BACKUP_SUBSCRIPTION_ID=x\nAZURE_OBJECT_ID=x\n\
                  AZURE_FEDERATED_TOKEN_FILE=/token\n";
    for (contents, expected) in [(key, &["accountkey=a2V5"][..]), (principal, &PRINCIPAL)] {
        assert_eq!(parameters(&azure(), &file(&(contents.to_owned() + others))), expected, "{contents}");
    }
    let second = azure().with_config("storageAccountKeyEnvVar", "AZURE_STORAGE_ACCOUNT_ACCESS_KEY_2");
    assert_eq!(parameters(&second, &file(&(key.to_owned() + others))), ["accountkey=bWluZQ=="]);
    let contents = format!("{key}AZURE_CLOUDNAME=AzureChinaCloud\nAZURE_FEDERATED_TOKEN_FILE=/token\n");
    assert_eq!(
        ignored(&azure(), &file(&contents)),
        [
            "credentials file, line 2: `AZURE_CLOUDNAME` (did you mean `AZURE_CLOUD_NAME`?) is ignored: the \
             credentials already have an identity",
            "credentials file, line 3: AZURE_FEDERATED_TOKEN_FILE is ignored: the credentials already have \
             an identity",
        ]
    );
    // Harmless keys are not a mistake beside a workload identity either.
    let allowed =
        file("AZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\nAZURE_OBJECT_ID=x\n").with_token_files(["/token"]);
    assert_eq!(parameters(&azure(), &allowed), WORKLOAD);
}

/// A client alone is anyone's word: the identity of the process is not used for it, and never sent outside of Azure.
#[test]
fn workload_identities() {
    let id = "AZURE_SUBSCRIPTION_ID=s\nAZURE_TENANT_ID=t\nAZURE_CLIENT_ID=c\n";
    let of_registry =
        registry(&[("client_id_key", "c"), ("tenant_id_key", "t"), ("storage_account_key", "")]);
    let what = "without a client secret it asks for a workload identity: allow its token file with \
                `LocationCredentials::with_token_files` or `--token-file`, or allow the identity of the \
                process with `LocationCredentials::with_ambient`";
    assert_eq!(wrong(&azure(), &file(id)), format!("credentials file, line 3: `AZURE_CLIENT_ID`: {what}"));
    assert_eq!(
        wrong(&azure(), &of_registry),
        format!("Secret oadp-x-azure-registry-secret, key client_id_key: `client_id_key`: {what}")
    );
    let named = file(&format!("{id}AZURE_FEDERATED_TOKEN_FILE=/token\n"));
    for credentials in [
        // The first of the host's is the token where the Secret names none, as that of OADP.
        file(id).with_token_files(["/token", "/other"]),
        named.clone().with_token_files(["/other", "/token"]),
        of_registry.clone().with_token_files(["/token"]),
    ] {
        assert_eq!(parameters(&azure(), &credentials), WORKLOAD, "{credentials:?}");
    }
    assert_eq!(
        wrong(&azure(), &file("AZURE_CLIENT_ID=c\n").with_token_files(["/token"])),
        "credentials file: has no `AZURE_TENANT_ID`, but `AZURE_CLIENT_ID` needs it"
    );
    for credentials in [file(id).with_ambient(), of_registry.clone().with_ambient()] {
        assert_eq!(parameters(&azure(), &credentials), DEFAULT);
    }
    for url in ["https://evil.example", "https://account.blob.core.windows.net.evil.example"] {
        let elsewhere = azure().with_config("storageAccountURI", url);
        let expected = "`spec.config.storageAccountURI`: is not an Azure host, and tokens of the process are \
                        sent only to Azure: pass an account key or a client secret";
        for credentials in [
            file(id).with_ambient(),
            file(id).with_token_files(["/token"]),
            named.clone().with_token_files(["/token"]),
            of_registry.clone().with_ambient(),
            LocationCredentials::ambient(),
            LocationCredentials::none(),
        ] {
            assert_eq!(wrong(&elsewhere, &credentials), expected, "{credentials:?}");
        }
        let key = file("AZURE_STORAGE_ACCOUNT_ACCESS_KEY=a2V5\n");
        assert_eq!(parameters(&elsewhere, &key), ["accountkey=a2V5".to_owned(), format!("serviceurl={url}")]);
    }
}

#[test]
fn the_secret_of_oadp() {
    let whole = |key, client, secret, tenant| {
        registry(&[
            ("storage_account_key", key),
            ("client_id_key", client),
            ("client_secret_key", secret),
            ("tenant_id_key", tenant),
            ("subscription_id_key", "s"),
            ("resource_group_key", "r"),
        ])
    };
    let named = azure().with_config("storageAccountKeyEnvVar", "MINE");
    let key = ["accountkey=0123456"];
    for (location, credentials, expected) in [
        (azure(), whole("0123456", "c", "s#1", "t"), &key[..]),
        (named.clone(), whole("0123456", "", "", ""), &key),
        (azure(), whole("", "c", "s#1", "t"), &PRINCIPAL),
        (azure().with_config("useAAD", "T"), whole("0123456", "c", "s#1", "t"), &PRINCIPAL),
        (azure(), whole("", "c", "", "t").with_ambient(), &DEFAULT),
        (azure(), whole("", "", "", "").with_ambient(), &DEFAULT),
    ] {
        assert_eq!(parameters(&location, &credentials), expected);
    }
    assert_eq!(
        wrong(&azure(), &registry(&[("access_key", "a")])),
        "Secret oadp-x-azure-registry-secret: has none of the keys storage_account_key, client_secret_key, \
         client_id_key, tenant_id_key"
    );
    let secret = "Secret oadp-x-azure-registry-secret, key";
    assert_eq!(
        wrong(&azure(), &whole("", "", "s", "t")),
        format!("{secret} client_id_key: is empty or missing, but `client_secret_key` needs it")
    );
    assert_eq!(
        wrong(&named, &whole("", "c", "s", "t")),
        format!(
            "{secret} storage_account_key: is empty or missing, but `spec.config.storageAccountKeyEnvVar` \
             asks for it"
        )
    );
    assert_eq!(
        wrong(&azure(), &whole("", "", "", "t")),
        "Secret oadp-x-azure-registry-secret: has no value for `storage_account_key`, `client_secret_key`, \
         `client_id_key`: set one of them, or allow the identity of the process with \
         `LocationCredentials::with_ambient`"
    );
    // The user's configuration comes first.
    let both = LocationCredentials {
        contents: file("AZURE_STORAGE_ACCOUNT_ACCESS_KEY=a2V5").contents,
        ..whole("k", "", "", "")
    };
    assert_eq!(parameters(&azure(), &both), ["accountkey=a2V5"]);
}

#[test]
fn two_locations_at_once_never_mix() {
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for round in 0..200 {
                    let own = format!("{thread}x{round}");
                    let location = BackupStorageLocation::new("velero", &own, "azure", &own);
                    let location = location.with_config("storageAccount", &own);
                    let contents = format!("AZURE_STORAGE_ACCOUNT_ACCESS_KEY={own}\n");
                    let found = config(&location, &file(&contents)).parameters;
                    for key in ["container", "accountname", "accountkey"] {
                        assert_eq!(found.get(key), Some(own.as_str()));
                    }
                    assert_eq!(found.keys().count(), 3);
                    let other = config(&azure(), &LocationCredentials::none()).parameters;
                    assert_eq!(other.get("accountkey"), None);
                    assert_eq!(other.get("container"), Some("backup"));
                }
            });
        }
    });
}
