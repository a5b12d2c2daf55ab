//! The axes of an experiment besides policy and budget: form, time of eviction, positions and KV format.
//!
//! A definition has an [`AxisLists`], with several values per axis. Each cell and its row have one [`Axes`],
//! with one value per axis.

use crate::definition::{AxisValue, Keys};
use crate::gap::Gaps;
use crate::{Form, KvFormat, Positions, When};
use serde::Serialize;

/// Declares the axes: for each one its field, type, key in a definition, and label.
macro_rules! axes {
    ($($(#[$doc:meta])* $field:ident: $type:ty, $key:literal, $label:literal;)+) => {
        /// The values of a cell on the axes of its experiment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
        pub struct Axes {
            $($(#[$doc])* pub $field: $type,)+
        }

        /// The values that an experiment lists on each axis. An axis that is not listed has only its default
        /// value.
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
            /// The keys of the axes in a definition.
            pub(crate) const KEYS: &'static [&'static str] = &[$($key),+];

            /// Reads the axes from the keys of an experiment. An axis that cannot be read is a gap and has
            /// its default value.
            pub(crate) fn read(keys: &mut Keys, gaps: &mut Gaps) -> Self {
                $(let $field = keys.list($key, Some(vec![Default::default()]), AxisValue::read);)+
                Self { $($field: gaps.value($key, $field, vec![Default::default()]),)+ }
            }

            /// Returns every combination of the listed values. The first axis varies slowest.
            pub fn product(&self) -> Vec<Axes> {
                let mut all = vec![Axes::default()];
                $(all = all
                    .iter()
                    .flat_map(|axes| self.$field.iter().map(move |&$field| Axes { $field, ..*axes }))
                    .collect();)+
                all
            }

            /// Returns the sort key that puts cells in the order of the definition: the index of the cell's
            /// value on each axis.
            pub fn rank(&self, axes: &Axes) -> Vec<usize> {
                vec![$(self.$field.iter().position(|other| *other == axes.$field).unwrap_or(self.$field.len())),+]
            }
        }

        impl Axes {
            /// Returns the name and the value of every axis, from which the keys of rows are computed.
            pub fn values(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($field), self.$field.to_string())),+]
            }

            /// Returns a label with the values of the axes on which `all` differ; empty if they do not
            /// differ.
            pub fn label(&self, all: &[Axes]) -> String {
                let mut parts: Vec<String> = Vec::new();
                $(if all.iter().any(|other| other.$field != self.$field) {
                    parts.push(format!($label, self.$field));
                })+
                parts.join(", ")
            }
        }

        /// The columns of the axes, for rows with a field `axes`.
        macro_rules! axis_columns {
            ($row:ty) => {
                vec![$($crate::Column::<$row> {
                    name: stringify!($field),
                    measure: None,
                    presence: $crate::column::Presence::Optional,
                    get: |row| &row.axes.$field,
                    get_mut: |row| &mut row.axes.$field,
                }),+]
            };
        }
        pub(crate) use axis_columns;
    };
}

axes! {
    /// The form in which the weights run.
    form: Form, "forms", "form {}";
    /// When the cache is compressed.
    when: When, "when", "eviction {}";
    /// The positions that kept keys have after eviction.
    positions: Positions, "positions", "positions {}";
    /// How keys and values are stored.
    kv: KvFormat, "kv", "KV {}";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Form, KvFormat};

    #[test]
    fn the_first_axis_varies_slowest_and_labels_show_what_differs() {
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
