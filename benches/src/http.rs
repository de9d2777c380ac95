//! A client of quorate's HTTP API that costs little: it shares the machine with the servers.
//!
//! One kept-alive connection, one request at a time, one write and (mostly) one read for each.
//! Values travel in the raw form of the API where there is one, as they do in etcd's protocol.

use std::io;
use std::io::Write as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::Connection;

/// A connection to a node's API.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl HttpConnection {
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), answer: Vec::new() })
    }

    /// Asks the leader to let another lead; it answers when that one does.
    pub(crate) async fn hand_over(&mut self) -> Result<(), String> {
        let json = "content-type: application/json\r\n";
        self.begin(format_args!("POST /v1/leader/transfer"), json, b"{}");
        self.exchange().await.map(|_| ())
    }

    /// Sends what stands in `request`; the answer's body if its status is 200.
    async fn exchange(&mut self) -> Result<&[u8], String> {
        let lost = |error: io::Error| format!("the connection to quorate was lost: {error}");
        self.stream.write_all(&self.request).await.map_err(lost)?;
        self.answer.clear();
        let (status, body, end) = loop {
            if self.stream.read_buf(&mut self.answer).await.map_err(lost)? == 0 {
                return Err("quorate closed the connection".to_owned());
            }
            if let Some(head) = head(&self.answer)? {
                break head;
            }
        };
        while self.answer.len() < end {
            if self.stream.read_buf(&mut self.answer).await.map_err(lost)? == 0 {
                return Err("quorate closed the connection".to_owned());
            }
        }
        let body = &self.answer[body..end];
        if status == 200 {
            return Ok(body);
        }
        Err(format!("quorate answered {status}: {}", String::from_utf8_lossy(body)))
    }

    fn begin(&mut self, line: std::fmt::Arguments<'_>, headers: &str, body: &[u8]) {
        self.request.clear();
        // Writing into a Vec does not fail.
        let _ = write!(
            self.request,
            "{line} HTTP/1.1\r\nhost: bench\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        self.request.extend_from_slice(body);
    }
}

/// Status, and where the body begins and ends; `None` until the head is complete.
fn head(answer: &[u8]) -> Result<Option<(u16, usize, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(answer).map_err(|error| format!("no HTTP answer: {error}"))?;
    let httparse::Status::Complete(body) = parsed else { return Ok(None) };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok())
        .ok_or("an answer without a length")?;
    Ok(Some((response.code.unwrap_or(0), body, body + length)))
}

/// Whether `text` stands somewhere in `body`.
fn says(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

impl Connection for HttpConnection {
    async fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        let raw = "content-type: application/octet-stream\r\n";
        self.begin(format_args!("PUT /v1/kv/{key}"), raw, value.as_bytes());
        let body = self.exchange().await?;
        // It says on how many disks it stands: that is what is measured.
        if says(body, "\"copies\":2") || says(body, "\"copies\":3") {
            return Ok(());
        }
        Err(format!("acknowledged without a majority: {}", String::from_utf8_lossy(body)))
    }

    async fn get(&mut self, key: &str) -> Result<(), String> {
        let raw = "accept: application/octet-stream\r\n";
        self.begin(format_args!("GET /v1/kv/{key}"), raw, b"");
        let value = self.exchange().await?;
        if value.len() == crate::load::VALUE_BYTES {
            return Ok(());
        }
        Err(format!("a value of {} bytes", value.len()))
    }

    async fn swap(&mut self, key: &str, old: &str, new: &str) -> Result<(), String> {
        let body = format!("{{\"expected\":\"{old}\",\"value\":\"{new}\"}}");
        let json = "content-type: application/json\r\n";
        self.begin(format_args!("POST /v1/kv/{key}/cas"), json, body.as_bytes());
        let body = self.exchange().await?;
        if says(body, "\"swapped\":true") {
            return Ok(());
        }
        Err(format!("not swapped: {}", String::from_utf8_lossy(body)))
    }
}
