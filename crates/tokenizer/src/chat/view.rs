//! Lists that print as Python's views of mappings and ranges do.

use std::{fmt, sync::Arc};

use minijinja::{
    Value,
    value::{Enumerator, Object, ObjectRepr},
};

use super::python_text::represent;

/// A list of items with the text that Python prints for it.
#[derive(Debug)]
pub(super) struct View {
    text: String,
    items: Vec<Value>,
    is_sequence: bool,
}

impl View {
    /// Returns the view that a method of a mapping returns: `keys`, `values` or `items`.
    pub(super) fn from_mapping(method: &str, items: Vec<Value>) -> View {
        let text = format!("dict_{method}({})", represent(&Value::from(items.clone())));
        View { text, items, is_sequence: false }
    }

    /// Returns a range of numbers.
    pub(super) fn range(text: String, items: Vec<Value>) -> View {
        View { text, items, is_sequence: true }
    }
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.is_sequence { ObjectRepr::Seq } else { ObjectRepr::Iterable }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        if self.is_sequence {
            Enumerator::Seq(self.items.len())
        } else {
            Enumerator::Values(self.items.clone())
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
