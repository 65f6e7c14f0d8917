//! The plain HTTP calls, the log and the web app's files.
#![allow(clippy::unwrap_used)]

mod support;

use e2ee_core::wire::http::Problem;
use support::TestServer;

#[tokio::test]
async fn names_that_deceive_rooms_that_are_not_and_bodies_that_are_no_json_are_refused_in_words() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let json = [("content-type", "application/json")];
    let sessions = format!("/api/rooms/{}/sessions", room.id);
    let cases = [
        (sessions.as_str(), r#"{"name":""}"#, 422, "name-invalid"),
        (&sessions, "{\"name\":\"Ada\u{202e}\"}", 422, "name-invalid"),
        (&sessions, r#"{"name":"Ada","role":"host"}"#, 400, "malformed"),
        (&sessions, "{", 400, "malformed"),
        (
            "/api/rooms/AAAAAAAAAAAAAAAAAAAAAA/sessions",
            r#"{"name":"Ada"}"#,
            404,
            "room-not-found",
        ),
        ("/api/rooms", r#"{"profile":"weaker"}"#, 400, "malformed"),
        ("/api/rooms", r#"{"lobby":false}"#, 400, "malformed"),
        ("/api/rooms", "{", 400, "malformed"),
        ("/api/rooms/x/sessions", r#"{"name":"Ada"}"#, 404, "room-not-found"),
    ];
    for (path, body, status, code) in cases {
        let reply = server.http("POST", path, &json, body).await;
        assert_eq!(
            (reply.status, reply.json::<Problem>().code.as_str()),
            (status, code),
            "{path} {body}"
        );
    }
    let huge = format!("{{\"name\":\"{}\"}}", "a".repeat(10_000));
    assert!(matches!(
        server.http("POST", &sessions, &json, &huge).await.status,
        400 | 413
    ));
}

#[tokio::test]
async fn pf_01_sign_ins_from_one_address_are_limited() {
    let server = TestServer::start_with(|c| c.limits.sign_ins = (3, 0.01)).await;
    for expected in [201, 201, 201, 429, 429] {
        assert_eq!(server.http("POST", "/api/rooms", &[], "").await.status, expected);
    }
}

async fn made_for(server: &TestServer, client: &str) -> u16 {
    server
        .http("POST", "/api/rooms", &[("x-forwarded-for", client)], "")
        .await
        .status
}

#[tokio::test]
async fn pf_01_behind_a_proxy_that_is_named_each_client_has_a_limit_of_its_own_and_elsewhere_nobody_says_who_they_are()
{
    let server = TestServer::start_with(|c| {
        c.limits.sign_ins = (2, 0.01);
        c.trusted_proxies = ["127.0.0.0/8".parse::<callers::Network>().unwrap()]
            .into_iter()
            .collect();
    })
    .await;
    for (header, expected) in [
        ("203.0.113.9", 201),
        ("203.0.113.9", 201),
        ("203.0.113.9", 429),
        ("192.0.2.1, 203.0.113.9", 429),
        ("203.0.113.10", 201),
        // One client has a whole /64.
        ("2001:db8:1:2::1", 201),
        ("2001:db8:1:2::2", 201),
        ("2001:db8:1:2:3::", 429),
        ("2001:db8:1:3::1", 201),
    ] {
        assert_eq!(made_for(&server, header).await, expected, "{header}");
    }
    let server = TestServer::start_with(|c| c.limits.sign_ins = (2, 0.01)).await;
    for (header, expected) in [("203.0.113.1", 201), ("203.0.113.2", 201), ("203.0.113.3", 429)] {
        assert_eq!(made_for(&server, header).await, expected, "nobody named the proxy");
    }
}

#[tokio::test]
async fn tlog_1_the_log_is_served_as_c2sp_tiles() {
    let server = TestServer::start().await;
    let checkpoint = server.http("GET", "/log/checkpoint", &[], "").await;
    assert_eq!(
        (checkpoint.status, checkpoint.header("cache-control")),
        (200, Some("no-cache"))
    );
    let note = String::from_utf8(checkpoint.body).unwrap();
    let lines: Vec<&str> = note.lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), (server.server().log_origin(), "4", ""));
    let tile = server.http("GET", "/log/tile/0/000.p/4", &[], "").await;
    assert_eq!((tile.status, tile.body.len()), (200, 128));
    assert_eq!(
        server.http("GET", "/log/tile/entries/000.p/4", &[], "").await.status,
        200
    );
    for bad in [
        "/log/tile/0/000",
        "/log/tile/0/000.p/5",
        "/log/tile/0/0",
        "/log/tile/entries/../../conclave.sqlite",
        "/log/tile/9/x001/000",
    ] {
        assert_eq!(server.http("GET", bad, &[], "").await.status, 404, "{bad}");
    }
}

#[tokio::test]
async fn the_page_is_served_for_any_meeting_with_a_policy_that_keeps_it_to_its_own_code() {
    let web = tempfile::tempdir().unwrap();
    std::fs::write(web.path().join("index.html"), "<!doctype html><title>Conclave</title>").unwrap();
    std::fs::write(web.path().join("app.js"), "export {}").unwrap();
    let folder = web.path().to_owned();
    let server = TestServer::start_with(|c| c.web = Some(folder)).await;
    for path in ["/", "/m/whatever"] {
        let page = server.http("GET", path, &[], "").await;
        assert_eq!(page.status, 200, "{path}");
        assert!(String::from_utf8_lossy(&page.body).contains("Conclave"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"),
            "{policy}"
        );
        assert_eq!(page.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    }
    let script = server.http("GET", "/app.js", &[], "").await;
    assert_eq!((script.status, script.header("cache-control")), (200, Some("no-cache")));
    assert_eq!(
        server.http("GET", "/../data/conclave.sqlite", &[], "").await.status,
        404
    );
    assert_eq!(server.http("GET", "/nothing", &[], "").await.status, 404);
    assert_eq!(server.http("GET", "/healthz", &[], "").await.status, 200);
}
