use futures::executor::block_on;

use super::*;

/// Opens nothing, and says what it was asked.
async fn echo(config: StorageConfig) -> Result<Arc<dyn StorageDriver>> {
    let message = format!("{} {:?}", config.driver, config.parameters.get("key"));
    Err(Error::new(ErrorKind::Unsupported).with_driver("echo").with_message(message))
}

fn refusal(drivers: &Drivers, name: &str) -> String {
    let error = block_on(drivers.open(&StorageConfig::new(name))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    error.to_string()
}

#[test]
fn a_registered_driver_gets_its_configuration() {
    let drivers = Drivers::new().register("echo", echo).unwrap();
    for name in ["echo", "Echo"] {
        let config = StorageConfig::new(name).with("key", "value");
        let by_trait: &dyn OpenDriver = &drivers.clone();
        for error in [block_on(drivers.open(&config)), block_on(by_trait.open_driver(&config))] {
            assert_eq!(
                error.unwrap_err().to_string(),
                format!("echo driver: not supported by the driver: {name} Some(\"value\")")
            );
        }
    }
}

#[test]
fn names_are_lower_case_and_taken_once() {
    for name in ["", "Echo", "e cho", "écho", "echo_", "echo/", "echo\n"] {
        let error = Drivers::empty().register(name, echo).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("invalid driver name"), "{error}");
    }
    let once = Drivers::empty().register("echo-2", echo).unwrap();
    let twice = once.clone().register("echo-2", echo).unwrap_err();
    assert_eq!(twice.to_string(), "invalid configuration: the driver `echo-2` exists already");
    assert_eq!(once.names().collect::<Vec<_>>(), ["echo-2"]);
    assert_eq!(once.clone().without("echo-2").register("echo-2", echo).unwrap().names().count(), 1);
    assert_eq!(format!("{once:?}"), r#"Drivers {"echo-2"}"#);
}

#[test]
fn built_in_names_are_taken_and_lacking_ones_are_free() {
    for name in Drivers::new().names() {
        assert!(Drivers::new().register(name, echo).is_err(), "{name}");
        let replaced = Drivers::new().without(name).register(name, echo).unwrap();
        let error = block_on(replaced.open(&StorageConfig::new(name))).unwrap_err();
        assert_eq!(error.driver(), Some("echo"), "{name}");
    }
    let lacking = ["gcs", "oss", "swift"].into_iter().chain((!cfg!(feature = "azure")).then_some("azure"));
    for name in lacking {
        let drivers = Drivers::new().register(name, echo).unwrap();
        let error = block_on(drivers.open(&StorageConfig::new(name))).unwrap_err();
        assert_eq!(error.driver(), Some("echo"), "{name}");
    }
}

#[test]
fn the_names_are_those_of_the_features() {
    let expected = [
        ("azure", cfg!(feature = "azure")),
        ("filesystem", cfg!(feature = "fs")),
        ("inmemory", cfg!(feature = "memory")),
        ("memory", cfg!(feature = "memory")),
        ("s3", cfg!(feature = "s3")),
        ("s3aws", cfg!(feature = "s3")),
    ];
    let expected = expected.into_iter().filter_map(|(name, has)| has.then_some(name));
    assert!(Drivers::default().names().eq(expected));
    assert_eq!(Drivers::empty().names().count(), 0);
}

#[test]
fn what_is_not_here_is_told_by_what_is() {
    let drivers = Drivers::empty().register("tape", echo).unwrap();
    for (drivers, name, expected) in [
        (&drivers, "tpae", "unknown driver `tpae`, did you mean `tape`?"),
        (&drivers, "s3", "unknown driver `s3`; known drivers: tape"),
        (&drivers, "a\n", "unknown driver; known drivers: tape"),
        (&Drivers::empty(), "s3", "unknown driver `s3`: no driver is registered"),
    ] {
        assert_eq!(refusal(drivers, name), format!("invalid configuration: {expected}"));
    }
    let text = refusal(&Drivers::new().without("inmemory").register("tape", echo).unwrap(), "x");
    assert!(text.ends_with("; known drivers: azure, filesystem, gcs, memory, s3, s3aws, tape"), "{text}");
}

#[test]
fn drivers_that_distribution_removed_are_told_apart() {
    for name in ["oss", "swift", "Swift"] {
        let lower = name.to_lowercase();
        for drivers in [Drivers::new(), Drivers::empty()] {
            assert_eq!(
                refusal(&drivers, name),
                format!(
                    "invalid configuration: distribution 3 removed the driver `{lower}`; it is not supported"
                )
            );
        }
    }
}
