//! What is learnt: where items are, and what.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use zosam::Sparsity;

use crate::average_precision::{Detection, average_precision};
use crate::data::{AT_ONCE, Data, LEVELS, images};
use crate::fit::{Finished, Scores, Task};
use crate::networks::{CLASSES, Detector, STRIDE};
use crate::peaks::peaks;
use crate::picture;
use crate::scene::{SIDE, Scene};
use crate::targets::{CHANNELS, targets};

/// Detections with less are not drawn.
const DRAWN: f64 = 0.3;

/// Detection of items.
pub struct Detect(pub Data);

impl Task for Detect {
    type Model = Detector;
    type Batch = (Tensor<4>, Tensor<4>);

    fn samples(&self) -> usize {
        self.0.train.len()
    }

    fn model(&self, device: &Device) -> Detector {
        Detector::new(self.0.width, LEVELS, device)
    }

    fn batch(&self, chosen: &[usize], device: &Device) -> Self::Batch {
        batch(&self.0.chosen(chosen), device)
    }

    fn losses(model: &Detector, (images, targets): &Self::Batch) -> Tensor<1> {
        model.losses(images.clone(), targets.clone())
    }

    /// Methods that need logits of classes (GraSP, SynFlow) refuse: a detector has none.
    fn attach(
        sparsity: &mut Sparsity,
        model: Detector,
        (images, targets): Self::Batch,
    ) -> Result<Detector> {
        let loss = |model: &Detector| model.losses(images.clone(), targets.clone()).mean();
        Ok(sparsity.attach(model, loss)?)
    }

    fn test(&self, model: &Detector, sparsity: &Sparsity, device: &Device) -> Scores {
        let mut boxes = Vec::new();
        let mut loss = 0.0;
        for scenes in self.0.test.chunks(AT_ONCE) {
            let scenes: Vec<&Scene> = scenes.iter().collect();
            let (images, targets) = batch(&scenes, device);
            let output = sparsity.run(|| model.forward(images));
            let right = scenes.iter().map(|scene| scene.items.clone());
            boxes.extend(right.zip(found(&output)));
            let losses = Detector::losses_of(output, targets);
            loss += f64::from(losses.sum().into_scalar::<f32>());
        }
        let precision = average_precision(&boxes, CLASSES);
        let mean = precision.iter().sum::<f64>() / precision.len() as f64;
        Scores::from([
            ("test_loss", loss / self.0.test.len() as f64),
            ("test_map", mean),
            ("test_map_50", precision[0]),
        ])
    }

    fn finished(&self, run: &Finished<Detector>) -> Result<()> {
        self.0.keep(run, |scenes| {
            let model = run.model.valid();
            let device = run.device.clone().without_autodiff();
            let all: Vec<&Scene> = scenes.iter().collect();
            let images = images(&all, &device);
            let found = found(&run.sparsity.run(|| model.forward(images)));
            let right = scenes.iter().map(|scene| {
                let items = scene.items.iter();
                picture::boxed(scene, items.map(|item| (item.class, item.bounds)))
            });
            let drawn = scenes.iter().zip(&found).map(|(scene, found)| {
                let drawn = found.iter().filter(|one| one.score >= DRAWN);
                picture::boxed(scene, drawn.map(|one| (one.class, one.bounds)))
            });
            [right.collect(), drawn.collect()]
        })
    }
}

/// The boxes of each scene.
fn found(output: &Tensor<4>) -> Vec<Vec<Detection>> {
    let [_, channels, side, _] = output.dims();
    let output: Vec<f32> = output.to_data().iter::<f32>().collect();
    let scenes = output.chunks(channels * side * side);
    scenes.map(|scene| peaks(scene, side, STRIDE)).collect()
}

fn batch(scenes: &[&Scene], device: &Device) -> (Tensor<4>, Tensor<4>) {
    let right = scenes
        .iter()
        .flat_map(|scene| targets(&scene.items, STRIDE));
    let shape = [scenes.len(), CHANNELS, SIDE / STRIDE, SIDE / STRIDE];
    let right = Tensor::from_data(TensorData::new(right.collect(), shape), device);
    (images(scenes, device), right)
}
