//! I2_S files in each of the three layouts.

use bitkv_checkpoint::{
    Checkpoint, NormShape,
    codec::{i2s, i2s::Layout},
    gguf::{LayoutReason, ReadOptions},
    structure,
};

use crate::{
    model::noise,
    official::{HIDDEN, LINEARS, floats, official, tensor_mut},
    raw::{File, Tensor},
};

/// Returns the norm before a linear layer of [`official`].
fn norm_before(linear: &str) -> &'static str {
    match linear {
        "blk.0.attn_output.weight" => "blk.0.attn_sub_norm.weight",
        "blk.0.ffn_down.weight" => "blk.0.ffn_sub_norm.weight",
        name if name.contains("attn") => "blk.0.attn_norm.weight",
        _ => "blk.0.ffn_norm.weight",
    }
}

/// Returns the weight of a norm in a channel.
fn norm_weight(name: &str, channel: usize) -> f32 {
    (noise((channel + 1000 * name.len()) as u64) % 100) as f32 / 50.0
}

/// Returns a file in a layout. If `trained` is true, columns have more zeros if the weight of their norm is
/// smaller.
fn file(layout: Layout, trained: bool) -> File {
    let mut file = official("bitnet-b1.58");
    for (name, rows, cols) in LINEARS {
        let code = |row: usize, col: usize| {
            let draw = noise((name.len() << 40 | row << 20 | col) as u64) % 1000;
            let weight = norm_weight(norm_before(name), col);
            let zeros = if trained { 700.0 - 200.0 * weight } else { 400.0 };
            if draw as f32 <= zeros { 1 } else { 2 * (draw % 2) as u8 }
        };
        let fill = |row: usize, out: &mut [u8]| (0..cols).for_each(|col| out[col] = code(row, col));
        tensor_mut(&mut file, name).bytes = i2s::encode(layout, rows, cols, fill, 1.25);
        let values = (0..HIDDEN).map(|channel| norm_weight(norm_before(name), channel));
        tensor_mut(&mut file, norm_before(name)).bytes = floats(values);
    }
    file
}

fn open(file: &File, i2s_layout: Option<Layout>) -> Checkpoint {
    Checkpoint::from_gguf_bytes(file.bytes(), &ReadOptions { i2s_layout, ..ReadOptions::default() }).unwrap()
}

#[test]
fn the_layout_of_a_trained_file_is_recognised() {
    let mut seen = Vec::new();
    for layout in Layout::ALL {
        let checkpoint = open(&file(layout, true), None);
        let choice = checkpoint.gguf().unwrap().i2s_layout().unwrap().clone();
        assert_eq!((choice.layout, choice.reason), (layout, LayoutReason::Plausible), "{choice:?}");
        assert_eq!(choice.scores.len(), 3);
        let shape = checkpoint.config().linears(0)[6].clone();
        let mut codes = vec![9; HIDDEN];
        checkpoint.linear(&shape).unwrap().codes(200, &mut codes);
        seen.push(codes);
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2], "the same codes in every layout");
}

#[test]
fn noise_is_read_in_the_layout_of_the_published_file() {
    for layout in Layout::ALL {
        let checkpoint = open(&file(layout, false), None);
        let choice = checkpoint.gguf().unwrap().i2s_layout().unwrap();
        assert_eq!((choice.layout, choice.reason), (Layout::X86, LayoutReason::Default), "{choice:?}");
    }
}

#[test]
fn a_layout_that_the_caller_gives_is_used() {
    let checkpoint = open(&file(Layout::X86, true), Some(Layout::Arm));
    let choice = checkpoint.gguf().unwrap().i2s_layout().unwrap();
    assert_eq!((choice.layout, choice.reason), (Layout::Arm, LayoutReason::Given));
    assert_eq!(checkpoint.linear(&checkpoint.config().linears(0)[0]).unwrap().multiplier(), 1.25);
}

/// Rows of 64 columns consist of whole blocks only in the Arm layout, or in groups of four rows.
#[test]
fn a_layout_that_does_not_fit_is_not_considered() {
    let codes = i2s::encode(Layout::Arm, 3, 64, |_, out| out.fill(2), 1.0);
    let odd = Tensor::new("blk.0.odd.weight", &[64, 3], 36, codes);
    let checkpoint = open(&official("bitnet").tensor(odd), None);
    let choice = checkpoint.gguf().unwrap().i2s_layout().unwrap();
    assert_eq!((choice.layout, choice.reason, choice.scores.len()), (Layout::Arm, LayoutReason::Default, 1));
}

/// The test writes two trained models in each layout.
#[test]
fn the_layouts_of_small_trained_models_are_recognised() {
    for name in ["first-gqa", "first-mha"] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/");
        let original = Checkpoint::open(format!("{folder}{name}")).unwrap();
        for layout in Layout::ALL {
            let file = as_file(&original, layout);
            let checkpoint = open(&file, None);
            let choice = checkpoint.gguf().unwrap().i2s_layout().unwrap();
            println!("{name} {layout:?} {choice:?}");
            assert_eq!(
                (choice.layout, choice.reason),
                (layout, LayoutReason::Plausible),
                "{name}: {choice:?}"
            );
        }
    }
}

/// Returns the file of a checkpoint in a layout.
fn as_file(original: &Checkpoint, layout: Layout) -> File {
    let config = original.config();
    let mut file = official("bitnet-b1.58");
    file.tensors.clear();
    let norm = |shape: &NormShape| {
        let values = original.norm(shape).unwrap();
        (vec![shape.width as u64], floats(values))
    };
    for norm_shape in config.all_norms() {
        let (dims, bytes) = norm(&norm_shape);
        file.tensors.push(Tensor::new(&gguf_name(&norm_shape.name), &dims, 0, bytes));
    }
    for shape in config.all_linears() {
        let linear = original.linear(&shape).unwrap();
        let bytes = i2s::encode(
            layout,
            shape.rows,
            shape.cols,
            |row, out| linear.codes(row, out),
            linear.multiplier(),
        );
        let name = gguf_name(&format!("{}.weight", shape.name));
        file.tensors.push(Tensor::new(&name, &[shape.cols as u64, shape.rows as u64], 36, bytes));
    }
    file
}

fn gguf_name(name: &str) -> String {
    bitkv_checkpoint::gguf::names::to_gguf(name).unwrap()
}

#[test]
fn the_score_falls_if_channels_are_mixed() {
    let (rows, cols) = (256, 256);
    // Columns and rows with many and with few zeros.
    let code = |row: usize, col: usize| {
        let zeros = 300 + 10 * (noise(row as u64) % 20) + 10 * (noise(1 << 20 | col as u64) % 20);
        let draw = noise(1 << 40 | (row << 20 | col) as u64) % 1000;
        if draw < zeros { 1 } else { 2 * (draw % 2) as u8 }
    };
    let score = |decode: &dyn Fn(usize, &mut [u8])| structure::score(rows, cols, decode);
    let plain = score(&|row, out| (0..cols).for_each(|col| out[col] = code(row, col)));
    let mixed =
        score(&|row, out| (0..cols).for_each(|col| out[col] = code(row ^ (col & 3), col & !3 | row & 3)));
    let noise_only = score(&|row, out| {
        (0..cols).for_each(|col| out[col] = (noise(1 << 41 | (row << 20 | col) as u64) % 3) as u8);
    });
    assert!(plain > 50.0 && mixed < 0.6 * plain && noise_only.abs() < 4.0, "{plain} {mixed} {noise_only}");
    let constant = score(&|_, out| out.fill(1));
    assert_eq!(constant, 0.0);
}

#[test]
fn agreement_depends_on_ranks_only() {
    let a: Vec<f32> = (0..101).map(|i| i as f32).collect();
    let cubes: Vec<f32> = a.iter().map(|x| x.powi(3) - 7.0).collect();
    let down: Vec<f32> = a.iter().map(|x| -x).collect();
    assert!((structure::agreement(&a, &cubes) - 10.0).abs() < 1e-9);
    assert!((structure::agreement(&a, &down) + 10.0).abs() < 1e-9);
    assert_eq!(structure::agreement(&a, &[3.0; 101]), 0.0);
    // Ties share a rank. The value is worked out by hand from the ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3.
    let z = structure::agreement(&[1.0, 5.0, 5.0, 9.0], &[1.0, 2.0, 3.0, 4.0]);
    assert!((z - 4.5 / (4.5f64 * 5.0).sqrt() * 3f64.sqrt()).abs() < 1e-12, "{z}");
}
