use std::time::Duration;

use super::*;

fn in_a_pool<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn reading_goes_round_every_threads_own_part() {
    // Smaller than what is read in the time, so that each thread comes round.
    let buffer = ReadBuffer::new(3 << 20, 2);
    assert_eq!(buffer.bytes(), 3 << 20);
    for threads in [1, 2] {
        for streams in [Streams::One, Streams::Several] {
            let rate = in_a_pool(threads, || buffer.bytes_per_second(streams));
            assert!(rate.is_finite() && rate > 0.0, "{threads} {streams:?}: {rate}");
        }
    }
    assert_eq!(ReadBuffer::new(1, 5).bytes(), 5 << 20, "a piece for each thread");
}

#[test]
#[should_panic(expected = "made for 1 threads")]
fn a_pool_larger_than_the_buffers() {
    let buffer = ReadBuffer::new(1, 1);
    in_a_pool(2, || buffer.bytes_per_second(Streams::One));
}

#[test]
fn a_rate_is_that_of_the_work() {
    // Two units in at least a millisecond each: never more than 2,000 a second and thread.
    let work = |_| {
        std::thread::sleep(Duration::from_millis(1));
        2
    };
    let rate = in_a_pool(2, || rate(&work));
    assert_eq!(rate_of(|| None), None);
    assert!(rate > 0.0 && rate <= 4000.0, "{rate}");
}
