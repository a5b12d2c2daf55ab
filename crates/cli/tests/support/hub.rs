//! A local server that imitates the hub and has one model, `org/tiny`.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use bitkv_record::sha256;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The names and contents of files.
pub(crate) type Files = Vec<(&'static str, Vec<u8>)>;

/// A server that runs until it is dropped.
pub(crate) struct Hub {
    port: u16,
    requests: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    /// Starts a hub with these files. The content of the file `damaged` does not match its checksum.
    pub(crate) fn start(files: Files, damaged: &'static str) -> Hub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (requests.clone(), stop.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                answer(&stream, &files, damaged);
            }
        });
        Hub { port, requests, stop, thread: Some(thread) }
    }

    /// The value for `HF_ENDPOINT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The connection wakes the thread, which waits for one.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Answers one request of a connection. A client may close it early.
fn answer(mut stream: &TcpStream, files: &Files, damaged: &str) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    lines.find(String::is_empty);
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, etag, body) = found(path, files, damaged);
    let head = format!(
        "HTTP/1.1 {status} Test\r\nConnection: close\r\nContent-Length: {}\r\nX-Repo-Commit: {COMMIT}\r\n{etag}\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    if method != "HEAD" {
        let _ = stream.write_all(&body);
    }
}

fn found(path: &str, files: &Files, damaged: &str) -> (u16, String, Vec<u8>) {
    if path.starts_with("/api/models/org/tiny/revision/") {
        let siblings: Vec<_> = files.iter().map(|(name, _)| serde_json::json!({"rfilename": name})).collect();
        let listing = serde_json::json!({"id": "org/tiny", "sha": COMMIT, "siblings": siblings});
        return (200, String::new(), listing.to_string().into_bytes());
    }
    let file = path.strip_prefix("/org/tiny/resolve/").and_then(|rest| rest.split_once('/'));
    match file.and_then(|(_, name)| files.iter().find(|file| file.0 == name)) {
        None => (404, String::new(), b"not found".to_vec()),
        Some((name, content)) => {
            let (etag, mut body) = (format!("ETag: \"{}\"\r\n", sha256(content)), content.clone());
            if *name == damaged {
                body[1000] ^= 1;
            }
            (200, etag, body)
        }
    }
}
