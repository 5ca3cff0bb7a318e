//! What a device draws: burn's generator beside this crate's directions.
//!
//! ```sh
//! cargo bench --features wgpu --bench directions -- --device wgpu
//! ```
//!
//! The largest correlations between 40 numbers over 5,000 keys, of which 0.05 is chance; then milliseconds for a direction and the sum of its
//! numbers, waited for: the median of twenty.

#[path = "device/mod.rs"]
mod device;

use std::time::Instant;

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use zosam::tree::{self, DirectionDistribution, DirectionKey, Leaf};

#[derive(Module, Debug)]
struct Weights {
    weight: Param<Tensor<1>>,
}

type Draw<'a> = (&'static str, Box<dyn Fn(u64) -> Tensor<1> + 'a>);

fn draws<'a>(leaves: &'a [Leaf], device: &'a Device) -> [Draw<'a>; 4] {
    let size = [leaves[0].len()];
    let burns = move |key, distribution| {
        device.seed(key);
        Tensor::<1>::random(size, distribution, device)
    };
    let ours = move |step, distribution| {
        let (seed, index) = (11, 0);
        let key = DirectionKey { seed, step, index };
        let direction = tree::draw(leaves, key, distribution, device);
        let (_, component) = direction.iter().next().expect("there is one leaf");
        component.clone()
    };
    let signs = move |key| burns(key, Distribution::Bernoulli(0.5)) * 2.0 - 1.0;
    [
        (
            "normal, burn's",
            Box::new(move |key| burns(key, Distribution::Normal(0.0, 1.0))),
        ),
        (
            "normal, ours",
            Box::new(move |key| ours(key, DirectionDistribution::Gaussian)),
        ),
        ("signs, burn's", Box::new(signs)),
        (
            "signs, ours",
            Box::new(move |key| ours(key, DirectionDistribution::Rademacher)),
        ),
    ]
}

fn with_size(size: usize, device: &Device, run: impl FnOnce(&[Leaf], &Device)) {
    let zeros = Tensor::zeros([size], &device.clone().autodiff());
    let weights = Weights {
        weight: Param::from_tensor(zeros),
    };
    run(&tree::leaves(&weights), device);
}

/// The largest correlation, and the two places that it is of.
fn correlation(draw: impl Fn(u64) -> Tensor<1>) -> (f64, usize, usize) {
    let (size, keys) = (40, 5_000);
    let mut products = vec![0.0; size * size];
    for key in 0..keys {
        let numbers: Vec<f64> = draw(key).into_data().iter::<f64>().collect();
        for (place, product) in products.iter_mut().enumerate() {
            *product += numbers[place / size] * numbers[place % size] / keys as f64;
        }
    }
    let pairs = products.into_iter().enumerate();
    let pairs = pairs.map(|(place, product)| (product, place / size, place % size));
    let pairs = pairs.filter(|(_, one, other)| one < other);
    pairs
        .max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()))
        .expect("there are pairs")
}

fn milliseconds(draw: impl Fn(u64) -> Tensor<1>) -> f64 {
    let mut times: Vec<f64> = (0..25)
        .map(|key| {
            let start = Instant::now();
            draw(key).sum().into_scalar::<f32>();
            start.elapsed().as_secs_f64() * 1e3
        })
        .skip(5)
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let device = device::chosen();
    println!("{device:?}");
    with_size(40, &device, |leaves, device| {
        for (name, draw) in draws(leaves, device) {
            let (largest, one, other) = correlation(draw);
            println!("{name:16} {largest:>6.3}, places {one} and {other}");
        }
    });
    for size in [1_000, 100_000, 2_000_000] {
        with_size(size, &device, |leaves, device| {
            for (name, draw) in draws(leaves, device) {
                println!("{name:16} {size:>8} {:>7.2} ms", milliseconds(draw));
            }
        });
    }
}
