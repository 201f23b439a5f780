//! Connections to a store: TLS, proxies, and requests that are given up when they stall (ADR 0023).

mod body;
mod connect;
mod hint;
mod insecure;
mod limits;
mod progress;
mod requests;
mod tls;

pub use self::{
    body::ResponseBody,
    hint::hint,
    limits::{Limits, ResponseTooLarge, Stalled},
    requests::SendError,
    tls::{HttpClient, Trust, certificates},
};
