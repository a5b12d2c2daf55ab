//! What a method says of itself, and the macro that declares one.

use crate::{Options, Reads, Role};

/// A method that a policy can be made of, as registries and lists know it. [`method!`](crate::method!)
/// implements it.
pub trait Method: Options + Reads + 'static {
    /// The name that a policy selects it by: lower-case letters, digits and hyphens.
    const NAME: &'static str;
    /// Where it comes from: authors, year, and an address or a number.
    const SOURCE: &'static str;
    /// What it does, in one line.
    const DESCRIPTION: &'static str;
    /// The role that it gives to a policy.
    const ROLE: Role = Role::Method;
    /// Whether it reads what a deployed cache could not have known, or chooses by it.
    const ORACLE: bool = matches!(Self::ROLE, Role::Oracle);
    /// Whether a scorer pools its group as the option `pool` says; if not it has no such option.
    const POOLS: bool = true;
    /// The score of a token, the share of a head, or what a rule keeps, as documentation writes it.
    const FORMULA: &'static str = Self::DESCRIPTION;
    /// Where it differs from its source.
    const DIFFERENCES: &'static str = "";
}

/// Declares a method once: its options, each with its default and what is asked of it; what it reads; the
/// name that a policy selects it by, where it comes from, and what it does, in one line.
///
/// ```
/// use bitkv_evict::{Head, Need, Policy, Scorer, allocators::Uniform, checks, method};
///
/// method! {
///     /// Keeps the tokens that the last queries attended to, the earlier of them a little more.
///     pub struct Leaning {
///         /// How many of the last queries are asked.
///         pub window: usize = 32 => checks::window,
///         /// What a token loses for every position.
///         pub slope: f64 = 0.0,
///     }
///     needs(self) [Need::Window(self.window)];
///     "leaning" from "this example", "the tokens that the last queries attended to"
/// }
///
/// impl Scorer for Leaning {
///     fn score(&self, head: &Head<'_>, out: &mut [f32]) {
///         let row = head.pooled(Need::Window(self.window));
///         for ((score, &attention), &position) in out.iter_mut().zip(row.iter()).zip(head.positions().iter()) {
///             *score = attention - self.slope as f32 * position as f32;
///         }
///     }
/// }
///
/// let leaning = Leaning { window: 8, ..Leaning::default() };
/// let policy = Policy::builder(Uniform::default(), leaning).build()?;
/// assert_eq!(policy.spec(), "uniform+leaning{window=8}");
/// # Ok::<(), bitkv_evict::Error>(())
/// ```
///
/// The type of an option has a TOML form: a number, a `bool`, a text, or an enum that derives `Deserialize`
/// and `Serialize`. After `=>` stands a function from a reference to the value to
/// `Result<(), Reason>`; see [`checks`](crate::checks). A line `check Leaning::fits;` before `needs` judges
/// options together. Without `needs`, only shape and positions are read.
///
/// After the description may follow, in this order, `role: Control`, `oracle: true`, `pools: false`,
/// `formula: "…"` and `differences: "…"`, for methods that are not as [`Method`] has it by default. A method
/// upon another, generic in it, has a name with each: `<Other> "name" from …, …;`. Without a name, it is a
/// part of others.
#[macro_export]
macro_rules! method {
    (
        $(#[$about:meta])*
        $vis:vis struct $type:ident $(<$upon:ident>)? {
            $($(#[$doc:meta])* $seen:vis $option:ident: $value:ty = $default:expr $(=> $check:expr)?),* $(,)?
        }
        $(check $all:path;)?
        $(needs($this:ident) $needs:expr;)?
        $(
            $(<$with:ty>)? $name:literal from $source:literal, $description:literal
            $(, role: $role:ident)? $(, oracle: $oracle:literal)? $(, pools: $pools:literal)?
            $(, formula: $formula:literal)? $(, differences: $differences:literal)?
        );*
    ) => {
        #[derive(Debug, $crate::derive::serde::Deserialize, $crate::derive::serde::Serialize)]
        #[serde(crate = "bitkv_evict::derive::serde", default)]
        $(#[$about])*
        $vis struct $type $(<$upon>)? {
            $($(#[$doc])* $seen $option: $value,)*
        }

        impl $(<$upon: $crate::Options>)? Default for $type $(<$upon>)? {
            fn default() -> Self {
                $type { $($option: $default),* }
            }
        }

        impl $(<$upon: $crate::Options>)? $crate::Options for $type $(<$upon>)? {
            fn check(&self) -> Result<(), $crate::Reason> {
                $($($check(&self.$option)?;)?)*
                $($all(self)?;)?
                Ok(())
            }
        }

        impl $(<$upon: $crate::Reads>)? $crate::Reads for $type $(<$upon>)? {
            $(fn needs(&$this) -> $crate::Needs {
                $needs.into()
            })?
        }

        $(
            impl $crate::Method for $type $(<$with>)? {
                const NAME: &'static str = $name;
                const SOURCE: &'static str = $source;
                const DESCRIPTION: &'static str = $description;
                $(const ROLE: $crate::Role = $crate::Role::$role;)?
                $(const ORACLE: bool = $oracle;)?
                $(const POOLS: bool = $pools;)?
                $(const FORMULA: &'static str = $formula;)?
                $(const DIFFERENCES: &'static str = $differences;)?
            }
        )*
    };
}
