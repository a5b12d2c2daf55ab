use std::collections::BTreeMap;

use crate::{Error, Needs, Shape};

/// What was observed of a cache and of its heads, in layer-major order. Whatever no
/// policy needs may be empty.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// The extent of what follows.
    pub shape: Shape,
    /// Keys after rotary embedding, `[layers * kv_heads][tokens * head_dim]`.
    pub keys: Vec<&'a [f32]>,
    /// Attention summed over the prefill's queries, `[layers * query_heads][tokens]`.
    pub accumulated: Vec<&'a [f32]>,
    /// For each window length, the mean attention of that many last queries (of all
    /// queries where there are fewer), `[layers * query_heads][tokens]`. Window 1 is the last query's row.
    pub windows: BTreeMap<usize, Vec<&'a [f32]>>,
    /// Attention that the continuation's queries pay under full attention,
    /// `[layers * query_heads][tokens]`. Only oracles read it.
    pub future: Vec<&'a [f32]>,
    /// Calibrated attention entropies in bits, `[layers * query_heads]`.
    pub entropy: &'a [f64],
}

impl<'a> Observation<'a> {
    /// A cache of which nothing but its shape is known.
    pub fn of(shape: Shape) -> Observation<'a> {
        let windows = BTreeMap::new();
        Observation { shape, keys: vec![], accumulated: vec![], windows, future: vec![], entropy: &[] }
    }

    /// Refuses an observation that lacks something in `needs`, or in which that something
    /// has the wrong extent or a value that is not finite. Nothing else is looked at.
    pub(crate) fn check(&self, needs: &Needs, policy: &str) -> Result<(), Error> {
        self.shape.check()?;
        let missing = self.missing(needs);
        if !missing.is_empty() {
            return Err(Error::Unobserved { policy: policy.into(), missing: missing.join(" and ") });
        }
        if needs.keys {
            self.check_keys()?;
        }
        if needs.accumulated {
            self.check_attention("accumulated attention", &self.accumulated)?;
        }
        for window in &needs.windows {
            self.check_attention(&window_name(*window), &self.windows[window])?;
        }
        if needs.future {
            self.check_attention("future attention", &self.future)?;
        }
        if needs.entropy { self.check_entropy() } else { Ok(()) }
    }

    fn missing(&self, needs: &Needs) -> Vec<String> {
        let mut missing = Vec::new();
        let mut require = |needed: bool, there: bool, name: &str| {
            if needed && !there {
                missing.push(name.to_owned());
            }
        };
        require(needs.keys, !self.keys.is_empty(), "keys");
        require(needs.accumulated, !self.accumulated.is_empty(), "accumulated attention");
        for window in &needs.windows {
            let there = self.windows.get(window).is_some_and(|rows| !rows.is_empty());
            require(true, there, &window_name(*window));
        }
        require(needs.future, !self.future.is_empty(), "future attention");
        require(needs.entropy, !self.entropy.is_empty(), "calibrated entropies");
        missing
    }

    fn check_keys(&self) -> Result<(), Error> {
        let Shape { kv_heads, tokens, head_dim, .. } = self.shape;
        if head_dim == 0 {
            return Err(Error::Shape { reason: "keys are needed, but head_dim is 0".into() });
        }
        expect_extent("keys", self.keys.len(), self.shape.all_kv_heads())?;
        for (i, keys) in self.keys.iter().enumerate() {
            let place = || format!("keys of layer {}, KV head {}", i / kv_heads, i % kv_heads);
            check_row(place, keys, tokens * head_dim)?;
        }
        Ok(())
    }

    fn check_attention(&self, name: &str, rows: &[&[f32]]) -> Result<(), Error> {
        let Shape { query_heads, tokens, .. } = self.shape;
        expect_extent(name, rows.len(), self.shape.all_query_heads())?;
        for (i, row) in rows.iter().enumerate() {
            let place = || format!("{name} of layer {}, query head {}", i / query_heads, i % query_heads);
            check_row(place, row, tokens)?;
        }
        Ok(())
    }

    fn check_entropy(&self) -> Result<(), Error> {
        expect_extent("entropy", self.entropy.len(), self.shape.all_query_heads())?;
        check_entropies(self.entropy)
    }
}

/// Refuses entropies that are negative or not finite.
pub(crate) fn check_entropies(bits: &[f64]) -> Result<(), Error> {
    match bits.iter().position(|h| !h.is_finite() || *h < 0.0) {
        Some(head) => Err(Error::Entropy { head, value: bits[head] }),
        None => Ok(()),
    }
}

fn window_name(window: usize) -> String {
    match window {
        1 => "attention of the last query".into(),
        _ => format!("attention of the last {window} queries"),
    }
}

fn expect_extent(what: &str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Extent { what: what.into(), found, expected }) }
}

fn check_row(place: impl Fn() -> String, row: &[f32], expected: usize) -> Result<(), Error> {
    if row.len() != expected {
        return Err(Error::Extent { what: place(), found: row.len(), expected });
    }
    match row.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(Error::NotFinite { what: format!("{} at index {at}", place()), value: row[at] }),
        None => Ok(()),
    }
}
