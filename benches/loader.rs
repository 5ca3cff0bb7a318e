//! Images per second of the loader alone.
//!
//! ```text
//! python benches/peers/make_folder.py CIFAR JPEG_FOLDER         # once
//! cargo bench --bench loader -- JPEG_FOLDER [WORKERS]
//! ```
//!
//! Without a folder: images in memory only.

use std::path::PathBuf;
use std::time::Instant;

use zosam::data::{
    Augmentation, Filter, ImageFolder, ImageFolderConfig, ImageSource, Images, Loader,
    LoaderConfig, Normalization, ResizedCrop, Sizing, Transform,
};

const ROUNDS: u64 = 5;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|text| text != "--bench")
        .collect();
    let folder = arguments.first().map(PathBuf::from);
    let workers = arguments
        .get(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(2);
    println!("{workers} workers, batches of 128, medians of {ROUNDS} epochs [lowest to highest]");
    let pixels = (0..10_000 * 3072_u32)
        .map(|at| (at * 31 % 251) as u8)
        .collect();
    let labels = (0..10_000).map(|image| image % 10).collect();
    let images = Images::new("random", pixels, labels, [3, 32, 32], 10).expect("valid");
    report("memory, 32 × 32, crop and flip", images, config(workers));
    let Some(folder) = folder else { return };
    let folder = ImageFolder::open(folder, ImageFolderConfig::default()).expect("a folder");
    let evaluation = LoaderConfig {
        shuffle: false,
        augmentation: Augmentation::none(),
        ..config(workers)
    };
    report(
        "folder, resize 256, crop 224",
        folder.clone(),
        evaluation.clone(),
    );
    let crop = ResizedCrop {
        size: Some([224; 2]),
        filter: Filter::Bilinear,
        ..ResizedCrop::default()
    };
    let training = LoaderConfig {
        transforms: vec![
            Transform::ResizedCrop(crop),
            Transform::Flip { probability: 0.5 },
        ],
        shuffle: true,
        ..evaluation
    };
    let original = folder.clone().with_sizing(Sizing::Original).expect("valid");
    report("folder, random resized crop 224, flip", original, training);
    let small = folder.with_sizing(Sizing::square(32)).expect("valid");
    report("folder, resize 32, crop and flip", small, config(workers));
}

fn config(workers: usize) -> LoaderConfig {
    LoaderConfig {
        workers,
        normalization: Some(Normalization::imagenet()),
        ..LoaderConfig::default()
    }
}

fn report(name: &str, images: impl ImageSource + 'static, config: LoaderConfig) {
    let loader = Loader::new(images, config).expect("valid");
    let mut rates: Vec<f64> = (0..ROUNDS).map(|epoch| rate(&loader, epoch)).collect();
    rates.sort_by(f64::total_cmp);
    let [low, median, high] = [0, rates.len() / 2, rates.len() - 1].map(|at| rates[at]);
    println!("{name:<40} {median:>8.0} images/s [{low:.0} to {high:.0}]");
}

fn rate(loader: &Loader, epoch: u64) -> f64 {
    let start = Instant::now();
    let batches = loader.epoch(epoch, 0);
    let images: usize = batches
        .map(|batch| batch.expect("whole images").labels.len())
        .sum();
    images as f64 / start.elapsed().as_secs_f64()
}
