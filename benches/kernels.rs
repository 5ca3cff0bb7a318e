//! What the sparse kernels take, layer by layer.
//!
//! ```text
//! cargo bench --bench kernels                      # our times, all layers and densities
//! cargo bench --bench kernels -- serve             # answers requests, for benches/kernels_peer.py
//! RAYON_NUM_THREADS=1 cargo bench --bench kernels  # one thread
//! ```
//!
//! A request is a line `conv N C O K S SIZE DENSITY` or `linear N I O DENSITY`, with `blocks` at its end if masks are of blocks of 4
//! outputs × 4 inputs; the answer is the seconds of forward, input gradient and weight gradient, each the fastest of three calls, so
//! that a peer can take turns with us.

use std::io::BufRead;
use std::time::Instant;

use zosam::kernels::{ConvShape, ConvStructure, Epilogue, LinearStructure};

const LAYERS: [&str; 9] = [
    "conv 64 3 32 3 1 32",
    "conv 64 32 32 3 1 32",
    "conv 64 32 64 3 2 32",
    "conv 64 64 64 3 1 16",
    "conv 64 64 128 3 2 16",
    "conv 64 128 128 3 1 8",
    "linear 3152 384 1152",
    "linear 3152 384 1536",
    "linear 3152 1536 384",
];

fn main() {
    if std::env::args().any(|arg| arg == "serve") {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let [forward, input, weight] = request(&line).seconds();
            println!("{forward} {input} {weight}");
        }
        return;
    }
    let threads = rayon::current_num_threads();
    println!(
        "{threads} threads; dense-equivalent GFLOP/s of forward, input gradient, weight gradient"
    );
    for layer in LAYERS {
        for density in [0.3, 0.2, 0.1, 0.05, 0.02] {
            for blocks in ["", " blocks"] {
                let run = request(&format!("{layer} {density}{blocks}"));
                let rates = run.seconds().map(|seconds| run.flops / seconds / 1e9);
                println!(
                    "{layer:24} density {density:4}{blocks:7}: {:5.0} {:5.0} {:5.0}",
                    rates[0], rates[1], rates[2]
                );
            }
        }
    }
}

/// A layer with its arrays.
struct Run {
    layer: Layer,
    flops: f64,
    weight: Vec<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
}

enum Layer {
    Conv(Box<ConvStructure>),
    Linear(Box<LinearStructure>),
}

fn request(line: &str) -> Run {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let unit = match words.last() {
        Some(&"blocks") => 4,
        _ => 1,
    };
    if unit > 1 {
        words.pop();
    }
    let size = |index: usize| words[index].parse::<usize>().expect("a size");
    let density: f64 = words
        .last()
        .and_then(|word| word.parse().ok())
        .expect("a density");
    let images = size(1);
    let (layer, [weights, inputs, outputs], uses) = match words[0] {
        "conv" => {
            let shape = ConvShape::new([size(2), size(3)], [size(4); 2], [size(6); 2])
                .with_stride([size(5); 2])
                .with_padding([size(4) / 2; 2]);
            let mask = mask([size(3), size(2) * size(4) * size(4)], unit, density);
            let conv = ConvStructure::new(shape, &mask).expect("valid");
            let [height, width] = shape.output_size();
            let sizes = [shape.weights(), shape.inputs(), shape.outputs()];
            (Layer::Conv(Box::new(conv)), sizes, height * width)
        }
        _ => {
            let sizes = [size(2) * size(3), size(2), size(3)];
            let mask = mask([size(3), size(2)], unit, density);
            let linear = LinearStructure::new(size(2), size(3), &mask).expect("valid");
            (Layer::Linear(Box::new(linear)), sizes, 1)
        }
    };
    Run {
        layer,
        flops: 2.0 * (weights * uses * images) as f64,
        weight: numbers(weights),
        input: numbers(images * inputs),
        output: numbers(images * outputs),
    }
}

impl Run {
    fn seconds(&self) -> [f64; 3] {
        let (mut output, mut input, mut weight) =
            (self.output.clone(), self.input.clone(), self.weight.clone());
        let Self {
            weight: w,
            input: x,
            output: g,
            ..
        } = self;
        match &self.layer {
            Layer::Conv(conv) => [
                best(|| conv.forward(x, w, Epilogue::default(), &mut output)),
                best(|| conv.input_gradient(g, w, &mut input)),
                best(|| conv.weight_gradient(x, g, &mut weight)),
            ],
            Layer::Linear(linear) => [
                best(|| linear.forward(x, w, None, &mut output)),
                best(|| linear.input_gradient(g, w, &mut input)),
                best(|| linear.weight_gradient(x, g, &mut weight)),
            ],
        }
    }
}

fn best(mut call: impl FnMut() -> zosam::Result<()>) -> f64 {
    call().expect("sizes fit");
    let times = (0..3).map(|_| {
        let start = Instant::now();
        call().expect("sizes fit");
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Scattered units of a matrix of so many rows and columns, by a multiplicative hash.
fn mask([rows, columns]: [usize; 2], unit: usize, density: f64) -> Vec<bool> {
    let hash = |index: usize| {
        (index as u64 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    };
    let hash = |index| (hash(index) ^ 0x5bd1).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
    (0..rows * columns)
        .map(|index| index / columns / unit * columns.div_ceil(unit) + index % columns / unit)
        .map(|index| (hash(index) as f64) < density * (1u64 << 24) as f64)
        .collect()
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|index| (index * 37 % 101) as f32 / 50.0 - 1.0)
        .collect()
}
