//! Every target reads its seeds and random changes of them. An input that panics, or takes longer than five
//! seconds, is written to a file that the message names.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bitkv_fuzz::{TARGETS, Target};
use bitkv_stats::Rng;

/// The longest time for one input.
const LONGEST: Duration = Duration::from_secs(5);
/// The largest input that is made, in bytes.
const LARGEST: usize = 1 << 15;

/// Texts that mean something to some reader.
const WORDS: [&[u8]; 24] = [
    b"0",
    b"-1",
    b"18446744073709551615",
    b"9223372036854775808",
    b"1e308",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b"\"\"",
    b"{{",
    b"}}",
    b"{%",
    b"%}",
    b"(a+)+$",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\0\0\0\0\0\0\0\0",
    b",",
    b"\n",
    b"+",
    b"|not ",
    b"\xe2\x80\xae",
    b"GGUF",
    b"format",
];

fn seconds() -> f64 {
    std::env::var("BITKV_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0)
}

/// Returns the seeds of a target, in alphabetical order.
fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/hostile").join(target.name);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(seeds.len() >= 3, "{} has too few seeds", folder.display());
    seeds
}

/// Returns a seed with a few random changes.
fn changed(seeds: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(4) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(32)).min(input.len());
        match random.below(7) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.below(256) as u8,
            2 => drop(input.drain(at..end)),
            3 => drop(input.splice(at..at, input[at..end].to_vec().repeat(1 + random.below(40)))),
            4 => drop(input.splice(at..end, WORDS[random.below(WORDS.len())].iter().copied())),
            5 => input.truncate(at),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                drop(input.splice(at.., other[from..].iter().copied()));
            }
        }
    }
    input.truncate(LARGEST);
    input
}

/// The input that a thread reads now, and since when, in milliseconds after the start.
struct Current {
    input: Mutex<Vec<u8>>,
    began: AtomicU64,
}

/// Reads inputs until the time is over. Returns their number.
fn fuzz(target: &Target) -> usize {
    let (seeds, start) = (seeds(target), Instant::now());
    let current = Current { input: Mutex::default(), began: AtomicU64::new(u64::MAX) };
    let elapsed = || start.elapsed().as_millis() as u64;
    let mut random = Rng::new(20_261_201);
    let mut count = 0;
    thread::scope(|scope| {
        let (done, over) = std::sync::mpsc::channel::<()>();
        scope.spawn(|| watch(target, &current, &elapsed, over));
        let reader = scope.spawn(|| {
            while count < seeds.len() || start.elapsed().as_secs_f64() < seconds() {
                let input = seeds.get(count).cloned().unwrap_or_else(|| changed(&seeds, &mut random));
                *current.input.lock().unwrap() = input.clone();
                current.began.store(elapsed(), Ordering::SeqCst);
                (target.read)(&input);
                current.began.store(u64::MAX, Ordering::SeqCst);
                count += 1;
            }
        });
        let ended = reader.join();
        drop(done);
        if ended.is_err() {
            panic!("{} panics on {}", target.name, kept(target, &current).display());
        }
    });
    count
}

/// Ends the process if one input takes too long. Returns when the other end of the channel is closed.
fn watch(target: &Target, current: &Current, elapsed: &dyn Fn() -> u64, over: std::sync::mpsc::Receiver<()>) {
    while over.recv_timeout(Duration::from_millis(100)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        let began = current.began.load(Ordering::SeqCst);
        if began != u64::MAX && elapsed().saturating_sub(began) > LONGEST.as_millis() as u64 {
            eprintln!("{} takes too long for {}", target.name, kept(target, current).display());
            std::process::abort();
        }
    }
}

/// Writes the input of now to a file, and returns its path.
fn kept(target: &Target, current: &Current) -> PathBuf {
    let path = std::env::temp_dir().join(format!("bitkv-fuzz-{}-{}", target.name, std::process::id()));
    fs::write(&path, &*current.input.lock().unwrap()).unwrap();
    path
}

macro_rules! targets {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            let target = TARGETS.iter().find(|target| target.name == stringify!($name)).unwrap();
            println!("{}: {} inputs", target.name, fuzz(target));
        }
    )*};
}

targets!(documents, gguf, journals, policies, rows, safetensors, templates, tensors, tokenizers);
