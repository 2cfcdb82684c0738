//! The endpoints over dead letters: what may be asked, by whom, and what is refused (C33).

use std::sync::Mutex;

use async_trait::async_trait;

use super::super::dlq::letters::{
    Ask, Counts, JobStatus, KeptOrder, Letters, Page, PurgeOrder, Refusal, ReplayOrder, Whole,
};
use super::*;

/// Notes what it was told to do.
#[derive(Default)]
pub(super) struct FakeLetters(Mutex<Vec<String>>);

impl FakeLetters {
    fn done(&self, what: impl std::fmt::Debug) -> JobStatus {
        self.0.lock().unwrap().push(format!("{what:?}"));
        JobStatus::default()
    }
}

#[async_trait]
impl Letters for FakeLetters {
    async fn page(&self, ask: Ask) -> Result<Page, Refusal> {
        match ask.filter.since.as_deref() {
            Some("broken") => Err(Refusal::Failed("the disk".to_owned())),
            _ => Ok(Page::default()),
        }
    }
    async fn counts(&self, _: Ask) -> Result<Counts, Refusal> {
        Ok(Counts::default())
    }
    async fn letter(&self, r#in: Option<String>, id: String) -> Result<Whole, Refusal> {
        match (r#in.as_deref(), id.as_str()) {
            (None, "7") | (Some("dlt"), "3/1042") => Ok(Whole::default()),
            _ => Err(Refusal::Unknown(format!("there is no letter {id}"))),
        }
    }
    async fn first(&self, ask: Ask) -> Result<Whole, Refusal> {
        match (ask.r#in.as_deref(), ask.filter.event.as_deref()) {
            (Some("dlt"), Some("42")) | (None, None) => Ok(Whole::default()),
            _ => Err(Refusal::Unknown("there is no such letter".to_owned())),
        }
    }
    async fn rehearse(&self, _: ReplayOrder) -> Result<Page, Refusal> {
        Ok(Page::default())
    }
    async fn replay(&self, order: ReplayOrder) -> Result<JobStatus, Refusal> {
        match order.limit {
            Some(0) => Err(Refusal::Busy("job 1 is at work".to_owned())),
            _ => Ok(self.done(order)),
        }
    }
    async fn purge(&self, order: PurgeOrder) -> Result<JobStatus, Refusal> {
        Ok(self.done(order))
    }
    async fn rehearse_kept(&self, _: KeptOrder) -> Result<Page, Refusal> {
        Ok(Page::default())
    }
    async fn replay_kept(&self, order: KeptOrder) -> Result<JobStatus, Refusal> {
        Ok(self.done(order))
    }
    fn job(&self) -> Result<JobStatus, Refusal> {
        Ok(JobStatus::default())
    }
    fn cancel(&self) -> Result<JobStatus, Refusal> {
        Ok(self.done("cancel"))
    }
}

async fn post(served: &Served, target: &str, head: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "POST {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n{body}"
    );
    raw(served.address, &request).await
}

const JSON: &str = "content-type: application/json\r\n";

fn done(served: &Served) -> Vec<String> {
    std::mem::take(&mut *served.source.letters.0.lock().unwrap())
}

#[tokio::test]
async fn what_is_asked_for_in_so_many_words_is_done() {
    let served = start(Surface::Admin).await;
    for (path, body, status_code) in [
        (
            "/dlq/replay",
            r#"{"filter": {"destination": "crm"}, "rate": 5}"#,
            "202",
        ),
        ("/dlq/replay", r#"{"all": true}"#, "202"),
        ("/dlq/purge", r#"{"filter": {"ids": [7]}}"#, "202"),
        (
            "/replay",
            r#"{"log": "a", "to": "b", "filter": {"since": "s", "until": "u"}}"#,
            "202",
        ),
        ("/job/cancel", "{}", "200"),
    ] {
        let answer = post(&served, path, JSON, body).await;
        assert_eq!(status(&answer), status_code, "{path}: {answer}");
        assert_eq!(done(&served).len(), 1, "{path}");
    }
    let dry = post(&served, "/dlq/replay", JSON, r#"{"dry_run": true}"#).await;
    assert_eq!(
        (status(&dry), done(&served).len()),
        ("200", 0),
        "a dry run does nothing"
    );
    let busy = post(&served, "/dlq/replay", JSON, r#"{"all": true, "limit": 0}"#).await;
    assert_eq!(status(&busy), "409");
    assert_eq!(status(&get(served.address, "/dlq/7").await), "200");
    assert_eq!(status(&get(served.address, "/dlq/8").await), "404");
    assert_eq!(status(&get(served.address, "/dlq?since=broken").await), "503");
}

/// Nothing said, or not understood, is never taken for everything.
#[tokio::test]
async fn an_order_that_does_not_say_which_letters_is_refused() {
    let served = start(Surface::Admin).await;
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for (path, body) in [
        ("/dlq/purge", ""),
        ("/dlq/purge", "{}"),
        ("/dlq/purge", r#"{"filter": {}}"#),
        ("/dlq/purge", r#"{"filter": {"destinatoin": "crm"}}"#),
        ("/dlq/purge", r#"{"all": true, "filter": {"route": "x"}}"#),
        ("/dlq/purge", r#"{"all": "yes"}"#),
        ("/dlq/purge", "[]"),
        ("/dlq/purge", &deep),
        ("/dlq/replay", "{}"),
        ("/dlq/replay", r#"{"all": true, "to": "b", "all_routes": true}"#),
        ("/dlq/replay", r#"{"all": true, "ingress": "in"}"#),
        ("/dlq/replay", r#"{"all": true, "rate": 0}"#),
        ("/dlq/replay", r#"{"all": true, "rate": -1}"#),
        ("/dlq/replay", r#"{"filter": {"ids": [1e300]}}"#),
        ("/replay", r#"{"log": "a", "to": "b"}"#),
        (
            "/replay",
            r#"{"to": "b", "filter": {"since": "s", "until": "u"}}"#,
        ),
    ] {
        let answer = post(&served, path, JSON, body).await;
        assert_eq!(status(&answer), "400", "{path} {body:.60}: {answer}");
    }
    for query in ["destinatoin=crm", "id=x", "type=%zz"] {
        assert_eq!(
            status(&get(served.address, &format!("/dlq?{query}")).await),
            "400",
            "{query}"
        );
    }
    assert_eq!(done(&served), [""; 0]);
}

/// A page in somebody's browser reaches loopback, too.
#[tokio::test]
async fn no_web_page_can_have_letters_purged() {
    let served = start(Surface::Admin).await;
    let body = r#"{"all": true}"#;
    for (head, code) in [
        ("", "415"),
        ("content-type: text/plain\r\n", "415"),
        ("content-type: application/x-www-form-urlencoded\r\n", "415"),
        ("content-type: application/json\r\norigin: http://evil\r\n", "403"),
        ("content-type: application/json\r\norigin: null\r\n", "403"),
    ] {
        let answer = post(&served, "/dlq/purge", head, body).await;
        assert_eq!(status(&answer), code, "{head}");
    }
    for host in [
        "evil.example",
        "evil.example:9465",
        "127.0.0.1.evil.example",
        "",
        "a b",
    ] {
        let rebound = format!("GET /dlq HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = raw(served.address, &rebound).await;
        assert_eq!(status(&answer), "403", "{host}");
    }
    for host in ["127.0.0.1", "127.0.0.1:9465", "[::1]:1", "LocalHost:9465"] {
        let own = format!("GET /dlq HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(status(&raw(served.address, &own).await), "200", "{host}");
    }
    assert_eq!(status(&get(served.address, "/dlq/purge").await), "405");
    let looked = post(&served, "/dlq", JSON, body).await;
    assert_eq!(status(&looked), "405");
    let large = post(&served, "/dlq/purge", JSON, &" ".repeat(100 << 10)).await;
    assert_eq!(status(&large), "413");
    let short = "POST /dlq/purge HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{";
    let answer = raw(served.address, short).await;
    assert_ne!(status(&answer), "202", "{answer}");
    assert_eq!(done(&served), [""; 0]);
}

#[tokio::test]
async fn dead_letters_are_no_matter_of_the_observers() {
    let served = start(Surface::Observe).await;
    assert_eq!(status(&get(served.address, "/dlq").await), "404");
    let answer = post(&served, "/dlq/purge", JSON, r#"{"all": true}"#).await;
    assert_eq!(status(&answer), "405");
    assert_eq!(done(&served), [""; 0]);
}

/// An id is whatever stands behind the last word of the path, decoded, and goes with the place where it is meant.
#[tokio::test]
async fn a_letter_elsewhere_is_asked_for_by_its_place() {
    let served = start(Surface::Admin).await;
    for (target, code) in [
        ("/dlq/3%2F1042?in=dlt", "200"),
        ("/dlq/3/1042?in=dlt", "200"),
        ("/dlq/3%2F1042", "404"),
        ("/dlq/%zz?in=dlt", "400"),
        ("/dlq/?in=dlt", "404"),
        ("/dlq/first?in=dlt&event=42", "200"),
        ("/dlq/first?event=42", "404"),
        ("/dlq?in=dlt&place=3%2F1042", "200"),
        ("/dlq/counts?in=dlt", "200"),
    ] {
        assert_eq!(status(&get(served.address, target).await), code, "{target}");
    }
    for (path, body) in [
        (
            "/dlq/replay",
            r#"{"in": "dlt", "filter": {"places": ["3/1042"]}}"#,
        ),
        ("/dlq/purge", r#"{"in": "dlt", "all": true}"#),
    ] {
        let answer = post(&served, path, JSON, body).await;
        assert_eq!(status(&answer), "202", "{path}: {answer}");
        let done = done(&served);
        assert!(done[0].contains("in: Some(\"dlt\")"), "{done:?}");
    }
    let nothing = post(&served, "/dlq/purge", JSON, r#"{"in": "dlt"}"#).await;
    assert_eq!(status(&nothing), "400", "which letters?");
    assert_eq!(done(&served), [""; 0]);
}
