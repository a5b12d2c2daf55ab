//! The metadata of a method, and the macro that declares a method.

use crate::{Options, Reads, Role};

/// The metadata of a scorer, an allocator or a rule, for registries and lists. [`method!`](crate::method!)
/// implements it.
pub trait Method: Options + Reads + 'static {
    /// The name in the specification of a policy: lower-case letters, digits and hyphens.
    const NAME: &'static str;
    /// The source: authors, year, and an address or an arXiv number.
    const SOURCE: &'static str;
    /// One sentence that says what the method does, in fewer than 100 bytes.
    const DESCRIPTION: &'static str;
    /// The role of policies made of the method.
    const ROLE: Role = Role::Method;
    /// Whether the method uses information that a deployed cache cannot have.
    const ORACLE: bool = matches!(Self::ROLE, Role::Oracle);
    /// Whether a scorer pools the rows of its query heads by the option `pool`. If not, it does not have that
    /// option.
    const POOLS: bool = true;
    /// The score of a token, the share of a head, or what a rule keeps, as documentation shows it.
    const FORMULA: &'static str = Self::DESCRIPTION;
    /// How the method differs from its source; empty if it does not.
    const DIFFERENCES: &'static str = "";
}

/// Declares a method: a struct of options, each with its default and a check; what the method reads; and its
/// name, source and description.
///
/// ```
/// use bitkv_evict::{Head, Need, Policy, Scorer, allocators::Uniform, checks, method};
///
/// method! {
///     /// Keeps the tokens that the last queries attended to, and prefers earlier tokens a little.
///     pub struct Leaning {
///         /// The number of last queries whose attention is read.
///         pub window: usize = 32 => checks::window,
///         /// How much the score falls from one position to the next.
///         pub slope: f64 = 0.0,
///     }
///     needs(self) [Need::Window(self.window)];
///     "leaning" from "this example", "Keeps the tokens that the last queries attended to."
/// }
///
/// impl Scorer for Leaning {
///     fn score(&self, head: &Head<'_>, out: &mut [f32]) {
///         let row = head.pooled(Need::Window(self.window));
///         let positions = head.positions();
///         for ((score, &attention), &position) in out.iter_mut().zip(row.iter()).zip(positions.iter()) {
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
/// - **Options.** The type of an option must have a TOML form: a number, a `bool`, a string, or an enum that
///   derives `Deserialize` and `Serialize`. After `=>` comes an optional check, a function from a reference
///   to the value to `Result<(), Reason>`; see [`checks`](crate::checks). A line `check Leaning::fits;`
///   before `needs` checks several options together.
/// - **Needs.** `needs(self)` lists the observations that the method reads. Without it, the method may read
///   only the shape and the positions.
/// - **Metadata.** The name, the source and the description are required. They may be followed, in this
///   order, by `role: Control`, `oracle: true`, `pools: false`, `formula: "…"` and `differences: "…"`.
///   [`Method`] has the defaults.
/// - **Generics.** A method that is generic in another method declares one name for each:
///   `<Other> "name" from …, …;`. A struct without a name is not a method, but a part of methods.
#[macro_export]
macro_rules! method {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $type:ident $(<$other:ident>)? {
            $($(#[$doc:meta])* $scope:vis $option:ident: $value:ty = $default:expr $(=> $check:expr)?),* $(,)?
        }
        $(check $check_all:path;)?
        $(needs($this:ident) $needs:expr;)?
        $(
            $(<$with:ty>)? $name:literal from $source:literal, $description:literal
            $(, role: $role:ident)? $(, oracle: $oracle:literal)? $(, pools: $pools:literal)?
            $(, formula: $formula:literal)? $(, differences: $differences:literal)?
        );*
    ) => {
        #[derive(Debug, $crate::derive::serde::Deserialize, $crate::derive::serde::Serialize)]
        #[serde(crate = "bitkv_evict::derive::serde", default)]
        $(#[$attribute])*
        $vis struct $type $(<$other>)? {
            $($(#[$doc])* $scope $option: $value,)*
        }

        impl $(<$other: $crate::Options>)? Default for $type $(<$other>)? {
            fn default() -> Self {
                $type { $($option: $default),* }
            }
        }

        impl $(<$other: $crate::Options>)? $crate::Options for $type $(<$other>)? {
            fn check(&self) -> Result<(), $crate::Reason> {
                $($($check(&self.$option)?;)?)*
                $($check_all(self)?;)?
                Ok(())
            }
        }

        impl $(<$other: $crate::Reads>)? $crate::Reads for $type $(<$other>)? {
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
