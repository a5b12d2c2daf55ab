//! Tests of transfers that break off, and of two transfers at once.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Barrier, Mutex},
    thread,
};

use bitkv_hub::Error;
use support::{
    Reply, Repository, Request, Server, fetch, names, settings,
    weights::{BREAK, SIZE, WEIGHTS, assert_whole, blobs, partial_file, ranges, spoilt},
};
use tempfile::tempdir;

#[test]
fn a_call_resumes_after_every_break_as_long_as_it_makes_progress() {
    const STEP: usize = 100_000;
    let (repository, server) = spoilt(|_, _, mut reply| {
        reply.break_after = (reply.body.len() > STEP).then_some(STEP);
        reply
    });
    let cache = tempdir().expect("a folder");
    let mut settings = settings(&server, cache.path());
    settings.attempts = 2;
    let (fetched, listener) = fetch("org/name", &settings);
    assert_whole(&fetched.expect("fetched"), cache.path(), &repository);
    let expected = (0..SIZE / STEP).map(|i| (i > 0).then(|| format!("bytes={}-", i * STEP)));
    assert_eq!(ranges(&server), expected.collect::<Vec<_>>());
    let weights = listener.reached.iter().rev().take_while(|&&bytes| bytes > 100);
    assert!(weights.clone().is_sorted_by(|later, earlier| later > earlier));
    assert_eq!(weights.max(), Some(&(SIZE as u64)));
}

#[test]
fn a_later_call_resumes_where_a_killed_process_stopped() {
    let (repository, server) = spoilt(|_, _, reply| reply);
    let cache = tempdir().expect("a folder");
    fs::create_dir_all(blobs(cache.path())).expect("a folder");
    fs::write(partial_file(cache.path(), &repository), &repository.content(WEIGHTS)[..BREAK])
        .expect("written");
    let (fetched, listener) = fetch("org/name", &settings(&server, cache.path()));
    assert_whole(&fetched.expect("fetched"), cache.path(), &repository);
    assert_eq!(ranges(&server), [Some(format!("bytes={BREAK}-"))]);
    assert_eq!(listener.started.last(), Some(&(WEIGHTS.into(), SIZE as u64, BREAK as u64)));
}

#[test]
fn the_bytes_of_a_failed_call_stay_for_the_next() {
    // Every transfer breaks off at the same byte.
    let (repository, server) = spoilt(|_, request, mut reply| {
        reply.break_after = Some(if request.header("range").is_some() { 0 } else { BREAK });
        reply
    });
    let cache = tempdir().expect("a folder");
    let settings = settings(&server, cache.path());
    let error = fetch("org/name", &settings).0.expect_err("broken");
    assert!(matches!(error, Error::Broken { received, .. } if received == BREAK as u64), "{error}");
    assert!(error.to_string().contains("`model.safetensors` of org/name@main"), "{error}");
    assert_eq!(ranges(&server).len() as u32, settings.attempts, "only the first try makes progress");
    assert!(
        fs::read(partial_file(cache.path(), &repository)).expect("a partial file")
            == repository.content(WEIGHTS)[..BREAK]
    );
}

#[test]
fn a_storage_that_fails_later_is_a_break_too() {
    let (_, server) = spoilt(|count, _, mut reply| match count {
        0 => {
            reply.break_after = Some(BREAK);
            reply
        }
        _ => Reply::new(503, ""),
    });
    let cache = tempdir().expect("a folder");
    let message = fetch("org/name", &settings(&server, cache.path())).0.expect_err("broken").to_string();
    for part in ["broke off at 300000 of 700000 bytes", "status 503", "run again to resume"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_complete_partial_file_needs_no_request() {
    let (repository, server) = spoilt(|_, _, reply| reply);
    let cache = tempdir().expect("a folder");
    fs::create_dir_all(blobs(cache.path())).expect("a folder");
    fs::write(partial_file(cache.path(), &repository), repository.content(WEIGHTS)).expect("written");
    let fetched = fetch("org/name", &settings(&server, cache.path())).0.expect("fetched");
    assert_whole(&fetched, cache.path(), &repository);
    assert!(ranges(&server).is_empty());
}

#[test]
fn a_server_without_ranges_starts_over() {
    let whole = Repository::checkpoint(SIZE).content(WEIGHTS).to_vec();
    let (repository, server) = spoilt(move |count, _, _| {
        let mut reply = Reply::new(200, whole.clone());
        reply.break_after = (count == 0).then_some(BREAK);
        reply
    });
    let cache = tempdir().expect("a folder");
    let fetched = fetch("org/name", &settings(&server, cache.path())).0.expect("fetched");
    assert_whole(&fetched, cache.path(), &repository);
    assert_eq!(ranges(&server), [None, Some(format!("bytes={BREAK}-"))]);
}

#[test]
fn a_server_without_ranges_that_always_breaks_off_is_an_error() {
    let whole = Repository::checkpoint(SIZE).content(WEIGHTS).to_vec();
    let (_, server) = spoilt(move |_, _, _| {
        let mut reply = Reply::new(200, whole.clone());
        reply.break_after = Some(BREAK);
        reply
    });
    let cache = tempdir().expect("a folder");
    let settings = settings(&server, cache.path());
    let error = fetch("org/name", &settings).0.expect_err("broken");
    assert!(matches!(error, Error::Broken { .. }), "{error}");
    assert_eq!(ranges(&server).len() as u32, settings.attempts);
}

#[test]
fn a_partial_file_that_the_server_cannot_resume_is_started_again() {
    // The server sends another range or refuses the range, or the partial file is longer than the complete
    // file.
    let other_range = |count: usize, _: &Request, reply: Reply| match count {
        0 => Reply::new(206, &reply.body[1..])
            .with("Content-Range", format!("bytes {}-{}/{SIZE}", BREAK + 1, SIZE - 1)),
        _ => reply,
    };
    let refused =
        |count: usize, _: &Request, reply: Reply| if count == 0 { Reply::new(416, "") } else { reply };
    let plain = |_: usize, _: &Request, reply: Reply| reply;
    for ((repository, server), existing, requests) in
        [(spoilt(other_range), BREAK, 2), (spoilt(refused), BREAK, 2), (spoilt(plain), SIZE + 1, 1)]
    {
        let cache = tempdir().expect("a folder");
        fs::create_dir_all(blobs(cache.path())).expect("a folder");
        let long = [repository.content(WEIGHTS), b"too much"].concat();
        fs::write(partial_file(cache.path(), &repository), &long[..existing]).expect("written");
        let fetched = fetch("org/name", &settings(&server, cache.path())).0.expect("fetched");
        assert_whole(&fetched, cache.path(), &repository);
        let asked = ranges(&server);
        assert_eq!((asked.len(), asked.last()), (requests, Some(&None)));
    }
}

#[test]
fn a_blob_of_another_length_is_replaced() {
    let (repository, server) = spoilt(|_, _, reply| reply);
    let cache = tempdir().expect("a folder");
    fs::create_dir_all(blobs(cache.path())).expect("a folder");
    fs::write(blobs(cache.path()).join(repository.etag(WEIGHTS)), "half").expect("written");
    let fetched = fetch("org/name", &settings(&server, cache.path())).0.expect("fetched");
    assert_whole(&fetched, cache.path(), &repository);
}

#[test]
fn transient_statuses_are_tried_again() {
    // Every address answers from the third request on.
    let (repository, asked) = (Repository::checkpoint(9), Mutex::new(BTreeMap::new()));
    let server = Server::start(move |request| {
        let mut asked = asked.lock().expect("the counts");
        let count = asked.entry((request.method.clone(), request.path.clone())).or_insert(0);
        *count += 1;
        match *count {
            1 => Reply::new(503, ""),
            2 => Reply::new(429, ""),
            _ => repository.answer(request),
        }
    });
    let cache = tempdir().expect("a folder");
    let mut settings = settings(&server, cache.path());
    fetch("org/name", &settings).0.expect("the third request succeeds");
    settings.attempts = 1;
    let error = fetch("org/name@dev", &settings).0.expect_err("one try");
    assert!(matches!(error, Error::Status { status: 503, .. }), "{error}");
}

#[test]
fn two_calls_at_once_download_a_file_once() {
    let start = Arc::new(Barrier::new(2));
    let (repository, server) = spoilt(|_, _, reply| reply);
    let cache = tempdir().expect("a folder");
    let settings = settings(&server, cache.path());
    thread::scope(|scope| {
        for _ in 0..2 {
            let (settings, start) = (settings.clone(), start.clone());
            let (repository, cache) = (&repository, cache.path());
            scope.spawn(move || {
                start.wait();
                let fetched = fetch("org/name", &settings).0.expect("fetched");
                assert_whole(&fetched, cache, repository);
            });
        }
    });
    assert_eq!(ranges(&server), [None]);
    assert_eq!(names(&blobs(cache.path())).len(), 4);
}
