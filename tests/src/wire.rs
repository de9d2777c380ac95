//! HTTP as it is on the wire: for what a well-behaved client cannot say.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// One connection to an API.
#[derive(Debug)]
pub struct Wire {
    stream: BufReader<TcpStream>,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status, code and outcome, if it is a problem in the form that every problem has.
    #[must_use]
    pub fn problem(&self) -> Option<(u16, String, String)> {
        let body = self.json();
        let text = |field: &str| body[field].as_str().map(str::to_owned);
        let whole = self.header("content-type") == Some("application/problem+json")
            && body["status"] == self.status
            && body["meta"]["node"].is_string()
            && ["type", "title", "detail"].iter().all(|field| body[field].is_string());
        whole.then(|| Some((self.status, text("code")?, text("outcome")?))).flatten()
    }
}

impl Wire {
    /// Connects to `address`.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // Only a broken promise reaches it.
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request with a body; `target` is sent as it is, `head` are lines of headers.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn ask(&mut self, method: &str, target: &str, head: &str, body: &[u8]) -> io::Result<()> {
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: q\r\ncontent-length: {length}\r\n{head}\r\n"
        );
        self.send(head.as_bytes())?;
        self.send(body)
    }

    /// Receives one answer, to a request that was not `HEAD`.
    ///
    /// # Errors
    ///
    /// Those of the operating system; `UnexpectedEof` if the connection ends before it is whole;
    /// `InvalidData` if it has no length.
    pub fn receive(&mut self) -> io::Result<Reply> {
        let mut reply = self.receive_head()?;
        self.receive_body(&mut reply)?;
        Ok(reply)
    }

    /// Receives an answer without its body: all there is of an answer to `HEAD`.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_head(&mut self) -> io::Result<Reply> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        Ok(Reply { status, headers, body: Vec::new() })
    }

    /// Receives the body of an answer whose head was received.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_body(&mut self, reply: &mut Reply) -> io::Result<()> {
        let length = reply.header("content-length").and_then(|text| text.parse().ok());
        reply.body.resize(length.ok_or(io::ErrorKind::InvalidData)?, 0);
        self.stream.read_exact(&mut reply.body)
    }

    /// Sends a request and receives its answer.
    ///
    /// # Errors
    ///
    /// Those of the two steps.
    pub fn call(
        &mut self,
        method: &str,
        target: &str,
        head: &str,
        body: &[u8],
    ) -> io::Result<Reply> {
        self.ask(method, target, head, body)?;
        self.receive()
    }

    /// Whether the other side closes the connection without another word.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
