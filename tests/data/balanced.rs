//! A few images of every class.

use zosam::data::{Augmentation, Images, Loader, LoaderConfig, balanced};

#[test]
fn every_class_as_often_and_parts_share_none() {
    let labels: Vec<u32> = (0..60).map(|image| image * 7 % 6).collect();
    let pixels = (0..60).collect();
    let images = Images::new("sixty", pixels, labels, [1, 1, 1], 6).unwrap();
    let augmentation = Augmentation {
        padding: 1,
        ..Augmentation::default()
    };
    let config = LoaderConfig {
        augmentation,
        ..LoaderConfig::default()
    };
    let loader = Loader::new(images, config).unwrap();
    let batches = balanced(&loader, 4, 2, 1).unwrap();
    let labels: Vec<Vec<i64>> = batches.iter().map(|batch| batch.labels.clone()).collect();
    let expected = |classes: std::ops::Range<i64>| classes.flat_map(|c| [c; 4]).collect::<Vec<_>>();
    assert_eq!(labels, [expected(0..3), expected(3..6)]);
    let mut indices: Vec<usize> = batches.iter().flat_map(|b| b.indices.clone()).collect();
    for (batch, index) in batches
        .iter()
        .flat_map(|b| b.indices.iter().map(move |i| (b, i)))
    {
        let at = batch
            .indices
            .iter()
            .position(|other| other == index)
            .unwrap();
        assert_eq!(batch.images[at], *index as f32 / 255.0, "no augmentation");
    }
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), 24, "no image twice");
    assert_ne!(balanced(&loader, 4, 2, 2).unwrap(), batches);

    let error = balanced(&loader, 11, 2, 0).unwrap_err().to_string();
    assert!(
        error.starts_with("per_class = 11, but class 0 has 10 images"),
        "{error}"
    );
    assert!(balanced(&loader, 1, 7, 0).is_err());
    assert!(balanced(&loader, 0, 1, 0).is_err());
}
