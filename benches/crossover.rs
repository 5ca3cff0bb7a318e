//! From which density on a layer is faster on dense arithmetic than on the sparse kernels.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench crossover               # all layers
//! RAYON_NUM_THREADS=1 cargo bench --bench crossover -- inference  # those whose line starts so
//! ```
//!
//! `conv`, `sequence`, `transposed` and `linear`: forward and both gradients through burn's autodiff on flex, against flex's dense products. `inference`: one
//! image through `MosaicConv` or `PackedConv` against `DenseConv`. `single`: one example through `SingleLinear`, sparse and dense. Masks are random, the two paths take turns; a cell is dense time over sparse time,
//! the median of turns. The last column is where the ratio falls to 1, interpolated.

use std::time::Instant;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv1dConfig, Conv2dConfig, ConvTranspose2dConfig};
use burn::nn::{LinearConfig, PaddingConfig1d, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor};
use zosam::kernels::{ConvShape, ConvStructure, DenseConv, Epilogue, MosaicConv, SingleLinear};
use zosam::masks::{Execution, Masks};
use zosam::nn::{Conv1d, Conv2d, ConvTranspose2d, Linear};
use zosam::{RandomStatic, Sparsity};

/// Images, channels in and out, kernel, stride, size.
const CONVS: [[usize; 6]; 9] = [
    [64, 3, 16, 3, 1, 32],
    [64, 16, 16, 3, 1, 32],
    [64, 32, 32, 3, 1, 16],
    [64, 64, 64, 3, 1, 8],
    [64, 32, 32, 3, 1, 32],
    [64, 128, 128, 3, 1, 8],
    [64, 32, 64, 3, 2, 32],
    [64, 32, 64, 1, 2, 32],
    [1, 64, 64, 3, 1, 16],
];

/// Sequences, channels in and out, kernel, stride, length.
const SEQUENCES: [[usize; 6]; 3] = [
    [64, 64, 64, 3, 1, 128],
    [100, 64, 64, 3, 2, 20],
    [16, 128, 128, 5, 1, 512],
];

/// Images, channels in and out, kernel, stride, size of the input.
const TRANSPOSED: [[usize; 6]; 3] = [
    [64, 32, 16, 2, 2, 16],
    [64, 64, 32, 2, 2, 8],
    [64, 32, 32, 3, 1, 16],
];

/// Examples, inputs, outputs.
const LINEARS: [[usize; 3]; 6] = [
    [3152, 384, 1152],
    [3152, 1536, 384],
    [1024, 64, 192],
    [64, 64, 10],
    [16, 384, 384],
    [4, 384, 384],
];

/// Channels in and out, kernel, height and width, stride. Linear layers are 1×1 convolutions over tokens.
const INFERENCE: [[usize; 6]; 15] = [
    [3, 64, 7, 224, 224, 2],
    [32, 32, 3, 32, 32, 1],
    [64, 64, 3, 16, 16, 1],
    [64, 64, 3, 56, 56, 1],
    [128, 128, 3, 8, 8, 1],
    [128, 128, 3, 56, 56, 2],
    [512, 512, 3, 7, 7, 1],
    [512, 512, 3, 2, 2, 1],
    [256, 64, 1, 56, 56, 1],
    [1024, 256, 1, 14, 14, 1],
    [512, 2048, 1, 7, 7, 1],
    [3, 384, 16, 224, 224, 16],
    [384, 1152, 1, 1, 197, 1],
    [384, 1536, 1, 1, 197, 1],
    [1536, 384, 1, 1, 197, 1],
];

/// Inputs and outputs of linear layers of one position.
const SINGLES: [[usize; 2]; 8] = [
    [64, 10],
    [64, 64],
    [128, 128],
    [256, 256],
    [512, 512],
    [1024, 1024],
    [2048, 1000],
    [4096, 1024],
];

const DENSITIES: [f64; 9] = [0.999, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02];
const TURNS: usize = 5;

fn main() {
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = |line: &str| {
        only.as_ref()
            .is_none_or(|only| line.starts_with(only.as_str()))
    };
    println!(
        "{} threads; dense time over sparse time",
        rayon::current_num_threads()
    );
    let densities: Vec<String> = DENSITIES.iter().map(f64::to_string).collect();
    println!("| layer | {} | crossover |", densities.join(" | "));
    println!("|---|{}---|", "---|".repeat(DENSITIES.len()));
    for sizes in CONVS {
        let line = format!("conv {}", sizes.map(|size| size.to_string()).join(" "));
        if wanted(&line) {
            row(&line, |density| conv(sizes, density));
        }
    }
    for sizes in SEQUENCES {
        let line = format!("sequence {}", sizes.map(|size| size.to_string()).join(" "));
        if wanted(&line) {
            row(&line, |density| sequence(sizes, density));
        }
    }
    for sizes in TRANSPOSED {
        let line = format!(
            "transposed {}",
            sizes.map(|size| size.to_string()).join(" ")
        );
        if wanted(&line) {
            row(&line, |density| transposed(sizes, density));
        }
    }
    for sizes in LINEARS {
        let line = format!("linear {}", sizes.map(|size| size.to_string()).join(" "));
        if wanted(&line) {
            row(&line, |density| linear(sizes, density));
        }
    }
    for sizes in INFERENCE {
        let line = format!("inference {}", sizes.map(|size| size.to_string()).join(" "));
        if wanted(&line) {
            row(&line, |density| inference(sizes, density));
        }
    }
    for sizes in SINGLES {
        let line = format!("single {}", sizes.map(|size| size.to_string()).join(" "));
        if wanted(&line) {
            row(&line, |density| single(sizes, density));
        }
    }
}

fn row(line: &str, ratio: impl Fn(f64) -> f64) {
    let ratios = DENSITIES.map(ratio);
    let cells: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    println!(
        "| `{line}` | {} | {} |",
        cells.join(" | "),
        crossing(&ratios)
    );
}

/// Densities fall, ratios rise.
fn crossing(ratios: &[f64]) -> String {
    if ratios[0] >= 1.0 {
        return "> 1".into();
    }
    let pair = (1..ratios.len()).find(|i| ratios[*i] >= 1.0);
    pair.map_or("never".into(), |i| {
        let share = (1.0 - ratios[i - 1]) / (ratios[i] - ratios[i - 1]);
        let crossing = DENSITIES[i - 1] + share * (DENSITIES[i] - DENSITIES[i - 1]);
        format!("{crossing:.2}")
    })
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn masked<M: Module>(model: M, density: f64) -> (M, Masks) {
    let mut sparsity = Sparsity::new(RandomStatic::new(1.0 - density));
    let unused = |_: &M| -> Tensor<1> { unreachable!("random masks need no loss") };
    let model = sparsity.attach(model, unused).expect("a sparsity in range");
    (model, sparsity.masks().clone())
}

fn conv([images, from, to, kernel, stride, size]: [usize; 6], density: f64) -> f64 {
    let padding = kernel / 2;
    let config = Conv2dConfig::new([from, to], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(false);
    let (model, masks) = masked(Conv2d::new(&config, &device()), density);
    let input = random([images, from, size, size]);
    compare(&masks, || model.forward(input.val()))
}

fn sequence([count, from, to, kernel, stride, length]: [usize; 6], density: f64) -> f64 {
    let config = Conv1dConfig::new(from, to, kernel)
        .with_stride(stride)
        .with_padding(PaddingConfig1d::Explicit(kernel / 2, kernel / 2))
        .with_bias(false);
    let (model, masks) = masked(Conv1d::new(&config, &device()), density);
    let input = random([count, from, length]);
    compare(&masks, || model.forward(input.val()))
}

fn transposed([images, from, to, kernel, stride, size]: [usize; 6], density: f64) -> f64 {
    let config = ConvTranspose2dConfig::new([from, to], [kernel, kernel])
        .with_stride([stride, stride])
        .with_bias(false);
    let (model, masks) = masked(ConvTranspose2d::new(&config, &device()), density);
    let input = random([images, from, size, size]);
    compare(&masks, || model.forward(input.val()))
}

fn linear([examples, inputs, outputs]: [usize; 3], density: f64) -> f64 {
    let config = LinearConfig::new(inputs, outputs).with_bias(false);
    let (model, masks) = masked(Linear::new(&config, &device()), density);
    let input = random([examples, inputs]);
    compare(&masks, || model.forward(input.val()))
}

fn inference([from, to, kernel, height, width, stride]: [usize; 6], density: f64) -> f64 {
    // A patch embedding has no padding.
    let padding = if stride == kernel { 0 } else { kernel / 2 };
    let shape = ConvShape::new([from, to], [kernel; 2], [height, width])
        .with_padding([padding; 2])
        .with_stride([stride; 2]);
    let live: Vec<bool> = (0..shape.weights()).map(|at| lives(at, density)).collect();
    let weight: Vec<f32> = live.iter().map(|live| f32::from(u8::from(*live))).collect();
    let dense = DenseConv::new(shape, &weight, &live).expect("a shape that it takes");
    let (input, none) = (vec![0.5; shape.inputs()], Epilogue::default());
    let mut output = vec![0.0; shape.outputs()];
    let mut run_dense = || dense.forward(&input, none, &mut output);
    // As a network chooses.
    if height > 1 && MosaicConv::takes(&shape) {
        let sparse = MosaicConv::new(shape, &weight, &live).expect("a valid shape");
        let [inputs, outputs] = sparse.numbers();
        let (input, mut output) = (vec![0.5; inputs], vec![0.0; outputs]);
        return ratio_of(&mut run_dense, || sparse.forward(&input, none, &mut output));
    }
    let sparse = ConvStructure::new(shape, &live).and_then(|structure| structure.packed(&weight));
    let (sparse, mut output) = (sparse.expect("a valid shape"), vec![0.0; shape.outputs()]);
    ratio_of(run_dense, || sparse.forward(&input, none, &mut output))
}

fn single([inputs, outputs]: [usize; 2], density: f64) -> f64 {
    let weight = (0..inputs * outputs).map(|at| f32::from(u8::from(lives(at, density))));
    let weight: Vec<f32> = weight.collect();
    let [dense, sparse] = [SingleLinear::dense, SingleLinear::sparse]
        .map(|make| make(inputs, outputs, &weight).expect("a layer"));
    let (input, mut output) = (vec![0.5; inputs], vec![0.0; outputs]);
    // A call takes a microsecond; some milliseconds can be timed.
    let calls = (1 << 24) / weight.len();
    ratio(|is_sparse| {
        let layer = if is_sparse { &sparse } else { &dense };
        for _ in 0..calls {
            let done = layer.forward(&input, Epilogue::default(), &mut output);
            done.expect("lengths fit");
        }
    })
}

/// Which weights live: spread evenly, though not in rows of any regular kind.
fn lives(at: usize, density: f64) -> bool {
    ((at * 7919 % 1009) as f64) < density * 1009.0
}

/// Dense over sparse time of two calls.
fn ratio_of(
    mut dense: impl FnMut() -> zosam::Result<()>,
    mut sparse: impl FnMut() -> zosam::Result<()>,
) -> f64 {
    ratio(|is_sparse| {
        let result = match is_sparse {
            true => sparse(),
            false => dense(),
        };
        result.expect("lengths fit");
    })
}

/// A leaf that wants a gradient, as a layer's input does.
fn random<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::random(
        shape,
        Distribution::Normal(0.0, 1.0),
        &device(),
    ))
}

fn compare<const D: usize>(masks: &Masks, forward: impl Fn() -> Tensor<D>) -> f64 {
    ratio(|is_sparse| {
        let execution = match is_sparse {
            true => Execution::Sparse,
            false => Execution::Dense,
        };
        masks.run(execution, &forward).sum().backward();
    })
}

/// Dense over sparse time, of a call that is told which.
fn ratio(mut run: impl FnMut(bool)) -> f64 {
    let mut time = |is_sparse| {
        let start = Instant::now();
        run(is_sparse);
        start.elapsed().as_secs_f64()
    };
    time(false);
    time(true);
    let mut ratios: Vec<f64> = (0..TURNS).map(|_| time(false) / time(true)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[TURNS / 2]
}
