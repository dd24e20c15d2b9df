//! Who may control the emulator: programs on this machine, and no page of another site in a browser on it.
//!
//! A browser sends a page's requests to any address. What gives such a request away is its `Origin` (the page's site), `Sec-Fetch-Site`,
//! and, where a name of the page's site means this machine by now (DNS rebinding), its `Host`.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::control::reply::Refused;

/// Where a request came from; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Lets through what this machine's own programs ask for.
pub(crate) async fn only_local(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => Refused(StatusCode::FORBIDDEN, problem.to_owned()).into_response(),
    }
}

fn check(request: &Request) -> Result<(), &'static str> {
    let is_local = request.extensions().get::<Peer>().is_some_and(|peer| is_loopback(peer.0.ip()));
    if !is_local {
        return Err("the control interface answers this machine only");
    }
    let host = host(request.uri(), request.headers()).filter(is_this_machine);
    let Some(host) = host else {
        return Err("the control interface answers only where Host is localhost or a loopback address");
    };
    let is_foreign = |origin: &str| {
        let own = origin.strip_prefix("http://").and_then(|origin| origin.parse::<Authority>().ok());
        !own.is_some_and(|own| is_this_machine(&own) && own.port_u16() == host.port_u16())
    };
    let texts = |name| request.headers().get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    if texts(header::ORIGIN).any(is_foreign) {
        return Err("the control interface answers no page of another site (Origin)");
    }
    let sites = texts(header::HeaderName::from_static("sec-fetch-site"));
    if sites.into_iter().any(|site| site != "same-origin" && site != "none") {
        return Err("the control interface answers no page of another site (Sec-Fetch-Site)");
    }
    Ok(())
}

/// The one host that a request names.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host: Authority = hosts.next()?.to_str().ok()?.parse().ok()?;
    let is_only_one = hosts.next().is_none() && uri.authority().is_none_or(|authority| *authority == host);
    (is_only_one && !host.as_str().contains('@')).then_some(host)
}

fn is_this_machine(host: &Authority) -> bool {
    // An IPv6 address stands in brackets.
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_this_machine_controls() {
        let ask = |peer: Option<&str>| {
            let mut request =
                Request::builder().header("host", "localhost:8765").body(Body::empty()).expect("a request");
            if let Some(peer) = peer {
                request.extensions_mut().insert(Peer(peer.parse().expect("an address")));
            }
            check(&request).is_ok()
        };
        for peer in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(ask(Some(peer)), "{peer}");
        }
        for peer in ["192.0.2.1:1", "10.0.0.1:1", "[::ffff:192.0.2.1]:1", "[2001:db8::1]:1", "0.0.0.0:1"] {
            assert!(!ask(Some(peer)), "{peer}");
        }
        assert!(!ask(None), "nobody knows who asks");
    }

    #[test]
    fn a_request_names_one_host() {
        let ask = |hosts: &[&str], uri: &str| {
            let mut request = Request::builder().uri(uri);
            for host in hosts {
                request = request.header("host", *host);
            }
            let mut request = request.body(Body::empty()).expect("a request");
            request.extensions_mut().insert(Peer(([127, 0, 0, 1], 1).into()));
            check(&request).is_ok()
        };
        assert!(ask(&["localhost"], "/_control/calls"));
        assert!(ask(&["localhost:1"], "http://localhost:1/_control/calls"));
        assert!(!ask(&[], "/_control/calls"));
        assert!(!ask(&["localhost", "attacker.example"], "/_control/calls"));
        assert!(!ask(&["localhost"], "http://attacker.example/_control/calls"));
        assert!(!ask(&["me@localhost"], "/_control/calls"));
    }
}
