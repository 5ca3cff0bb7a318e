//! The set in memory, on its own and with burn's tools.

use std::sync::Arc;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::data::dataset::transform::PartialDataset;
use burn::tensor::Device;
use zosam::data::{ImageItem, Images};

use super::{image_set, pixels};

#[test]
fn statistics_are_those_of_a_naive_loop() {
    let images = image_set(7, [3, 5, 4]).take(6);
    let statistics = images.channel_statistics();
    for channel in 0..3 {
        let values = (0..6).flat_map(|image| images.pixels(image)[channel * 20..][..20].to_vec());
        let values: Vec<f64> = values.map(|value| f64::from(value) / 255.0).collect();
        let mean = values.iter().sum::<f64>() / 120.0;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 120.0;
        assert!((f64::from(statistics.mean[channel]) - mean).abs() < 1e-7);
        assert!((f64::from(statistics.deviation[channel]) - variance.sqrt()).abs() < 1e-7);
    }
}

#[test]
fn constant_and_empty_sets_have_deviation_one() {
    let constant = Images::new("set", vec![51; 8], vec![0; 2], [1, 2, 2], 1).unwrap();
    let statistics = constant.channel_statistics();
    assert_eq!(
        (statistics.mean, statistics.deviation),
        (vec![0.2], vec![1.0])
    );
    let statistics = constant.take(0).channel_statistics();
    assert_eq!(
        (statistics.mean, statistics.deviation),
        (vec![0.0], vec![1.0])
    );
}

#[test]
fn inconsistent_sets_are_refused() {
    let message = |pixels: usize, labels: &[u32], shape, classes| {
        let set = Images::new("set", vec![0; pixels], labels.to_vec(), shape, classes);
        set.unwrap_err().to_string()
    };
    assert!(message(11, &[0, 0], [1, 2, 3], 2).starts_with("images.pixels = 11 pixels, 2 labels"));
    assert!(
        message(2, &[0, 2], [1, 1, 1], 2).starts_with("images.labels = 2 at image 1, 2 classes")
    );
    assert!(message(0, &[0], [1, 0, 1], 2).starts_with("images.shape = [1, 0, 1]"));
    assert!(message(4, &[0, 0, 0], [1, usize::MAX, 2], 2).contains("images.pixels"));
}

#[test]
fn burn_sees_the_same_images() {
    let images = image_set(5, [2, 3, 4]).take(4);
    assert_eq!(Dataset::len(&images), 4);
    let part: PartialDataset<_, ImageItem> = PartialDataset::new(images, 2, 4);
    let item = part.get(1).unwrap();
    assert_eq!(item.pixels, pixels(3, 24));
    assert_eq!((item.shape, item.label), ([2, 3, 4], 3));
}

struct Labels;

impl Batcher<ImageItem, Vec<usize>> for Labels {
    fn batch(&self, items: Vec<ImageItem>, _device: &Device) -> Vec<usize> {
        items.into_iter().map(|item| item.label).collect()
    }
}

#[test]
fn burns_data_loader_takes_the_set() {
    let loader = DataLoaderBuilder::new(Labels)
        .batch_size(4)
        .set_device(Device::default());
    let loader = loader.build(Arc::new(image_set(10, [1, 2, 2])));
    let labels: Vec<usize> = loader.iter().flat_map(Result::unwrap).collect();
    assert_eq!(labels, (0..10).collect::<Vec<_>>());
}
