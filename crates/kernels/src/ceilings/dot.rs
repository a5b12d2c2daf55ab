//! Peak rate of int8 products that are summed in i32.

#[cfg(target_arch = "x86_64")]
use super::{dot_x86, tiles};
use crate::simd::dispatch;

/// The instructions of one loop that multiplies unsigned bytes by signed bytes and sums the products.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Dot {
    /// A plain loop, as the compiler vectorises it.
    Plain,
    /// `vpmaddubsw`, `vpmaddwd` and `vpaddd` on 256 bits.
    Avx2,
    /// `vpdpbusd` on 256 bits.
    Vnni256,
    /// `vpdpbusd` on 512 bits.
    Vnni512,
    /// `tdpbusd`, with four tile loads for four products.
    Amx,
}

impl Dot {
    /// Returns the instructions that this machine has, narrowest first.
    pub fn available() -> Vec<Dot> {
        let mut found = vec![Dot::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            use crate::{Isa, features};
            let is_available = |isa: Isa| Isa::available().contains(&isa);
            found.extend(is_available(Isa::Avx2).then_some(Dot::Avx2));
            if is_available(Isa::Avx512) && features().contains(&"avx512vnni") {
                found.extend([Dot::Vnni256, Dot::Vnni512]);
            }
            found.extend(tiles::available().then_some(Dot::Amx));
        }
        found
    }

    /// Runs the loop once. Vector instructions use only registers, not memory.
    ///
    /// Returns the number of multiplications and additions, or `None` if the machine lacks the instructions.
    pub fn run(self) -> Option<u64> {
        if !Dot::available().contains(&self) {
            return None;
        }
        Some(match self {
            Dot::Plain => plain(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: AVX2 is available.
            Dot::Avx2 => unsafe { dot_x86::avx2() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: AVX-512 with VL and VNNI is available.
            Dot::Vnni256 => unsafe { dot_x86::vnni256() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Dot::Vnni512 => unsafe { dot_x86::vnni512() },
            #[cfg(target_arch = "x86_64")]
            Dot::Amx => tiles::int8(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("only x86-64 lists these instructions"),
        })
    }
}

/// Runs [`plain_dot`] and returns the number of operations.
fn plain() -> u64 {
    const LENGTH: usize = 4096;
    let (x, codes) = (std::hint::black_box([3i8; LENGTH]), std::hint::black_box([2u8; LENGTH]));
    for _ in 0..8 {
        std::hint::black_box(plain_dot(&x, std::hint::black_box(&codes)));
    }
    8 * 2 * LENGTH as u64
}

dispatch! {
fn plain_dot(x: &[i8], codes: &[u8]) -> i32 {
    x.iter().zip(codes).map(|(x, code)| i32::from(*x) * i32::from(*code)).sum()
}
}
