//! The module against the fast path's linear layers, the reference's, and arithmetic by hand.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Var};

use super::*;
use crate::{
    linear::{Activations, Linear, together},
    reference::{self, Rounding},
};

fn golden(name: &str) -> Checkpoint {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden").join(name);
    Checkpoint::open(folder).unwrap()
}

/// Numbers from -1 to 1 that follow no simple rule.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 12.9898).sin()).collect()
}

fn floats_of(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn it_is_the_fast_path_s_layer_to_the_bit() {
    for name in ["packed-2b-style", "master-1bitllm-f16", "packed-2b-divide", "packed-falcon-style"] {
        let checkpoint = golden(name);
        for shape in checkpoint.config().all_linears() {
            let x = values(7 * shape.cols);
            let (mut activations, mut expected) = (Activations::empty(false), Vec::new());
            activations.fill(&x, shape.cols);
            let fast = Linear::load(&checkpoint, &shape).unwrap();
            together([(&fast, &mut expected)], &activations);
            let layer = BitLinear::load(&checkpoint, &shape).unwrap();
            let x = Tensor::from_vec(x, (7, shape.cols), &Device::Cpu).unwrap();
            let y = layer.forward(&x).unwrap();
            assert_eq!(y.dims(), [7, shape.rows]);
            assert_eq!(floats_of(&y), expected, "{name}: {}", shape.name);
        }
    }
}

#[test]
fn it_is_the_reference_s_layer_with_its_gradients() {
    let masters = Tensor::from_vec(values(40 * 24), (40, 24), &Device::Cpu).unwrap();
    let layer = BitLinear::of_masters(&masters).unwrap();
    let reference = reference::Linear { weight: masters, rounding: Rounding::Both };
    let x = Var::from_vec(values(2 * 3 * 24), (2, 3, 24), &Device::Cpu).unwrap();
    let run = |layer: &dyn Module| {
        let y = layer.forward(&x).unwrap();
        let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(y.dims(), [2, 3, 40]);
        (floats_of(&y), floats_of(gradients.get(&x).unwrap()))
    };
    let ((y, dx), (expected, gradient)) = (run(&layer), run(&reference));
    let near = |a: &[f32], b: &[f32]| {
        let largest = b.iter().fold(0.0f32, |most, b| most.max(b.abs()));
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-6 * largest)
    };
    assert!(near(&y, &expected));
    assert!(near(&dx, &gradient));
}

#[test]
fn by_hand() {
    let layer = BitLinear::new(2, 4, &[1, 0, -1, 1, 0, 1, 1, 0], 0.25).unwrap();
    assert_eq!((layer.rows(), layer.cols(), layer.scale()), (2, 4, 0.25));
    assert_eq!(layer.dequantised(), [0.25, 0.0, -0.25, 0.25, 0.0, 0.25, 0.25, 0.0]);
    // 127 is the largest, so that 2.5 becomes 2, a tie that goes to the even number, and 3.4 becomes 3.
    let x = Tensor::new(&[[127.0f32, 2.5, 3.4, -1.0]], &Device::Cpu).unwrap();
    let y = layer.forward(&x).unwrap();
    assert_eq!(floats_of(&y), [(127.0 - 3.0 - 1.0) * 0.25, (2.0 + 3.0) * 0.25]);
    let strided = Tensor::cat(&[&x, &x], 0).unwrap().t().unwrap().contiguous().unwrap().t().unwrap();
    assert!(!strided.is_contiguous());
    assert_eq!(floats_of(&layer.forward(&strided).unwrap()), floats_of(&y).repeat(2));
    let none = Tensor::zeros((0, 4), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(layer.forward(&none).unwrap().dims(), [0, 2]);
}

#[test]
fn what_is_refused() {
    let refused = |layer: Result<BitLinear>| layer.unwrap_err().to_string();
    assert!(refused(BitLinear::new(2, 2, &[1, 0, 2, 0], 1.0)).contains("row 1, column 0"));
    assert!(refused(BitLinear::new(2, 2, &[1, i8::MIN, 1, 0], 1.0)).contains("row 0, column 1"));
    assert!(refused(BitLinear::new(2, 3, &[1, 0], 1.0)).contains("2 weights"));
    assert!(refused(BitLinear::new(0, 3, &[], 1.0)).contains("0 weights"));
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(refused(BitLinear::new(1, 1, &[1], scale)).contains("`scale`"));
    }
    let nan = Tensor::new(&[[0.5f32, 1.0], [f32::NAN, 2.0]], &Device::Cpu).unwrap();
    assert!(refused(BitLinear::of_masters(&nan)).contains("row 1, column 0"));
    let layer = BitLinear::new(1, 2, &[1, 1], 1.0).unwrap();
    let run = |x: &Tensor| layer.forward(x).unwrap_err().to_string();
    let x = Tensor::ones((3, 4), DType::F32, &Device::Cpu).unwrap();
    assert!(run(&x).contains("rows of 2 activations") && run(&x).contains("[3, 4]"), "{}", run(&x));
    let x = Tensor::ones((3, 2), DType::F64, &Device::Cpu).unwrap();
    assert!(run(&x).contains("f32"), "{}", run(&x));
}

/// The storage of a device that this build does not have can be named, but holds nothing.
#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn another_device_gets_one_sentence() {
    let layer = BitLinear::new(1, 2, &[1, 1], 1.0).unwrap();
    let layout = Layout::contiguous((1, 2));
    let said = [
        layer.cuda_fwd(&CudaStorage, &layout).unwrap_err().to_string(),
        layer.metal_fwd(&MetalStorage, &layout).unwrap_err().to_string(),
    ];
    assert!(
        said.iter().all(|said| said.contains("runs on the CPU") && said.contains("to_device")),
        "{said:?}"
    );
}
