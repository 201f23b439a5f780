//! Variables that Kubernetes sets in every container for its services, which are not meant as settings.

/// The variables of a service that is called `registry`.
const SERVICE: &[&str] = &["service_host", "service_port", "port"];
/// Every name below it is a setting.
const FIELDS: &str = "log_fields_";
/// The beginnings of the values of `…_PORT`.
const SCHEMES: &[&str] = &["tcp://", "udp://", "sctp://"];

/// Returns the name of the variable if a cluster sets it for the service `registry` or for one called
/// `registry-…`. `rest` is the name without its prefix, in lower case.
pub(super) fn variable<'a>(rest: &'a str, value: &str) -> Option<&'a str> {
    let own = SERVICE.iter().find(|name| {
        let rest = rest.strip_prefix(**name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    });
    own.copied().or_else(|| is_of_another(rest, value).then_some(rest))
}

fn is_of_another(rest: &str, value: &str) -> bool {
    if rest.starts_with(FIELDS) {
        return false;
    }
    let is_link = rest.ends_with("_port") && SCHEMES.iter().any(|scheme| value.starts_with(scheme));
    is_link || rest.ends_with("_service_host") || {
        let words: Vec<&str> = rest.split('_').collect();
        words.windows(2).any(|words| matches!(words, ["service", "port"])) || words.windows(3).any(is_port)
    }
}

/// `PORT_80_TCP`.
fn is_port(words: &[&str]) -> bool {
    let ["port", number, "tcp" | "udp" | "sctp"] = words else { return false };
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}
