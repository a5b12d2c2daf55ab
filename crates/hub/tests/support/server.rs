//! An HTTP/1.1 server that answers one request per connection.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A request. Its header names are in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn is(&self, method: &str, path_end: &str) -> bool {
        self.method == method && self.path.ends_with(path_end)
    }

    fn read(stream: &TcpStream) -> Option<Request> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.into(), words.next()?.into());
        let mut headers = BTreeMap::new();
        for line in lines {
            let line = line.ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
        }
        Some(Request { method, path, headers })
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The number of bytes of the body after which the connection closes; `None` sends the whole body.
    pub(crate) break_after: Option<usize>,
    /// Whether the answer has its length; otherwise the body ends with the connection.
    pub(crate) sized: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: vec![], body: body.into(), break_after: None, sized: true }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn write(&self, head: bool, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut text = format!("HTTP/1.1 {} Test\r\nConnection: close\r\n", self.status);
        if self.sized && !self.headers.iter().any(|(name, _)| name == "Content-Length") {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        stream.write_all((text + "\r\n").as_bytes())?;
        let sent = if head { 0 } else { self.break_after.unwrap_or(self.body.len()) };
        stream.write_all(&self.body[..sent])
    }
}

/// A server on an unused port. It runs until it is dropped.
pub(crate) struct Server {
    port: u16,
    log: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (answer, seen, stopped) = (Arc::new(answer), log.clone(), stop.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, seen) = (answer.clone(), seen.clone());
                thread::spawn(move || {
                    let Some(request) = Request::read(&stream) else { return };
                    let reply = answer(&request);
                    seen.lock().expect("the log").push(request.clone());
                    // A client may close the connection early.
                    let _ = reply.write(request.method == "HEAD", &stream);
                });
            }
        });
        Server { port, log, stop, thread: Some(thread) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().expect("the log").clone()
    }

    /// The requests with this method whose path ends in `path_end`.
    pub(crate) fn asked(&self, method: &str, path_end: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.is(method, path_end)).collect()
    }
}

impl Server {
    /// Stops the server. Its port then refuses connections.
    pub(crate) fn close(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.store(true, Ordering::SeqCst);
        // This wakes the thread, which waits for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        thread.join().expect("the server's thread");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}
