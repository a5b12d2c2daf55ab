//! The axes of experiments: what a definition lists, a cell combines and a row names.

use crate::definition::{AxisValue, Keys};
use crate::{Form, KvFormat, Positions, RecordError, When};
use serde::Serialize;

/// Declares the axes that every cell has beside its policy and budget: field, type, key in a definition, label.
macro_rules! axes {
    ($($(#[$doc:meta])* $field:ident: $type:ty, $key:literal, $label:literal;)+) => {
        /// The values of a cell on the axes of its experiment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
        pub struct Axes {
            $($(#[$doc])* pub $field: $type,)+
        }

        /// What an experiment lists on each axis; one value, the default, unless said otherwise.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct AxisLists {
            $($(#[$doc])* pub $field: Vec<$type>,)+
        }

        impl Default for AxisLists {
            fn default() -> Self {
                Self { $($field: vec![Default::default()],)+ }
            }
        }

        impl AxisLists {
            /// The keys of a definition.
            pub(crate) const KEYS: &'static [&'static str] = &[$($key),+];

            pub(crate) fn read(keys: &mut Keys) -> Result<Self, RecordError> {
                Ok(Self { $($field: keys.list($key, Some(vec![Default::default()]), AxisValue::read)?,)+ })
            }

            /// Every combination, the first axis outermost.
            pub fn product(&self) -> Vec<Axes> {
                let mut all = vec![Axes::default()];
                $(all = all
                    .iter()
                    .flat_map(|axes| self.$field.iter().map(move |&$field| Axes { $field, ..*axes }))
                    .collect();)+
                all
            }

            /// The place of a cell in the order of the definition.
            pub fn rank(&self, axes: &Axes) -> Vec<usize> {
                vec![$(self.$field.iter().position(|other| *other == axes.$field).unwrap_or(self.$field.len())),+]
            }
        }

        impl Axes {
            /// Name and value of every axis, as keys of rows are made of.
            pub fn values(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($field), self.$field.to_string())),+]
            }

            /// The values of the axes on which `all` differ; empty where there is only one.
            pub fn label(&self, all: &[Axes]) -> String {
                let mut parts: Vec<String> = Vec::new();
                $(if all.iter().any(|other| other.$field != self.$field) {
                    parts.push(format!($label, self.$field));
                })+
                parts.join(", ")
            }
        }

        /// The columns of the axes, for rows that have them in their field `axes`.
        macro_rules! axis_columns {
            ($row:ty) => {
                vec![$($crate::Column::<$row> {
                    name: stringify!($field),
                    measure: None,
                    need: $crate::column::Need::Optional,
                    get: |row| &row.axes.$field,
                    get_mut: |row| &mut row.axes.$field,
                }),+]
            };
        }
        pub(crate) use axis_columns;
    };
}

axes! {
    /// What the weights are run as.
    form: Form, "forms", "form {}";
    /// When the cache is compressed.
    when: When, "when", "eviction {}";
    /// Where kept keys stand.
    positions: Positions, "positions", "positions {}";
    /// How keys and values are stored.
    kv: KvFormat, "kv", "KV {}";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Form, KvFormat};

    #[test]
    fn the_first_axis_is_outermost_and_labels_name_what_differs() {
        let lists = AxisLists {
            form: vec![Form::True, Form::PlainLlama],
            kv: vec![KvFormat::F16, KvFormat::Int8],
            ..AxisLists::default()
        };
        let all = lists.product();
        let labels: Vec<String> = all.iter().map(|axes| axes.label(&all)).collect();
        assert_eq!(
            labels,
            [
                "form true, KV f16",
                "form true, KV int8",
                "form plain-llama, KV f16",
                "form plain-llama, KV int8"
            ]
        );
        assert_eq!(all[3].label(&[Axes::default()]), "form plain-llama, KV int8");
        assert_eq!(all[0].label(&all[..1]), "");
        assert_eq!(all.iter().map(|axes| lists.rank(axes)).collect::<Vec<_>>().concat().len(), 16);
        assert_eq!(lists.rank(&all[2]), [1, 0, 0, 0]);
    }
}
