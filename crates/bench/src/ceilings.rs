//! Measures the ceilings of the machine, bytes read and operations per second, between the passes of the
//! tests.

mod rate;
mod read;

use bitkv_kernels::{
    Isa,
    ceilings::{Dot, multiply_and_add, multiply_bf16_tiles},
};
use bitkv_record::{Ceilings, Range};
use rayon::ThreadPool;

use self::{
    rate::{rate, rate_of},
    read::{ReadBuffer, Streams},
};

/// The size of the memory that is read, in bytes: far more than a last-level cache holds. Unit tests run in
/// parallel and use less.
const READ_BYTES: usize = if cfg!(test) { 1 << 24 } else { 1 << 30 };

/// Collects the ceilings of every pass, for each number of threads.
pub(crate) struct Machine {
    memory: ReadBuffer,
    /// The ceilings of every pass, `[numbers of threads][passes]`.
    passes: Vec<Vec<Ceilings>>,
}

impl Machine {
    pub(crate) fn new(threads: &[usize]) -> Machine {
        let most = threads.iter().copied().max().unwrap_or(1);
        Machine { memory: ReadBuffer::new(READ_BYTES, most), passes: vec![Vec::new(); threads.len()] }
    }

    /// Measures the ceilings once on each pool.
    pub(crate) fn measure(&mut self, pools: &[ThreadPool]) {
        for (pool, passes) in pools.iter().zip(&mut self.passes) {
            passes.push(pool.install(|| once(&self.memory)));
        }
    }

    /// Returns the medians over all passes, for each number of threads.
    pub(crate) fn medians(&self) -> Vec<Ceilings> {
        self.passes.iter().map(|passes| median(passes)).collect()
    }
}

fn once(memory: &ReadBuffer) -> Ceilings {
    let one = memory.bytes_per_second(Streams::One);
    let several = memory.bytes_per_second(Streams::Several);
    let [plain, avx2, vnni256, vnni512, amx] =
        [Dot::Plain, Dot::Avx2, Dot::Vnni256, Dot::Vnni512, Dot::Amx].map(|dot| rate_of(|| dot.run()));
    let vectors = [plain, avx2, vnni256, vnni512];
    Ceilings {
        threads: rayon::current_num_threads(),
        read_bytes_per_second: one.max(several),
        read_one_stream_bytes_per_second: one,
        int8_ops_per_second: vectors.into_iter().flatten().fold(0.0, f64::max),
        int8_avx2_ops_per_second: avx2,
        int8_vnni256_ops_per_second: vnni256,
        int8_vnni512_ops_per_second: vnni512,
        amx_int8_ops_per_second: amx,
        amx_bf16_ops_per_second: rate_of(multiply_bf16_tiles),
        f32_ops_per_second: rate(&|_| multiply_and_add()),
    }
}

fn median(passes: &[Ceilings]) -> Ceilings {
    let all = |of: fn(&Ceilings) -> Option<f64>| {
        let values: Vec<f64> = passes.iter().filter_map(of).collect();
        Range::new(&values).map(|range| range.median)
    };
    let always = |of: fn(&Ceilings) -> Option<f64>| all(of).unwrap_or_default();
    Ceilings {
        threads: passes.first().map_or(0, |c| c.threads),
        read_bytes_per_second: always(|c| Some(c.read_bytes_per_second)),
        read_one_stream_bytes_per_second: always(|c| Some(c.read_one_stream_bytes_per_second)),
        int8_ops_per_second: always(|c| Some(c.int8_ops_per_second)),
        int8_avx2_ops_per_second: all(|c| c.int8_avx2_ops_per_second),
        int8_vnni256_ops_per_second: all(|c| c.int8_vnni256_ops_per_second),
        int8_vnni512_ops_per_second: all(|c| c.int8_vnni512_ops_per_second),
        amx_int8_ops_per_second: all(|c| c.amx_int8_ops_per_second),
        amx_bf16_ops_per_second: all(|c| c.amx_bf16_ops_per_second),
        f32_ops_per_second: always(|c| Some(c.f32_ops_per_second)),
    }
}

/// The int8 ceiling of an instruction set's ternary products.
pub(crate) fn int8_of(isa: Isa, ceilings: &Ceilings) -> Option<f64> {
    match isa {
        Isa::Amx => ceilings.amx_int8_ops_per_second,
        Isa::Avx512 => ceilings.int8_vnni512_ops_per_second.or(ceilings.int8_avx2_ops_per_second),
        Isa::Avx2 => ceilings.int8_avx2_ops_per_second,
        Isa::Neon | Isa::Scalar => Some(ceilings.int8_ops_per_second),
    }
}

#[cfg(test)]
mod tests {
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
}
