//! Detection and choice of the instruction set, and a macro that compiles a function once for each vector
//! width.

use std::{env, sync::OnceLock};

#[cfg(target_arch = "x86_64")]
use crate::extension::Extension;

/// The environment variable that overrides the instruction set.
const VARIABLE: &str = "BITKV_ISA";

/// An instruction set for which there are kernels. A processor that has one of these sets also has those
/// before it, if they belong to its architecture.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Isa {
    /// Plain loops, the reference implementation.
    Scalar,
    /// NEON with its dot products, on aarch64.
    Neon,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL, with VNNI and BF16 if the machine has them.
    Avx512,
    /// The int8 and bf16 tiles of AMX, in addition to AVX-512.
    Amx,
}

impl Isa {
    /// Returns the name that `BITKV_ISA` and records use.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Amx => "amx",
        }
    }

    /// Returns every instruction set that works on this machine, slowest first.
    pub fn available() -> &'static [Isa] {
        static AVAILABLE: OnceLock<Vec<Isa>> = OnceLock::new();
        AVAILABLE.get_or_init(detect)
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The error for a value of `BITKV_ISA` that is not an instruction set of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownIsa(String);

impl std::fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
        write!(
            f,
            "{VARIABLE} is {:?}; this machine has {}: use one of them or unset it",
            self.0,
            names.join(", ")
        )
    }
}

impl std::error::Error for UnknownIsa {}

/// Returns the instruction set that kernels use: the one that `BITKV_ISA` names, or the fastest
/// [available](Isa::available) one.
///
/// An unknown name is ignored here; programs call [`check_isa`] first to reject it.
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| choose(env::var(VARIABLE).ok().as_deref()).unwrap_or_else(|_| best()))
}

/// Checks `BITKV_ISA` and returns the instruction set to use.
///
/// # Errors
/// Returns an error if `BITKV_ISA` is set but does not name an instruction set of this machine.
pub fn check_isa() -> Result<Isa, UnknownIsa> {
    choose(env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned()).as_deref())
}

/// Returns the instruction set called `name`, or the fastest one if there is no name.
fn choose(name: Option<&str>) -> Result<Isa, UnknownIsa> {
    let Some(name) = name else { return Ok(best()) };
    let found = Isa::available().iter().find(|isa| isa.name() == name);
    found.copied().ok_or_else(|| UnknownIsa(name.to_owned()))
}

fn best() -> Isa {
    *Isa::available().last().expect("plain loops run everywhere")
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Vec<Isa> {
    let mut found = vec![Isa::Scalar];
    if Extension::Avx2.works() {
        found.push(Isa::Avx2);
        if Extension::Avx512.works() {
            found.push(Isa::Avx512);
            if [Extension::Vnni, Extension::Bf16, Extension::Tiles].into_iter().all(Extension::works) {
                found.push(Isa::Amx);
            }
        }
    }
    found
}

#[cfg(target_arch = "aarch64")]
fn detect() -> Vec<Isa> {
    match std::arch::is_aarch64_feature_detected!("dotprod") {
        true => vec![Isa::Scalar, Isa::Neon],
        false => vec![Isa::Scalar],
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Vec<Isa> {
    vec![Isa::Scalar]
}

/// The vector width that a loop is compiled for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// The baseline of the target (SSE2 on x86-64).
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

/// Returns the vector width of [`isa`].
pub fn level() -> Level {
    match isa() {
        Isa::Scalar | Isa::Neon => Level::Portable,
        Isa::Avx2 => Level::Avx2,
        Isa::Avx512 | Isa::Amx => Level::Avx512,
    }
}

/// Returns the names of the relevant CPU features that work on this machine, for the manifest of a run.
pub fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let present = [
            ("avx2", Extension::Avx2.works()),
            ("fma", Extension::Avx2.works()),
            ("f16c", Extension::Halves.works()),
            ("avx512f", Extension::Avx512.works()),
            ("avx512vnni", Extension::Vnni.works()),
            ("avx512bf16", Extension::Bf16.works()),
            ("amx", Extension::Tiles.works()),
        ];
        present.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Isa::available().iter().map(|isa| isa.name()).collect()
}

/// Compiles the body of a function once for each [`Level`] and chooses one at run time.
///
/// Rust never contracts `a * b + c` on its own, so all levels give the same bits as long as the body fixes
/// the order of summation.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "one pass over all its operands")]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[allow(clippy::too_many_arguments)]
            #[inline(always)]
            fn portable($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { portable($($arg),*) }
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { portable($($arg),*) }
                match $crate::simd::level() {
                    // SAFETY: `level` found these features on this machine.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Portable => {}
                }
            }
            portable($($arg),*)
        }
    };
}

pub(crate) use dispatch;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_of_this_machine_can_be_chosen() {
        assert_eq!(Isa::available()[0], Isa::Scalar);
        assert!(Isa::available().is_sorted());
        for isa in Isa::available() {
            assert_eq!(choose(Some(isa.name())), Ok(*isa));
        }
        assert_eq!(choose(None), Ok(best()));
    }

    #[test]
    fn an_unknown_instruction_set_is_named_in_the_error() {
        let error = choose(Some("sse9")).unwrap_err().to_string();
        assert!(error.starts_with(r#"BITKV_ISA is "sse9"; this machine has scalar"#), "{error}");
        assert!(error.ends_with("use one of them or unset it"), "{error}");
    }
}
