//! [`top`] selects the highest scores as `torch.topk` does on a CPU, also if scores are equal.
//!
//! `torch.topk` passes the scores of a row, in their order, to `std::partial_sort` if at most one in 64 is
//! asked for, and to `std::nth_element` if not. Both exchange items, so equal scores leave their order, and
//! the ones that end among the first are selected: they are neither the first nor the last of their row. The
//! Linux builds of torch contain GNU's standard library. This module makes the same comparisons and exchanges
//! as that library.
//!
//! Sources: PyTorch 2.9, `aten/src/ATen/native/TopKImpl.h`; GCC, `bits/stl_algo.h` and `bits/stl_heap.h`;
//! Musser 1997, "Introspective sorting and selection algorithms".

use std::cmp::Ordering;

/// A score and its index in the row.
type Item = (f32, usize);

/// Returns the indices of the `count` highest of `scores`, the highest first. No score may be NaN.
pub(crate) fn top(scores: impl IntoIterator<Item = f32>, count: usize) -> Vec<usize> {
    let mut items: Vec<Item> = scores.into_iter().enumerate().map(|(i, score)| (score, i)).collect();
    let count = count.min(items.len());
    if count == 0 {
        return Vec::new();
    }
    if count * 64 <= items.len() {
        select_by_heap(&mut items, count);
        sort_heap(&mut items[..count]);
    } else {
        select_nth(&mut items, count - 1);
        sort(&mut items[..count - 1]);
    }
    items.truncate(count);
    items.into_iter().map(|(_, index)| index).collect()
}

/// Returns whether `a` belongs before `b`.
fn precedes(a: Item, b: Item) -> bool {
    a.0 > b.0
}

/// Moves the items that precede item `nth` of the sorted order before it: `std::nth_element`.
fn select_nth(items: &mut [Item], nth: usize) {
    let (mut first, mut last) = (0, items.len());
    let mut partitions_left = 2 * items.len().ilog2();
    while last - first > 3 {
        if partitions_left == 0 {
            select_by_heap(&mut items[first..last], nth + 1 - first);
            return items.swap(first, nth);
        }
        partitions_left -= 1;
        let middle = first + partition(&mut items[first..last]);
        if middle <= nth {
            first = middle;
        } else {
            last = middle;
        }
    }
    insert_in_order(&mut items[first..last]);
}

/// Sorts the items: `std::sort`.
fn sort(items: &mut [Item]) {
    sort_parts(items, 2 * items.len().max(1).ilog2());
    insert_in_order(items);
}

/// Partitions the items into parts of at most 16 that are in order among themselves.
fn sort_parts(mut items: &mut [Item], mut partitions_left: u32) {
    while items.len() > 16 {
        if partitions_left == 0 {
            let count = items.len();
            select_by_heap(items, count);
            return sort_heap(items);
        }
        partitions_left -= 1;
        let middle = partition(items);
        let (front, back) = items.split_at_mut(middle);
        sort_parts(back, partitions_left);
        items = front;
    }
}

/// Sorts the items by insertion, as the library does with few or almost sorted items. Such a sort is stable.
fn insert_in_order(items: &mut [Item]) {
    items.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
}

/// Divides the items by a pivot, the median of three of them. Returns the index of the first item of the
/// second part. No item of the second part precedes one of the first part.
fn partition(items: &mut [Item]) -> usize {
    let last = items.len() - 1;
    let median = median_of_three(items, 1, items.len() / 2, last);
    items.swap(0, median);
    let pivot = items[0];
    let (mut low, mut high) = (1, items.len());
    loop {
        while precedes(items[low], pivot) {
            low += 1;
        }
        high -= 1;
        while precedes(pivot, items[high]) {
            high -= 1;
        }
        if low >= high {
            return low;
        }
        items.swap(low, high);
        low += 1;
    }
}

/// Returns the index of the median of three items. If items are equal, the choice is the library's.
fn median_of_three(items: &[Item], a: usize, b: usize, c: usize) -> usize {
    let before = |x: usize, y: usize| precedes(items[x], items[y]);
    match (before(a, b), before(b, c), before(a, c)) {
        (true, true, _) | (false, false, false) => b,
        (true, false, true) | (false, true, false) => c,
        (true, false, false) | (false, _, true) => a,
    }
}

/// Moves the `count` items that precede all others to the start: the selection of `std::partial_sort`. The
/// first `count` items are a heap whose root is the item that all others of the heap precede or equal.
fn select_by_heap(items: &mut [Item], count: usize) {
    let (heap, rest) = items.split_at_mut(count);
    for parent in (0..count / 2).rev() {
        sift(heap, parent, heap[parent]);
    }
    for item in rest {
        if precedes(*item, heap[0]) {
            let entering = std::mem::replace(item, heap[0]);
            sift(heap, 0, entering);
        }
    }
}

/// Sorts a heap: `std::sort_heap`.
fn sort_heap(heap: &mut [Item]) {
    for end in (1..heap.len()).rev() {
        let item = heap[end];
        heap[end] = heap[0];
        sift(&mut heap[..end], 0, item);
    }
}

/// Puts `item` into the heap below `top`, whose item is overwritten: the hole first sinks to a leaf, and then
/// `item` rises from there.
fn sift(heap: &mut [Item], top: usize, item: Item) {
    let mut hole = top;
    while 2 * hole + 1 < heap.len() {
        let (left, right) = (2 * hole + 1, 2 * hole + 2);
        let child = if right < heap.len() && !precedes(heap[right], heap[left]) { right } else { left };
        heap[hole] = heap[child];
        hole = child;
    }
    while hole > top && precedes(heap[(hole - 1) / 2], item) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = item;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The rows of `testdata/topk.json`: scores, and the positions that torch selected, in its order.
    fn cases() -> Vec<(Vec<f32>, Vec<usize>)> {
        let cases: Vec<(Value, Vec<usize>)> =
            serde_json::from_str(include_str!("../testdata/topk.json")).unwrap();
        let digit = |c: char| c.to_digit(10).unwrap() as f32;
        let row = |row: Value| match row {
            Value::String(digits) => digits.chars().map(digit).collect(),
            numbers => serde_json::from_value(numbers).unwrap(),
        };
        cases.into_iter().map(|(scores, selected)| (row(scores), selected)).collect()
    }

    /// Returns whether the positions are those that a stable sort of `order` selects.
    fn is_stable(scores: &[f32], selected: &[usize], order: impl Iterator<Item = usize>) -> bool {
        let mut order: Vec<usize> = order.collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order[..selected.len()].iter().all(|position| selected.contains(position))
    }

    #[test]
    fn equal_scores_are_selected_as_torch_does() {
        let (mut all, mut first, mut last) = (0, 0, 0);
        for (scores, selected) in cases() {
            assert_eq!(top(scores.iter().copied(), selected.len()), selected, "{scores:?}");
            all += 1;
            first += usize::from(is_stable(&scores, &selected, 0..scores.len()));
            last += usize::from(is_stable(&scores, &selected, (0..scores.len()).rev()));
        }
        // The cases can distinguish this rule from those that keep the first or the last.
        assert!(all > 400 && 3 * first < 2 * all && 3 * last < 2 * all, "{first} and {last} of {all}");
    }

    #[test]
    fn nothing_and_everything_can_be_selected() {
        assert_eq!(top([1.0, 2.0], 0), [] as [usize; 0]);
        assert_eq!(top([0.0; 0], 3), [] as [usize; 0]);
        assert_eq!(top([1.0, 2.0, -0.0], 9), [1, 0, 2]);
    }
}
