//! What Kubernetes sets for services whose names begin with `registry`.

use super::*;

/// All that it sets for one, as it was seen in a container.
fn of_a_service(name: &str) -> Vec<(String, &'static str)> {
    [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "80"),
        ("SERVICE_PORT_HTTP", "80"),
        ("PORT", "tcp://10.0.0.1:80"),
        ("PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("PORT_80_TCP_PROTO", "tcp"),
        ("PORT_80_TCP_PORT", "80"),
        ("PORT_80_TCP_ADDR", "10.0.0.1"),
        ("PORT_53_UDP", "udp://10.0.0.1:53"),
        ("PORT_9_SCTP_ADDR", "10.0.0.1"),
    ]
    .map(|(rest, value)| (format!("{name}_{rest}"), value))
    .to_vec()
}

#[test]
fn variables_of_any_service_of_that_beginning_are_ignored() {
    for service in
        ["REGISTRY", "REGISTRY_UI", "REGISTRY_STORAGE", "REGISTRY_STORAGE_S3", "REGISTRY_HTTP", "REGISTRY_5"]
    {
        let pairs = of_a_service(service);
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let config = memory(&pairs);
        assert_eq!((config.driver.as_str(), config.ignored.len()), ("inmemory", pairs.len()), "{service}");
        assert!(config.parameters.is_empty() && config.addr.is_none());
        for (name, _) in &pairs {
            let ignored = config.ignored.iter().find(|ignored| ignored.source.to_string() == *name);
            assert_eq!(ignored.map(|ignored| ignored.reason), Some(super::super::OF_A_SERVICE), "{name}");
        }
    }
    let config =
        memory(&[("REGISTRY_UI_PORT", "udp://10.0.0.1:53"), ("REGISTRY_OLD_PORT", "sctp://10.0.0.1:9")]);
    let expected = [
        "REGISTRY_OLD_PORT: old_port is ignored: Kubernetes sets it for a service with this name",
        "REGISTRY_UI_PORT: ui_port is ignored: Kubernetes sets it for a service with this name",
    ];
    assert_eq!(ignored(&config), expected);
}

#[test]
fn what_only_looks_like_it_stays_what_it_is() {
    for (name, value, key) in [
        ("REGISTRY_HTPP_ADDR", "tcp://10.0.0.1:80", "htpp"),
        ("REGISTRY_UI_PORT", "80", "ui"),
        ("REGISTRY_UI_PORT", "http://10.0.0.1:80", "ui"),
        ("REGISTRY_UI_PORT_X_TCP", "80", "ui"),
        ("REGISTRY_UI_PORT__TCP", "80", "ui"),
        ("REGISTRY_UI_PORT_80_TCPX", "80", "ui"),
        ("REGISTRY_UI_SERVICE_PORTS", "80", "ui"),
        ("REGISTRY_UI_SERVICE_HOST_X", "80", "ui"),
        ("REGISTRY_UISERVICE_HOST", "80", "uiservice"),
    ] {
        let refusal = refusal(&[("REGISTRY_STORAGE", "inmemory"), (name, value)]);
        assert!(refusal.starts_with(&format!("`{key}` ({name}): unknown")), "{refusal}");
    }
    let config = Config::from_env([
        ("REGISTRY_STORAGE", "s3"),
        ("REGISTRY_STORAGE_S3_BUCKET", "b"),
        ("REGISTRY_STORAGE_S3_REGIONENDPOINT", "tcp://10.0.0.1:80"),
        ("REGISTRY_STORAGE_S3_PORT", "80"),
        ("REGISTRY_LOG_FIELDS_SERVICE_HOST", "a"),
        ("REGISTRY_LOG_FIELDS_PORT", "tcp://10.0.0.1:80"),
    ])
    .unwrap();
    assert_eq!(config.parameters.keys().collect::<Vec<_>>(), ["bucket", "port", "regionendpoint"]);
    assert_eq!(config.log.fields.keys().collect::<Vec<_>>(), ["port", "service.host"]);
    assert_eq!(ignored(&config), [""; 0]);
}
