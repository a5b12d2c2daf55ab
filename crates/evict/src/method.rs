/// Declares a method once: its options, each with its default and what is asked of it; what it reads; the
/// name that a policy selects it by, where it comes from, and what it does, in one line.
///
/// ```text
/// method! {
///     /// How it chooses, and where that differs from the original.
///     pub(super) struct Example {
///         /// How many of the last queries are asked.
///         window: usize = 32 => checks::window,
///     }
///     needs(self) [Need::Window(self.window)];
///     "example" from "Author et al. 2024, arXiv:0000.00000",
///     "the tokens that the last queries attended to", pools: false
/// }
/// ```
///
/// A line `check Example::fits;` before `needs` judges options together. `role`, `oracle` and `pools` are
/// for methods that are not as [`Method`](crate::registry::Method) has it. A method upon another, generic
/// in it, has a name with each: `<Other> "name" from …, …;`. Without a name, it is a part of others.
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
        );*
    ) => {
        #[derive(Debug, serde::Deserialize, serde::Serialize)]
        #[serde(default)]
        $(#[$about])*
        $vis struct $type $(<$upon>)? {
            $($(#[$doc])* $seen $option: $value,)*
        }

        impl $(<$upon: $crate::options::Options>)? Default for $type $(<$upon>)? {
            fn default() -> Self {
                $type { $($option: $default),* }
            }
        }

        impl $(<$upon: $crate::options::Options>)? $crate::options::Options for $type $(<$upon>)? {
            fn check(&self) -> Result<(), String> {
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
            impl $crate::registry::Method for $type $(<$with>)? {
                const NAME: &'static str = $name;
                const SOURCE: &'static str = $source;
                const DESCRIPTION: &'static str = $description;
                $(const ROLE: $crate::Role = $crate::Role::$role;)?
                $(const ORACLE: bool = $oracle;)?
                $(const POOLS: bool = $pools;)?
            }
        )*
    };
}
