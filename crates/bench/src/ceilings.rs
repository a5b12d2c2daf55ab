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
    rate::{rate, rate_if_supported},
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
            passes.push(pool.install(|| measure_once(&self.memory)));
        }
    }

    /// Returns the medians over all passes, for each number of threads.
    pub(crate) fn medians(&self) -> Vec<Ceilings> {
        self.passes.iter().map(|passes| median(passes)).collect()
    }
}

fn measure_once(memory: &ReadBuffer) -> Ceilings {
    let one = memory.bytes_per_second(Streams::One);
    let several = memory.bytes_per_second(Streams::Several);
    let [plain, avx2, vnni256, vnni512, amx] = [Dot::Plain, Dot::Avx2, Dot::Vnni256, Dot::Vnni512, Dot::Amx]
        .map(|dot| rate_if_supported(|| dot.run()));
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
        amx_bf16_ops_per_second: rate_if_supported(multiply_bf16_tiles),
        f32_ops_per_second: rate(&|_| multiply_and_add()),
    }
}

fn median(passes: &[Ceilings]) -> Ceilings {
    let optional = |value: fn(&Ceilings) -> Option<f64>| {
        let values: Vec<f64> = passes.iter().filter_map(value).collect();
        Range::new(&values).map(|range| range.median)
    };
    let required = |value: fn(&Ceilings) -> Option<f64>| optional(value).unwrap_or_default();
    Ceilings {
        threads: passes.first().map_or(0, |c| c.threads),
        read_bytes_per_second: required(|c| Some(c.read_bytes_per_second)),
        read_one_stream_bytes_per_second: required(|c| Some(c.read_one_stream_bytes_per_second)),
        int8_ops_per_second: required(|c| Some(c.int8_ops_per_second)),
        int8_avx2_ops_per_second: optional(|c| c.int8_avx2_ops_per_second),
        int8_vnni256_ops_per_second: optional(|c| c.int8_vnni256_ops_per_second),
        int8_vnni512_ops_per_second: optional(|c| c.int8_vnni512_ops_per_second),
        amx_int8_ops_per_second: optional(|c| c.amx_int8_ops_per_second),
        amx_bf16_ops_per_second: optional(|c| c.amx_bf16_ops_per_second),
        f32_ops_per_second: required(|c| Some(c.f32_ops_per_second)),
    }
}

/// Returns the int8 ceiling that applies to the ternary products of an instruction set, in operations per
/// second.
pub(crate) fn int8_ceiling(isa: Isa, ceilings: &Ceilings) -> Option<f64> {
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
    fn every_thread_reads_its_own_part_repeatedly() {
        // The buffer is smaller than what is read in the time of a measurement, so that each thread wraps
        // around.
        let buffer = ReadBuffer::new(3 << 20, 2);
        assert_eq!(buffer.bytes(), 3 << 20);
        for threads in [1, 2] {
            for streams in [Streams::One, Streams::Several] {
                let rate = in_a_pool(threads, || buffer.bytes_per_second(streams));
                assert!(rate.is_finite() && rate > 0.0, "{threads} {streams:?}: {rate}");
            }
        }
        assert_eq!(ReadBuffer::new(1, 5).bytes(), 5 << 20, "one piece for each thread");
    }

    #[test]
    #[should_panic(expected = "made for 1 threads")]
    fn a_pool_with_more_threads_than_the_buffer_panics() {
        let buffer = ReadBuffer::new(1, 1);
        in_a_pool(2, || buffer.bytes_per_second(Streams::One));
    }

    #[test]
    fn a_rate_counts_the_units_of_the_work() {
        // The work does two units in at least one millisecond: a thread does at most 2,000 units per second.
        let work = |_| {
            std::thread::sleep(Duration::from_millis(1));
            2
        };
        let rate = in_a_pool(2, || rate(&work));
        assert_eq!(rate_if_supported(|| None), None);
        assert!(rate > 0.0 && rate <= 4000.0, "{rate}");
    }
}
