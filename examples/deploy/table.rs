//! The network in burn beside the sparse one.

use std::time::Instant;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use zosam::inference::{Input, SparseNetwork};

use super::network::{Asked, Asker};

/// Passes, taking turns, of which the fastest counts: what else runs on a machine only ever adds.
const RUNS: usize = 15;

/// Times of both for one picture and many, and sizes; beside them the same for a network all of whose weights live, where being
/// sparse gains nothing.
pub fn print(model: &Asker, network: &SparseNetwork, file: u64) -> Result<()> {
    println!(
        "{} threads, the fastest of {RUNS} passes",
        rayon::current_num_threads()
    );
    println!("weights        pictures    burn, flex       sparse   times   memory     file");
    let whole = Asker::new(&Device::flex());
    let dense = super::compile(&whole)?;
    let rows = [
        ("those that live", model, network, file),
        (
            "all of them",
            &whole,
            &dense,
            dense.to_bytes()?.len() as u64,
        ),
    ];
    for (name, model, network, file) in rows {
        for pictures in [1, 64] {
            let [burn, sparse] = times(model, network, pictures)?;
            println!(
                "{name:15} {pictures:7} {:10.2} ms {:9.2} ms {:7.1} {:5.0} kB {:5.0} kB",
                1e3 * burn,
                1e3 * sparse,
                burn / sparse,
                network.bytes() as f64 / 1e3,
                file as f64 / 1e3,
            );
        }
    }
    let parameters = 4 * model.num_params();
    println!("parameters in burn: {} kB", parameters / 1000);
    Ok(())
}

/// Seconds of a pass in burn and of the sparse network.
fn times(model: &Asker, network: &SparseNetwork, pictures: usize) -> Result<[f64; 2]> {
    let (images, texts) = Asked::blank(pictures);
    let (pixels, words) = Asked::blank_numbers(pictures);
    let mut fastest = [f64::INFINITY; 2];
    for _ in 0..RUNS {
        let start = Instant::now();
        let scores: Tensor<2> = model.forward(images.clone(), texts.clone());
        scores.into_data();
        fastest[0] = fastest[0].min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        network.run(&[Input::Float(&pixels), Input::Int(&words)])?;
        fastest[1] = fastest[1].min(start.elapsed().as_secs_f64());
    }
    Ok(fastest)
}
