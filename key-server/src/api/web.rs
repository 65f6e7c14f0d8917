//! The web app's files, and the headers that keep a page to them.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get_service;
use tower_http::services::{ServeDir, ServeFile};

use crate::config::Config;

/// `/m/{room}` is the page; the room is the page's affair, and what follows the `#` never gets here.
pub(super) fn router(config: &Config) -> Router {
    let Some(folder) = &config.web else {
        return Router::new()
            .fallback(|| async { (StatusCode::NOT_FOUND, "Not found. This server has no web app.\n") });
    };
    let page = ServeFile::new(folder.join("index.html"));
    let relay = connect_source(&config.relay_url);
    Router::new()
        .route_service("/m/{room}", get_service(page))
        .fallback_service(ServeDir::new(folder))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            page_headers(relay.clone(), request, next)
        }))
}

/// Every answer of the API: JSON for the code that asked, nothing for a browser to render or guess at.
pub(super) async fn api_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        headers,
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        set(headers, header::CACHE_CONTROL, "no-store");
    }
    response
}

async fn page_headers(relay: Option<String>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .filter(|h| is_host(h))
        .map(str::to_owned);
    let mut response = next.run(request).await;
    let policy = content_security_policy(host.as_deref(), relay.as_deref());
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/html"));
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    set(
        headers,
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        headers,
        HeaderName::from_static("cross-origin-embedder-policy"),
        "require-corp",
    );
    set(
        headers,
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    let allowed =
        "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), geolocation=(), payment=(), usb=()";
    set(headers, HeaderName::from_static("permissions-policy"), allowed);
    // The page itself is never kept; its files are asked for again each time, and answered from their dates.
    set(
        headers,
        header::CACHE_CONTROL,
        if is_page { "no-store" } else { "no-cache" },
    );
    response
}

/// Scripts, workers and WebAssembly from here only; connections to here and to the relay only. WebSockets are named
/// because not every browser counts them to 'self'.
fn content_security_policy(host: Option<&str>, relay: Option<&str>) -> String {
    let sockets = host
        .map(|host| format!(" ws://{host} wss://{host}"))
        .unwrap_or_default();
    let relay = relay.map(|relay| format!(" {relay}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob: mediastream:; font-src 'self'; manifest-src 'self'; connect-src 'self'{sockets}{relay}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    )
}

/// Scheme and host of a relay elsewhere.
fn connect_source(relay_url: &str) -> Option<String> {
    let (scheme, rest) = relay_url.split_once("://")?;
    let host = rest.split(['/', '?']).next()?;
    (matches!(scheme, "ws" | "wss") && is_host(host)).then(|| format!("{scheme}://{host}"))
}

/// Nothing that could end a directive.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_no_inline_script_no_eval_and_no_other_origin() {
        let policy = content_security_policy(
            Some("meet.example:8440"),
            connect_source("wss://relay.example/relay/v1").as_deref(),
        );
        assert!(
            policy.contains("connect-src 'self' ws://meet.example:8440 wss://meet.example:8440 wss://relay.example;")
        );
        assert!(!policy.contains("'unsafe-inline'") && !policy.contains("'unsafe-eval'") && !policy.contains('*'));
    }

    #[test]
    fn a_host_header_cannot_add_to_the_policy() {
        for bad in ["a; script-src *", "a b", "a,b", "a'b", "", &"a".repeat(300)] {
            assert!(!is_host(bad), "{bad:?}");
        }
        assert!(is_host("127.0.0.1:8440") && is_host("[::1]:8440"));
        assert_eq!(connect_source("/relay/v1"), None);
        assert_eq!(connect_source("http://x/"), None);
    }
}
